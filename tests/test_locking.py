"""``cgscan plan --lock`` as it is called: indexes are folders and small servers, lock files lie on a disk."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

import scanner
from fixtures.signing import Signing, Sigstore
from fixtures.trees import simple_tree
from fixtures.wheels import add_sbom, make_wheel
from scanner import lockdisk
from scanner.cli import main
from scanner.lockfile import Edit, Span
from tests.registries import Exchange, needed, site
from tests.swaps import Swap, swap

ZEROS = "0" * 64


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pypi(tmp_path: Path) -> list[Path]:
    """PyPI's wheels: ``both`` is rebuilt by Chainguard, ``only`` is not."""
    return [make_wheel(tmp_path / "pypi-wheels", name, "1.0", {f"{name}.py": b"x = 1\n"}) for name in ("both", "only")]


@pytest.fixture
def where(tmp_path: Path, pypi: list[Path]) -> list[str]:
    """Both indexes as folders, and no cache. Chainguard's hands on PyPI's file of what it has not built."""
    both, only = pypi
    rebuilt = add_sbom(both, tmp_path / "rebuilt")
    chainguard = simple_tree(tmp_path / "chainguard", [rebuilt, only])
    upstream = simple_tree(tmp_path / "upstream", pypi)
    return ["--index", str(chainguard), "--upstream", str(upstream), "--no-cache", "-q"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def new(tmp_path: Path, where: list[str]) -> str:
    """The sha256 of Chainguard's wheel."""
    [wheel] = (tmp_path / "rebuilt").glob("*.whl")
    return sha256(wheel)


def lock(text: str, name: str = "requirements.txt") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def asked(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> str:
    """What is printed; for an error, the one line of it and its hint."""
    capsys.readouterr()
    assert main(["plan", *words]) == status
    printed = capsys.readouterr()
    if status:
        assert printed.out == ""
        lines = printed.err.splitlines()
        assert len(lines) <= 2
        assert lines[0].startswith("cgscan: error: ")
        return printed.err
    assert printed.err == ""
    return printed.out


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The JSON, which is of its schema."""
    found: dict[str, Any] = json.loads(asked(capsys, *words, "-o", "json"))
    schema = json.loads(Path(scanner.__file__).with_name("locks.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(found)
    return found


def acceptances(found: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["acceptance"] for file in found["files"] for entry in file["entries"]}


def test_every_entry_has_its_word(where: list[str], new: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        f"both==1.0 --hash=sha256:{ZEROS}\nonly==1.0 --hash=sha256:{ZEROS}\nnone==1.0 --hash=sha256:{ZEROS}\n"
        f"both==2.0 --hash=sha256:{ZEROS}\n-e ./here#egg=here\nloose>=1\n"
    )
    path = lock(text)
    found = document(capsys, "--lock", str(path), *where)
    words = [(entry["name"], entry["version"], entry["acceptance"]) for entry in found["files"][0]["entries"]]
    assert words == [
        ("both", "1.0", "refuses"),
        ("only", "1.0", "wait"),
        ("none", "1.0", "wait"),
        ("both", "2.0", "wait"),
        ("here", None, "no-index"),
        ("loose", None, "unpinned"),
    ]
    [wheel] = found["files"][0]["entries"][0]["missing"]
    assert wheel["sha256"] == f"sha256:{new}"
    assert path.read_text() == text
    for name in ("table", "markdown", "yaml", "csv"):
        assert "refuses" in asked(capsys, "--lock", str(path), *where, "-o", name)


def test_pypis_bytes_from_chainguards_index_are_never_written(
    where: list[str], pypi: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The hash of a fallback copy is in the file already: that is no Chainguard hash."""
    path = lock(f"only==1.0 --hash=sha256:{sha256(pypi[1])}\n")
    found = document(capsys, "--lock", str(path), *where, "--write")
    assert acceptances(found) == {"only": "wait"}
    assert not found["files"][0]["written"]


def test_evidence_decides_what_is_written(
    tmp_path: Path, where: list[str], new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"both==1.0 --hash=sha256:{ZEROS}\n"
    path = lock(text)
    alone = [*where[:2], *where[4:]]
    assert acceptances(document(capsys, "--lock", str(path), *alone)) == {"both": "refuses"}, "the SBOM says so"
    assert acceptances(document(capsys, "--lock", str(path), *alone, "--min-evidence", "path")) == {"both": "wait"}
    assert acceptances(document(capsys, "--lock", str(path), *where, "--min-evidence", "not-upstream")) == {
        "both": "refuses"
    }
    plain = simple_tree(tmp_path / "plain", [make_wheel(tmp_path / "own", "both", "1.0", {"both.py": b"y = 2\n"})])
    own = ["--index", str(plain), *where[2:]]
    assert acceptances(document(capsys, "--lock", str(path), *own)) == {"both": "wait"}, "an own upload is nobody's"


def test_a_signature_may_be_demanded(
    tmp_path: Path, where: list[str], new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sigstore = Sigstore()
    root = sigstore.write_trust_root(tmp_path / "trust")
    Path("cgscan.yaml").write_text(f"trust_root: {root}\n")
    path = lock(f"both==1.0 --hash=sha256:{ZEROS}\n")
    demanded = ["--lock", str(path), *where, "--min-evidence", "attested"]
    assert acceptances(document(capsys, *demanded)) == {"both": "wait"}
    [wheel] = (tmp_path / "chainguard").glob("both/*.whl")
    provenance = sigstore.provenance(new, wheel.name, Signing())
    wheel.with_name(f"{wheel.name}.provenance").write_text(json.dumps(provenance))
    assert acceptances(document(capsys, *demanded)) == {"both": "refuses"}


def test_a_snapshot_of_what_a_lock_file_pins(where: list[str], new: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = lock(f"both==1.0 --hash=sha256:{ZEROS}\n")
    assert main(["index", "pull", "a.cgindex", "--lock", str(path), *where]) == 0
    found = document(capsys, "--lock", str(path), "--index", "a.cgindex", "--offline", "--no-cache", "-q", "--write")
    assert acceptances(found) == {"both": "refuses"}
    assert f"sha256:{new}" in path.read_text()


def test_writing_keeps_mode_link_and_everything_else(
    where: list[str], new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"# top\r\nboth==1.0 \\\r\n    --hash=sha256:{ZEROS}  # why\r\n\tonly==1.0\r\n\r\n# no newline at the end"
    path = lock(text, "real/requirements.txt")
    path.chmod(0o640)
    link = Path("link.txt")
    link.symlink_to(path)
    inode = path.stat().st_ino
    shown = asked(capsys, "--lock", "link.txt", *where, "--diff")
    assert path.read_bytes() == text.encode()
    assert path.stat().st_ino == inode
    assert f"+    --hash=sha256:{new} \\\r\n" in shown
    found = document(capsys, "--lock", "link.txt", *where, "--write")
    assert found["files"][0]["written"]
    assert found["files"][0]["changes"] == 1
    assert link.is_symlink()
    assert path.read_bytes() == text.replace("    --hash", f"    --hash=sha256:{new} \\\r\n    --hash").encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(name.name for name in path.parent.iterdir()) == ["requirements.txt"]
    again = document(capsys, "--lock", "link.txt", *where, "--write")
    assert acceptances(again)["both"] == "accepts"
    assert not again["files"][0]["written"]


def test_the_diff_is_one_that_patch_applies(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    middle = "".join(f"other{number}==1 --hash=sha256:{ZEROS}\n" for number in range(20))
    entry = f"both==1.0 --hash=sha256:{ZEROS}"
    text = f"{entry}\n{middle}both==1.0 \\\n  --hash=sha256:{ZEROS}\nlast==1\n{entry}"
    path = lock(text)
    shown = asked(capsys, "--lock", str(path), *where, "--diff")
    assert shown.count("\n@@ ") == 2
    document(capsys, "--lock", str(path), *where, "--write")
    wanted = path.read_bytes()
    path.write_text(text)
    subprocess.run([needed("patch"), "-p0", str(path)], input=shown, text=True, check=True, capture_output=True)
    assert path.read_bytes() == wanted


def test_no_secret_and_no_escape_is_shown(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "--index-url https://user:hunter2@host/simple?token=hunter2\n# \x1b[2J\u202e\n"
        f"both==1.0 --hash=sha256:{ZEROS}\n"
        "--extra-index-url https://hunter2@host/x\n-r https://user:hunter2@host/r.txt\n"
    )
    path = lock(text)
    for words in (["--diff"], ["-o", "table"], ["-o", "json"], ["-o", "markdown"], ["-o", "csv"], ["--write"]):
        shown = asked(capsys, "--lock", str(path), *where, *words)
        assert "hunter2" not in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown


def test_includes_in_the_folder_are_read(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Others are told, and are not touched."""
    line = f"both==1.0 --hash=sha256:{ZEROS}\n"
    outside = lock(line, "outside.txt")
    Path("app/sub").mkdir(parents=True)
    Path("app/linked.txt").symlink_to(outside.absolute())
    inner = lock(f"-c ../more.txt\n-r ../requirements.txt\n{line}", "app/sub/inner.txt")
    more = lock(line, "app/more.txt")
    included = ["-r sub/inner.txt", "--requirement=../outside.txt", "-rlinked.txt", "-c gone.txt", "-r https://host/x"]
    path = lock("\n".join([*included, line]), "app/requirements.txt")
    found = document(capsys, "--lock", str(path), *where, "--write")
    assert [file["path"] for file in found["files"]] == [
        "app/requirements.txt",
        "app/sub/inner.txt",
        "app/sub/../more.txt",
    ]
    assert all(file["written"] for file in found["files"])
    told = found["files"][0]["notes"]
    assert [note.partition(":")[0] for note in told] == [f"line {number}" for number in (2, 3, 4, 5)]
    assert outside.read_text() == line
    assert all("sha256" in file.read_text() for file in (inner, more))


def test_too_many_includes_are_one_line(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(70):
        lock(f"-r {number + 1}.txt\n", f"{number}.txt")
    lock("", "70.txt")
    assert "limit lock_files" in asked(capsys, "--lock", "0.txt", *where, status=2)


def test_several_files_and_one_of_them_twice(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lock(f"both==1.0 --hash=sha256:{ZEROS}\n", "a.txt")
    lock(f"both==1.0 --hash=sha256:{ZEROS}\n", "b.txt")
    found = document(capsys, "--lock", "a.txt", "--lock", "b.txt", "--lock", "./a.txt", *where, "--write")
    assert [file["path"] for file in found["files"]] == ["a.txt", "b.txt"]


def test_nothing_is_written_where_one_file_is_none(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    text = f"both==1.0 --hash=sha256:{ZEROS}\n"
    path = lock(text, "a.txt")
    lock("version =", "uv.lock")
    assert "uv.lock: line 1" in asked(capsys, "--lock", "a.txt", "--lock", "uv.lock", *where, "--write", status=2)
    assert path.read_text() == text


def test_a_file_that_changed_meanwhile_is_not_written(
    where: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lock(f"both==1.0 --hash=sha256:{ZEROS}\n")
    write = lockdisk.write_lock

    def changed(planned: Any) -> Any:
        path.write_text("# somebody else's\n")
        return write(planned)

    monkeypatch.setattr("scanner.locking.write_lock", changed)
    assert "was changed in the meantime" in asked(capsys, "--lock", str(path), *where, "--write", status=2)
    assert path.read_text() == "# somebody else's\n"


def test_a_write_that_fails_leaves_the_file_and_nothing_beside_it(
    where: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"both==1.0 --hash=sha256:{ZEROS}\n"
    path = lock(text, "app/requirements.txt")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert "No space left" in asked(capsys, "--lock", str(path), *where, "--write", status=2)
    assert path.read_text() == text
    assert [one.name for one in path.parent.iterdir()] == ["requirements.txt"]


@pytest.mark.parametrize(("place", "text"), [("both", "moth"), ("1.0", "1.1"), (ZEROS, "1" * 64)])
def test_a_change_of_anything_else_is_noticed_before_it_is_written(
    where: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    new: str,
    place: str,
    text: str,
) -> None:
    """Should the places ever be wrong, the file stays as it is."""
    before = f"both==1.0 --hash=sha256:{new}\nother==1 --hash=sha256:{ZEROS}\n"
    path = lock(before)
    at = before.index(new if place == ZEROS else place)
    edit = Edit(Span(at, at + len(place)), text)
    monkeypatch.setattr("scanner.locking.edits", lambda *_: (edit,))
    assert "it is left as it is" in asked(capsys, "--lock", str(path), *where, "--write", status=2)
    assert path.read_text() == before


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: None], ids=["folder", "pipe", "nothing"])
def test_what_is_no_file_is_one_line(where: list[str], capsys: pytest.CaptureFixture[str], make: Any) -> None:
    make(Path("requirements.txt"))
    assert "requirements.txt: " in asked(capsys, "--lock", "requirements.txt", *where, status=2)


def test_options_that_say_something_of_lock_files_alone(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    lock("a==1\n")
    for words in (["--write", "dir:."], ["--lock", "requirements.txt", "--diff", "dir:."], ["--diff"]):
        assert "of --lock alone" in asked(capsys, *words, *where, status=2)
    assert "no index of Chainguard's" in asked(capsys, "--lock", "requirements.txt", *where[2:], status=2)


def test_a_check_fails_on_what_keeps_chainguards_bytes_out(
    where: list[str], new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = lock(f"both==1.0 --hash=sha256:{ZEROS}\n")
    words = ["plan", "--lock", str(path), *where]
    assert main([*words]) == 0
    assert main([*words, "--check"]) == 1
    assert main([*words, "--check", "--diff"]) == 1
    assert "refuses" in capsys.readouterr().out
    assert "--check changes nothing" in asked(capsys, *words[1:], "--check", "--write", status=2)
    lock(f"both==1.0 --hash=sha256:{ZEROS} --hash=sha256:{new}\nonly==1.0 --hash=sha256:{ZEROS}\n")
    assert main([*words, "--check"]) == 0


@pytest.fixture
def served(tmp_path: Path, pypi: list[Path]) -> Iterator[tuple[Swap, list[Path]]]:
    """An index at a URL, and what Chainguard has built."""
    rebuilt = [add_sbom(wheel, tmp_path / "rebuilt") for wheel in pypi]
    with swap(rebuilt) as index:
        yield index, rebuilt


def test_an_index_that_does_not_answer(
    served: tuple[Swap, list[Path]], where: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing at all is an error, and nothing is written."""
    text = f"both==1.0 --hash=sha256:{ZEROS}\nonly==1.0 --hash=sha256:{ZEROS}\n"
    path = lock(text)
    index, _ = served
    nobody = ["--index", "http://127.0.0.1:9/simple/", "--no-cache", "-q", "--write"]
    assert "no index has answered" in asked(capsys, "--lock", str(path), *nobody, status=2)
    assert path.read_text() == text
    upstream = ["--index", index.url, "--upstream", "http://127.0.0.1:9/simple/", "--no-cache", "-q", "--write"]
    assert "no index has answered" in asked(capsys, "--lock", str(path), *upstream, status=2)
    assert path.read_text() == text, "without upstream's answer nobody knows whose a wheel is"


def test_what_is_not_known_to_be_chainguards_is_not_accepted(
    served: tuple[Swap, list[Path]], pypi: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The upstream index answers for one project only: of the other nobody knows whose the wheels are."""
    index, rebuilt = served
    path = lock("".join(f"{wheel.name.partition('-')[0]}==1.0 --hash=sha256:{sha256(wheel)}\n" for wheel in rebuilt))

    def half(exchange: Exchange) -> None:
        exchange.send(500 if "/both" in exchange.seen.path else 404)

    with site(half) as upstream:
        words = ["--lock", str(path), "--index", index.url, "--upstream", f"{upstream.url}/simple/", "--no-cache", "-q"]
        assert acceptances(document(capsys, *words)) == {"both": "unchecked", "only": "accepts"}


def test_uv_lock_by_url(served: tuple[Swap, list[Path]], where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    index, rebuilt = served
    text = "version = 1\nrequires-python = '>=3.11'\n" + "".join(
        f"""
[[package]]
name = "{name}"
version = "1.0"
source = {{ registry = "{index.url.rstrip("/")}" }}
wheels = [
    {{ url = "{index.url}{name}/{name}-1.0-py3-none-any.whl", hash = "sha256:{ZEROS}", size = 1 }},
]
"""
        for name in ("both", "only")
    )
    path = lock(text, "uv.lock")
    found = document(capsys, "--lock", str(path), "--index", index.url, *where[2:], "--write")
    assert acceptances(found) == {"both": "refuses", "only": "refuses"}
    after = text
    for wheel in rebuilt:
        name = wheel.name.partition("-")[0]
        there = f'{name}-1.0-py3-none-any.whl", hash = "sha256:{ZEROS}", size = 1 }}'
        then = f'{name}-1.0-py3-none-any.whl", hash = "sha256:{sha256(wheel)}", size = {wheel.stat().st_size} }}'
        after = after.replace(there, then)
    assert path.read_text() == after


def test_many_entries_are_asked_for_once(
    served: tuple[Swap, list[Path]], where: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    index, _ = served
    lock(f"both==1.0 --hash=sha256:{ZEROS}\n" * 200, "a.txt")
    lock(f"both==1.0 ; python_version > '3' --hash=sha256:{ZEROS}\n" * 200, "b.txt")
    words = ["--lock", "a.txt", "--lock", "b.txt", "--index", index.url, *where[2:]]
    found = document(capsys, *words)
    assert found["files"][0]["counts"]["refuses"] == 200
    assert len([path for path in index.site.paths() if path.endswith("/both/")]) == 1


def test_the_unpin_group_of_a_plan(where: list[str], new: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = lock(f"both==1.0 --hash=sha256:{ZEROS}\nonly==1.0 --hash=sha256:{ZEROS}\n")
    Path("target").mkdir()
    found = json.loads(asked(capsys, "dir:target", "--lock", str(path), *where, "-o", "json"))
    [pin] = found["unpin"]
    assert (pin["file"], pin["project"], pin["version"], pin["line"]) == ("requirements.txt", "both", "1.0", 1)
    assert pin["accepted"] == [f"sha256:{ZEROS}"]
    assert pin["replacement"]["sha256"] == f"sha256:{new}"
    assert "Unpin (1)" in asked(capsys, "dir:target", "--lock", str(path), *where)


def test_readers_never_see_half_a_file(where: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    before = f"both==1.0 --hash=sha256:{ZEROS}\n" + "# filler\n" * 20_000
    path = lock(before)
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.add(len(path.read_bytes()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        asked(capsys, "--lock", str(path), *where, "--write")
    finally:
        done.set()
        watcher.join()
    assert seen <= {len(before), path.stat().st_size}
