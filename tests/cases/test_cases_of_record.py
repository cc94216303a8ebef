"""RECORD in every odd form: cases 19 to 28, 32 and 33 of the facts. It is read for what it lists, and not believed."""

from __future__ import annotations

import base64
import hashlib
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fixtures import trees, wheels
from tests.scenes import Judged, Scene, builds

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
}
ODD = {
    **CODE,
    "demo/a,b.py": b"comma = 1\n",
    "demo/,.txt": b"commas\n",
    'demo/q"uote.txt': b"quote\n",
    "demo/line\u2028break.txt": b"U+2028\n",
    "demo/caf\u00e9.txt": b"not ASCII\n",
}
POINTS = "[console_scripts]\ndemo = demo.core:run\n"
SCRIPTS = {"scripts/demo-tool": b"#!python\nimport demo.core\ndemo.core.run()\n", "data/share/demo.1": b".TH demo\n"}
INTACT = ("chainguard", "intact")
Rows = Sequence[tuple[str, ...]]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(Chainguard's, PyPI's) wheel with odd names, scripts, data and an entry point."""
    folder = tmp_path_factory.mktemp("odd")
    theirs = wheels.make_wheel(folder / "pypi", "demo", "1.0", ODD, data=SCRIPTS, entry_points=POINTS)
    plain = wheels.make_wheel(
        folder / "plain", "demo", "1.0", ODD, data=SCRIPTS, entry_points=POINTS, generator="r 9", metadata_version="2.4"
    )
    return wheels.add_sbom(plain, folder / "chainguard"), theirs


@pytest.fixture(scope="module", params=["pip", "uv"])
def installed(request: pytest.FixtureRequest, odd: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Chainguard's wheel as a real installer has put it under ``usr/local``."""
    root = tmp_path_factory.mktemp(request.param)
    trees.install([odd[0]], root, by=request.param)
    return root


@pytest.fixture
def real(installed: Path, scene: Scene) -> Scene:
    """A copy of the real install that a test may change."""
    shutil.rmtree(scene.root)
    shutil.copytree(installed, scene.root, symlinks=True)
    scene.site = next(scene.root.glob("usr/local/lib/python*/site-packages"))
    return scene


def record_of(scene: Scene) -> Path:
    [record] = scene.site.glob("demo-1.0.dist-info/RECORD")
    return record


def rewrite(scene: Scene, change: Callable[[Rows], Rows]) -> None:
    record = record_of(scene)
    record.write_bytes(wheels.record_bytes(change(wheels.read_record(record))))


def clean(judged: Judged) -> bool:
    return judged.words == INTACT and judged.findings == [] and judged.one.files == ()


def wheel_with_record(wheel: Path, folder: Path, record: bytes) -> Path:
    """A copy with another RECORD in it."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / wheel.name
    with zipfile.ZipFile(target, "w") as archive:
        for info, data in wheels.read_members(wheel):
            archive.writestr(info, record if info.filename.endswith(".dist-info/RECORD") else data)
    return target


def text_of(rows: Rows) -> str:
    return "".join(",".join(row) + "\n" for row in rows)


# --- 19, 20: names ---


def test_case_19_commas_as_real_installers_write_them(real: Scene, odd: tuple[Path, Path]) -> None:
    assert '"demo/a,b.py"' in record_of(real).read_text()
    assert clean(real.judge([odd[0]], [odd[1]]))
    assert real.judge().findings == [], "without an index RECORD accounts for it"


def test_case_19_commas_that_nobody_quoted(real: Scene, odd: tuple[Path, Path]) -> None:
    rows = wheels.read_record(record_of(real))
    record_of(real).write_text(text_of([row for row in rows if '"' not in row[0]]), newline="")
    assert clean(real.judge([odd[0]], [odd[1]]))
    assert real.judge().findings == []


def test_case_19_a_wheel_on_the_index_with_unquoted_commas(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, {**CODE, "demo/a,b.py": b"comma = 1\n"})
    [(_, record)] = [one for one in wheels.read_members(ours) if one[0].filename.endswith("/RECORD")]
    ours = wheel_with_record(ours, tmp_path / "unquoted", record.replace(b'"', b""))
    scene.install(ours)
    assert clean(scene.judge([ours], [theirs]))


def test_case_20_line_separators_in_names(real: Scene, odd: tuple[Path, Path]) -> None:
    assert (real.site / "demo/line\u2028break.txt").exists()
    assert clean(real.judge([odd[0]], [odd[1]]))
    (real.site / "demo/line\u2028break.txt").write_bytes(b"changed\n")
    judged = real.judge([odd[0]], [odd[1]])
    assert [one.path.rpartition("/")[2] for one in judged.one.files] == ["line\u2028break.txt"]


@pytest.mark.parametrize("name", ["demo/two\nlines.py", "demo/v\x0btab.py", "demo/\x85.py"])
def test_case_20_line_breaks_that_installers_refuse(scene: Scene, tmp_path: Path, name: str) -> None:
    ours, theirs = builds(tmp_path, {**CODE, name: b"x = 1\n"})
    scene.install(ours)
    assert clean(scene.judge([ours], [theirs]))
    assert scene.judge().findings == []


# --- 21 to 24: paths ---


def spelled(scene: Scene, folder: Path, spell: Callable[[str], str]) -> None:
    """A wheel on the index whose RECORD spells its paths so: it is good enough to compare with."""
    ours, theirs = builds(folder, CODE)
    [(_, record)] = [one for one in wheels.read_members(ours) if one[0].filename.endswith("/RECORD")]
    rows = [line.split(",") for line in record.decode().splitlines()]
    ours = wheel_with_record(ours, folder / "spelled", text_of([(spell(row[0]), *row[1:]) for row in rows]).encode())
    scene.install(ours)
    judged = scene.judge([ours], [theirs])
    assert clean(judged)
    assert judged.one.match is not None
    assert not judged.one.match.proved


def test_case_21_absolute_paths_in_a_listed_wheel(scene: Scene, tmp_path: Path) -> None:
    spelled(scene, tmp_path, lambda path: f"/{path}")


def test_case_23_backslashes_in_a_listed_wheel(scene: Scene, tmp_path: Path) -> None:
    spelled(scene, tmp_path, lambda path: path.replace("/", "\\"))


def test_case_24_other_spellings_in_a_listed_wheel(scene: Scene, tmp_path: Path) -> None:
    spelled(scene, tmp_path, lambda path: f"./{path}")


def test_case_21_absolute_paths_in_an_installed_record(real: Scene, odd: tuple[Path, Path]) -> None:
    rewrite(real, lambda rows: [(row[0] if row[0].startswith("..") else f"/{row[0]}", *row[1:]) for row in rows])
    assert clean(real.judge([odd[0]], [odd[1]]))
    assert real.judge().findings == []


@pytest.mark.parametrize("path", ["../" * 40 + "etc/passwd.py", "/../../x.py", "a/../../../../../etc/x.py"])
def test_case_21_rows_that_climb_above_the_root_stay_there(scene: Scene, tmp_path: Path, path: str) -> None:
    ours, theirs = builds(tmp_path, CODE)
    scene.install(ours)
    rewrite(scene, lambda rows: [*rows, (path, "", "")])
    assert clean(scene.judge([ours], [theirs]))
    assert scene.judge().findings == []


def test_case_22_scripts_and_data_outside_belong_to_it(real: Scene, odd: tuple[Path, Path]) -> None:
    outside = {row[0] for row in wheels.read_record(record_of(real)) if row[0].startswith("../")}
    assert {"../../../bin/demo-tool", "../../../share/demo.1", "../../../bin/demo"} <= outside
    (real.root / "usr/local/share/demo.1").unlink()
    (real.root / "usr/local/bin/demo-tool").write_bytes(b"#!/usr/bin/python3\nimport os\n")
    judged = real.judge([odd[0]], [odd[1]])
    assert {one.path: one.state for one in judged.one.files} == {
        "/usr/local/share/demo.1": "missing",
        "/usr/local/bin/demo-tool": "modified",
    }


def test_case_23_backslashes_in_an_installed_record(real: Scene, odd: tuple[Path, Path]) -> None:
    rewrite(real, lambda rows: [(row[0].replace("/", "\\"), *row[1:]) for row in rows])
    assert clean(real.judge([odd[0]], [odd[1]]))
    assert real.judge().findings == []


def test_case_24_other_spellings_in_an_installed_record(real: Scene, odd: tuple[Path, Path]) -> None:
    rewrite(real, lambda rows: [(f"./{row[0]}".replace("demo/", "demo//./"), *row[1:]) for row in rows])
    assert clean(real.judge([odd[0]], [odd[1]]))
    assert real.judge().findings == []


# --- 25 to 27: digests ---


@pytest.mark.parametrize("claim", ["", "sha256="])
def test_case_25_rows_without_a_digest_are_neither_right_nor_wrong(
    real: Scene, odd: tuple[Path, Path], claim: str
) -> None:
    rewrite(real, lambda rows: [(row[0], claim, "") for row in rows])
    assert clean(real.judge([odd[0]], [odd[1]]))
    (real.site / "demo/core.py").write_bytes(b"import os\n")
    assert real.judge([odd[0]], [odd[1]]).words == ("chainguard", "modified")


def _claimed(row: tuple[str, ...], name: str, encode: Callable[[bytes], str], site: Path) -> tuple[str, ...]:
    file = site / row[0]
    if not row[1] or not file.is_file():
        return row
    return (row[0], f"{name}={encode(hashlib.new(name, file.read_bytes()).digest())}", row[2])


def _urlsafe(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


Form = tuple[str, Callable[[bytes], str]]
OTHER_NAMES = [("sha384", _urlsafe), ("sha512", _urlsafe), ("md5", _urlsafe), ("blake2b", _urlsafe)]
OTHER_SPELLINGS = [
    ("sha256", lambda raw: base64.urlsafe_b64encode(raw).decode()),
    ("sha256", lambda raw: base64.b64encode(raw).decode()),
    ("sha256", bytes.hex),
    ("SHA256", bytes.hex),
]


def in_an_installed_record(real: Scene, odd: tuple[Path, Path], form: Form) -> None:
    name, encode = form
    rewrite(real, lambda rows: [_claimed(row, name, encode, real.site) for row in rows])
    assert clean(real.judge([odd[0]], [odd[1]]))
    (real.site / "demo/core.py").write_bytes(b"import os\n")
    rewrite(real, lambda rows: [_claimed(row, name, encode, real.site) for row in rows])
    assert real.judge([odd[0]], [odd[1]]).words == ("chainguard", "modified"), "RECORD agrees with the change"


def in_a_listed_wheel(scene: Scene, folder: Path, form: Form) -> bool:
    """Judges it right; whether the wheel had to be read whole for it."""
    name, encode = form
    ours, theirs = builds(folder, CODE)
    rows = [
        (info.filename, f"{name}={encode(hashlib.new(name, data).digest())}", str(len(data)))
        for info, data in wheels.read_members(ours)
        if not info.filename.endswith("/RECORD")
    ]
    ours = wheel_with_record(ours, folder / "digests", wheels.record_bytes(rows))
    scene.install(ours)
    judged = scene.judge([ours], [theirs])
    assert clean(judged)
    assert judged.one.match is not None
    return judged.one.match.proved


@pytest.mark.parametrize("form", OTHER_NAMES, ids=[name for name, _ in OTHER_NAMES])
def test_case_26_other_algorithms_in_an_installed_record(real: Scene, odd: tuple[Path, Path], form: Form) -> None:
    in_an_installed_record(real, odd, form)


@pytest.mark.parametrize("form", OTHER_NAMES, ids=[name for name, _ in OTHER_NAMES])
def test_case_26_other_algorithms_in_a_listed_wheel(scene: Scene, tmp_path: Path, form: Form) -> None:
    """Rows that prove nothing here are not compared with: the wheel is read whole."""
    assert in_a_listed_wheel(scene, tmp_path, form)


@pytest.mark.parametrize("form", OTHER_SPELLINGS, ids=["padded", "plain", "hex", "upper"])
def test_case_27_spellings_of_a_digest_in_an_installed_record(real: Scene, odd: tuple[Path, Path], form: Form) -> None:
    in_an_installed_record(real, odd, form)


@pytest.mark.parametrize("form", OTHER_SPELLINGS, ids=["padded", "plain", "hex", "upper"])
def test_case_27_spellings_of_a_digest_in_a_listed_wheel(scene: Scene, tmp_path: Path, form: Form) -> None:
    assert not in_a_listed_wheel(scene, tmp_path, form)


@pytest.mark.parametrize("name", ["sha384", "md5"])
def test_case_26_digests_that_were_not_computed_do_not_say_which_is_live(scene: Scene, name: str) -> None:
    """Two dist-infos, one with rows that cannot be checked here: the checked one is live if its files are there."""
    for version, code in (("1.0", b"old = 1\n"), ("2.0", b"new = 1\n")):
        row = ("demo.py", f"{name}={_urlsafe(hashlib.new(name, code).digest())}", "8")
        rows = [wheels.record_row("demo.py", code)] if version == "2.0" else [row]
        info = scene.site / f"demo-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: demo\nVersion: {version}\n")
        (info / "RECORD").write_bytes(wheels.record_bytes(rows))
    (scene.site / "demo.py").write_bytes(b"new = 1\n")
    assert scene.judge([], []).one.version == "2.0"
    (scene.site / "demo.py").write_bytes(b"neither = 1\n")
    assert scene.judge([], []).one.version == "1.0"


# --- 28: bytes ---


@pytest.mark.parametrize(
    "written",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.rstrip(b"\n"),
        lambda data: b"\n\n" + data + b"\n\n",
        lambda data: data + b"demo/\xe9\xff.txt,,\n",
    ],
    ids=["CRLF", "BOM", "no-end", "blank-lines", "no-UTF-8"],
)
def test_case_28_bytes_of_record(real: Scene, odd: tuple[Path, Path], written: Callable[[bytes], bytes]) -> None:
    record = record_of(real)
    record.write_bytes(written(record.read_bytes()))
    assert clean(real.judge([odd[0]], [odd[1]]))
    assert real.judge().findings == []


def test_case_28_a_name_that_is_no_utf8_is_accounted_for(scene: Scene) -> None:
    info = scene.site / "demo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: demo\nVersion: 1.0\n")
    (info / "RECORD").write_bytes(b"caf\xe9.py,,\n")
    Path(scene.site / b"caf\xe9.py".decode("utf-8", "surrogateescape")).write_bytes(b"x = 1\n")
    assert scene.judge([], []).findings == []


@pytest.mark.parametrize(
    "data",
    [
        b'"demo/__init__.py,,\ndemo/core.py,,\n',
        b"x" * (1024 * 1024 + 10) + b",,\n",
        b"..,,\n" * 2_000,
        b"\x00\x00\x00",
        b'demo/core.py,,\n"demo/__init__.py,,\n',
    ],
    ids=["open-quote", "long-row", "no-paths", "zeros", "later-quote"],
)
def test_case_28_a_record_that_cannot_be_read_to_its_end_is_told(scene: Scene, tmp_path: Path, data: bytes) -> None:
    """The index decides all the same."""
    ours, theirs = builds(tmp_path, CODE)
    info = scene.install(ours)
    (info / "RECORD").write_bytes(data)
    judged = scene.judge([ours], [theirs])
    assert judged.words == INTACT
    assert [(one.kind.value, one.path.rpartition("/")[2]) for one in judged.findings] == [("unreadable", "RECORD")]


# --- 32, 33: scripts ---


def test_case_32_generated_scripts_are_no_change(real: Scene, odd: tuple[Path, Path]) -> None:
    script = real.root / "usr/local/bin/demo"
    assert script.exists()
    assert clean(real.judge([odd[0]], [odd[1]]))
    script.write_bytes(
        script.read_bytes().replace(b"sys.exit(run())", b"__import__('os').system('x'); sys.exit(run())")
    )
    rewrite(
        real,
        lambda rows: [
            wheels.record_row(row[0], script.read_bytes()) if row[0].endswith("bin/demo") else row for row in rows
        ],
    )
    judged = real.judge([odd[0]], [odd[1]])
    assert judged.words == INTACT
    assert judged.kinds == ["modified-script"]


def test_case_33_a_rewritten_first_line_is_no_change(real: Scene, odd: tuple[Path, Path]) -> None:
    script = real.root / "usr/local/bin/demo-tool"
    assert not script.read_bytes().startswith(b"#!python\n"), "the installer has rewritten it"
    assert clean(real.judge([odd[0]], [odd[1]]))


@pytest.mark.parametrize(
    "first",
    [
        b"#!python\n",
        b"#!/usr/bin/python3.11\n",
        b"#!/opt/venv/bin/python -E\n",
        b"#!/bin/sh\n'''exec' \"/a path/with spaces/bin/python\" \"$0\" \"$@\"\n' '''\n",
        b"#!/bin/sh\n'''exec' /" + b"long/" * 40 + b"bin/python \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_case_33_the_forms_of_a_first_line(real: Scene, odd: tuple[Path, Path], first: bytes) -> None:
    script = real.root / "usr/local/bin/demo-tool"
    script.write_bytes(first + SCRIPTS["scripts/demo-tool"].partition(b"\n")[2])
    assert clean(real.judge([odd[0]], [odd[1]]))


@pytest.mark.parametrize(
    "first",
    [
        b"#!/bin/sh\n'''exec' /bin/evil \"$0\" \"$@\"\n' '''\n",
        b"#!/bin/sh\nevil; '''exec' /bin/python \"$0\" \"$@\"\n' '''\n",
        b"#!/usr/bin/env bash\n",
        b"#!/usr/bin/python3 -c evil\n",
    ],
)
def test_case_33_other_first_lines_are_a_change(real: Scene, odd: tuple[Path, Path], first: bytes) -> None:
    script = real.root / "usr/local/bin/demo-tool"
    script.write_bytes(first + SCRIPTS["scripts/demo-tool"].partition(b"\n")[2])
    assert real.judge([odd[0]], [odd[1]]).words == ("chainguard", "modified")
