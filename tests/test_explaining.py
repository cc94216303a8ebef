"""One distribution file by file: what each column has, what tells, what is said of it. Every one fits the schema."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

import scanner
from fixtures import trees, wheels
from fixtures.images import layer_from_tree, write_oci_layout
from scanner.distribution import Origin
from scanner.errors import UsageError
from scanner.explaining.asked import Asked
from scanner.explanation import Account, ExplainedFile, Explanation, Listed, Stand, as_object
from scanner.formats import render_explanations
from scanner.index import Role
from scanner.pipeline import Options, explain, scan
from scanner.reference import parse_reference
from tests.scenes import SITE, Scene, Shelf, builds

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
    "demo/data.txt": b"some data\n",
}
SCHEMAS = Path(scanner.__file__).parent
SCHEMA = json.loads((SCHEMAS / "explanation.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "scene")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(Chainguard's, PyPI's) wheel."""
    return builds(tmp_path_factory.mktemp("wheels"), CODE)


def shelves(ours: Sequence[Path] | Shelf | None, theirs: Sequence[Path] | Shelf | None) -> list[Shelf]:
    given = [(ours, Role.CHAINGUARD), (theirs, Role.UPSTREAM)]
    return [one if isinstance(one, Shelf) else Shelf(wheels=one, role=role) for one, role in given if one is not None]


def explained(
    target: Scene | str,
    ours: Sequence[Path] | Shelf | None,
    theirs: Sequence[Path] | Shelf | None,
    name: str = "demo",
    *,
    environment: str | None = None,
    options: Options | None = None,
) -> Explanation:
    """The explanation; its verdicts are the scan's, its JSON fits the schema, its view can be made."""
    reference = parse_reference(f"dir:{target.root}" if isinstance(target, Scene) else target)
    options = options or Options()
    [found] = explain(reference, Asked.of(name, environment), indexes=shelves(ours, theirs), options=options)
    [report] = scan(reference, indexes=shelves(ours, theirs), options=options)
    assert all(account.distribution in report.distributions for account in found.distributions)
    data = json.loads(render_explanations([found], "json"))
    VALIDATOR.validate(data)
    assert set(data) == set(SCHEMA["properties"])
    assert render_explanations([found], "table").endswith("\n")
    return found


def only(explanation: Explanation) -> Account:
    [account] = explanation.distributions
    return account


def by_name(account: Account) -> dict[str, ExplainedFile]:
    """The files by their path in the environment, metadata by their own names."""
    info = f"{account.distribution.location}/"
    start = f"{account.distribution.environment}/"
    return {file.path.removeprefix(info).removeprefix(start): file for file in account.files}


def said(account: Account) -> str:
    return " ".join(account.why)


# --- the columns ---


def test_chainguard_s_build_beside_pypi_s(scene: Scene, pair: tuple[Path, Path]) -> None:
    scene.install(pair[0])
    account = only(explained(scene, [pair[0]], [pair[1]]))
    assert account.compared_with == "chainguard"
    assert account.chainguard is not None
    assert account.upstream is not None
    assert (account.chainguard.files.matched, account.chainguard.files.missing) == (6, 0)
    assert (account.upstream.files.matched, account.upstream.files.modified) == (3, 2)
    files = by_name(account)
    telling = {name for name, file in files.items() if file.speaks_for is Origin.CHAINGUARD}
    assert telling == {"METADATA", "WHEEL", "sboms/sbom.spdx.json"}
    assert account.chainguard.speaking == account.chainguard.discriminating == 3
    assert (account.upstream.speaking, account.upstream.discriminating) == (0, 2)
    code = files["demo/core.py"]
    assert (code.state, code.discriminating, code.record) == (Stand.MATCHED, False, Listed.LISTED)
    assert code.chainguard == code.upstream
    assert code.chainguard is not None
    assert code.installed == code.chainguard.sha256
    assert files["sboms/sbom.spdx.json"].upstream is None
    assert files["INSTALLER"].state is Stand.GENERATED
    assert files["RECORD"].record is Listed.NOT_LISTED
    assert "Files speak for one side alone" in said(account)


def test_a_changed_file_and_what_record_says(scene: Scene, pair: tuple[Path, Path]) -> None:
    scene.install(pair[0])
    (scene.site / "demo/core.py").write_bytes(b"evil\n")
    account = only(explained(scene, [pair[0]], [pair[1]]))
    file = by_name(account)["demo/core.py"]
    assert (file.state, file.record) == (Stand.MODIFIED, Listed.OTHER_BYTES)
    assert file.chainguard is not None
    assert file.chainguard.state is Stand.MODIFIED
    wheels.fix_record(scene.site, "demo/core.py")
    account = only(explained(scene, [pair[0]], [pair[1]]))
    assert by_name(account)["demo/core.py"].record is Listed.EDITED
    assert account.record is not None
    assert (account.record.edited, account.record.other_bytes) == (1, 0)
    assert "RECORD lists the changed bytes of 1 file" in said(account)


def test_what_is_missing_and_what_was_added(scene: Scene, pair: tuple[Path, Path]) -> None:
    scene.install(pair[0])
    (scene.site / "demo/data.txt").unlink()
    (scene.site / "demo/deep").mkdir()
    (scene.site / "demo/deep/evil.py").write_bytes(b"evil\n")
    (scene.site / "elsewhere.py").write_bytes(b"not among its files\n")
    account = only(explained(scene, [pair[0]], [pair[1]]))
    files = by_name(account)
    assert (files["demo/data.txt"].state, files["demo/data.txt"].installed) == (Stand.MISSING, None)
    added = files["demo/deep/evil.py"]
    assert (added.state, added.member, added.record) == (Stand.NOT_IN_WHEEL, None, Listed.NOT_LISTED)
    assert "elsewhere.py" not in files
    assert "1 file lies among its own and belongs to neither wheel." in account.why


def test_files_of_others_in_a_shared_folder_are_not_its(scene: Scene, tmp_path: Path) -> None:
    mine = wheels.make_wheel(tmp_path, "ns-mine", "1.0", {"ns/mine/__init__.py": b"1\n"})
    other = wheels.make_wheel(tmp_path, "ns-other", "1.0", {"ns/other/__init__.py": b"2\n"})
    scene.install(mine)
    scene.install(other)
    (scene.site / "ns/stray.py").write_bytes(b"3\n")
    account = only(explained(scene, [], [mine, other], "ns-mine"))
    modules = {name for name in by_name(account) if name.endswith(".py")}
    assert modules == {"ns/mine/__init__.py", "ns/stray.py"}


def test_byte_code_and_entry_points_are_generated(scene: Scene, tmp_path: Path) -> None:
    code = {**CODE, "demo/cli.py": b"def main():\n    pass\n"}
    points = {"demo-1.0.dist-info/entry_points.txt": b"[console_scripts]\ndemo = demo.cli:main\n"}
    wheel = wheels.make_wheel(tmp_path, "demo", "1.0", {**code, **points})
    site = trees.install([wheel], scene.root, compile=True)
    account = only(explained(scene, [], [wheel]))
    made = {file.path for file in account.files if file.state is Stand.GENERATED}
    assert "/usr/local/bin/demo" in made
    assert any(path.endswith(".pyc") for path in made)
    assert {"INSTALLER", "RECORD"} <= {path.rpartition("/")[2] for path in made}
    assert all(file.state in (Stand.MATCHED, Stand.GENERATED) for file in account.files), site


def test_a_script_with_a_rewritten_first_line_is_matched_and_says_so(scene: Scene, tmp_path: Path) -> None:
    script = {"demo-1.0.data/scripts/run": b"#!python\nprint(1)\n"}
    wheel = wheels.make_wheel(tmp_path, "demo", "1.0", {**CODE, **script})
    scene.install(wheel)
    (scene.root / "usr/local/bin/run").write_bytes(b"#!/usr/local/bin/python\nprint(1)\n")
    file = by_name(only(explained(scene, [], [wheel])))["/usr/local/bin/run"]
    assert file.state is Stand.MATCHED
    assert file.note == "its installer rewrote the first line, as it does to every script"


# --- what was considered, and the verdicts ---


def test_nothing_is_left_that_tells(scene: Scene, pair: tuple[Path, Path]) -> None:
    info = scene.install(pair[0], listed=False)
    for name in ("WHEEL", "METADATA", "sboms/sbom.spdx.json"):
        (info / name).unlink()
    account = only(explained(scene, [pair[0]], [pair[1]]))
    assert account.distribution.origin is Origin.AMBIGUOUS
    assert account.record is None
    assert not any(file.speaks_for for file in account.files)
    assert {name for name, file in by_name(account).items() if file.discriminating} == {
        "WHEEL",
        "METADATA",
        "sboms/sbom.spdx.json",
    }
    assert "So nothing that is left says whose build it was." in account.why
    assert "There is no RECORD." in account.why


def test_a_planted_sbom_does_not_speak(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE, same_metadata=True)
    info = scene.install(theirs)
    sbom = next(data for member, data in wheels.read_members(ours) if "/sboms/" in member.filename)
    (info / "sboms").mkdir()
    (info / "sboms/sbom.spdx.json").write_bytes(sbom)
    found = explained(scene, [ours], [theirs])
    file = by_name(only(found))["sboms/sbom.spdx.json"]
    assert (file.discriminating, file.speaks_for, file.record) == (True, None, Listed.NOT_LISTED)
    assert [finding.kind.value for finding in found.findings] == ["planted-sbom"]


def test_all_of_pypi_s_bytes_need_nothing_that_tells(scene: Scene, tmp_path: Path) -> None:
    ours, theirs = builds(tmp_path, CODE, same_metadata=True)
    scene.install(theirs)
    account = only(explained(scene, [ours], [theirs]))
    assert account.distribution.origin is Origin.UPSTREAM
    assert account.compared_with == "upstream"
    assert "that is enough for PyPI's" in said(account)


def test_built_from_source(scene: Scene, pair: tuple[Path, Path], tmp_path: Path) -> None:
    own = wheels.make_wheel(tmp_path, "demo", "1.0", CODE, generator="here 1", metadata_version="2.2")
    scene.install(own)
    account = only(explained(scene, [pair[0]], [pair[1]]))
    assert account.distribution.origin is Origin.SOURCE
    assert "No file speaks for either side" in said(account)
    assert account.compared_with in ("chainguard", "upstream")


def test_no_wheel_of_this_version(scene: Scene, pair: tuple[Path, Path], tmp_path: Path) -> None:
    scene.install(wheels.make_wheel(tmp_path, "demo", "7.0", CODE))
    account = only(explained(scene, [pair[0]], [pair[1]]))
    assert account.distribution.origin is Origin.UNKNOWN
    assert (account.chainguard, account.upstream, account.compared_with, account.candidates) == (None, None, None, ())
    assert [(answer.listed, answer.of_version) for answer in account.answers] == [(1, 0), (1, 0)]
    assert "chainguard-shelf was asked, and it lists 1 other version" in said(account)
    assert {file.state for file in account.files} == {Stand.NOT_COMPARED, Stand.GENERATED}
    assert by_name(account)["demo/core.py"].record is Listed.LISTED


def test_an_index_without_an_answer(scene: Scene, pair: tuple[Path, Path]) -> None:
    scene.install(pair[0])
    (scene.site / "demo/core.py").unlink()
    refusing = Shelf(wheels=[], role=Role.UPSTREAM, refuses="503")
    account = only(explained(scene, [pair[0]], refusing))
    assert account.distribution.origin is Origin.UNCHECKED
    assert account.failures == ("upstream-shelf: 503",)
    assert "because an index of that role could not be asked" in said(account)
    assert account.chainguard is not None


def test_only_one_side_was_given(scene: Scene, pair: tuple[Path, Path]) -> None:
    scene.install(pair[0])
    account = only(explained(scene, [pair[0]], None))
    assert account.upstream is None
    assert "because no index of that role was given" in said(account)
    assert "the files that belong to one build alone decide: 3 of 3 of them speak for it" in said(account)


def test_why_other_files_were_not_chosen(scene: Scene, pair: tuple[Path, Path], tmp_path: Path) -> None:
    windows = wheels.make_wheel(tmp_path / "win", "demo", "1.0", CODE, tag="cp311-cp311-win_amd64")
    sdist = tmp_path / "demo-1.0.tar.gz"
    sdist.write_bytes(b"source")
    scene.install(pair[0])
    (scene.site / "demo/core.py").write_bytes(b"evil\n")
    account = only(explained(scene, [pair[0], pair[1]], [pair[1], windows, sdist]))
    reasons = {(one.filename, one.index): one.reason for one in account.candidates}
    assert reasons == {
        (pair[1].name, "upstream-shelf"): "2 files there with its bytes, 3 with other bytes",
        (windows.name, "upstream-shelf"): "not for Python 3.11 on linux/amd64",
        (sdist.name, "upstream-shelf"): "a source archive: there are no installed files to compare with",
        (pair[0].name, "chainguard-shelf"): (
            "the files are compared with this one: 5 files there with its bytes, 1 with other bytes"
        ),
        (pair[1].name, "chainguard-shelf"): f"the same bytes as {pair[1].name} of upstream-shelf, and so whose that is",
    }
    assert [one.filename for one in account.candidates if one.chosen] == [pair[0].name]
    assert {one.tags for one in account.candidates} == {"py3-none-any", "cp311-cp311-win_amd64", ""}


def test_an_upload_of_one_s_own_is_nobody_s(scene: Scene, pair: tuple[Path, Path]) -> None:
    scene.install(pair[1])
    account = only(explained(scene, [pair[1]], []))
    assert account.distribution.origin is Origin.UNKNOWN
    assert account.chainguard is not None
    assert (account.chainguard.origin, account.chainguard.evidence) == (Origin.UNKNOWN, None)
    assert "nothing says that Chainguard built it" in said(account)


# --- other kinds ---


def test_a_part_of_another_is_shown_beside_that_one_s_wheels(scene: Scene, tmp_path: Path) -> None:
    inner = {
        "demo/_vendor/inner-3.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: inner\nVersion: 3.0\n",
        "demo/_vendor/inner/__init__.py": b"inner = 3\n",
    }
    ours, theirs = builds(tmp_path, {**CODE, **inner})
    scene.install(ours)
    (scene.site / "demo/_vendor/inner/__init__.py").write_bytes(b"changed\n")
    account = only(explained(scene, [ours], [theirs], "inner"))
    assert (account.distribution.kind.value, account.distribution.integrity.value) == ("vendored", "modified")
    assert {file.path.rpartition("/_vendor/")[2]: file.state for file in account.files} == {
        "inner-3.0.dist-info/METADATA": Stand.MATCHED,
        "inner/__init__.py": Stand.MODIFIED,
    }
    assert "the wheels below are those of demo" in said(account)


def test_what_the_operating_system_owns(scene: Scene) -> None:
    trees.debian_distribution(scene.root, "demo-os", "2.1", {"demo_os/__init__.py": b"1\n"})
    account = only(explained(scene, [], [], "demo-os"))
    assert account.distribution.origin is Origin.OS
    states = {file.path.rpartition("/")[2]: file.state for file in account.files}
    assert states["METADATA"] is Stand.MATCHED
    assert states["__init__.py"] is Stand.NOT_COMPARED
    assert (account.candidates, account.answers) == ((), ())
    assert "decides, so no index was asked" in said(account)


def test_a_local_install(scene: Scene, tmp_path: Path) -> None:
    own = wheels.make_wheel(tmp_path, "demo", "0.1", CODE)
    info = scene.install(own)
    (info / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {"editable": true}}')
    account = only(explained(scene, [], []))
    assert account.distribution.origin is Origin.LOCAL
    assert "which is a claim" in said(account)


@pytest.mark.parametrize("changed", [False, True])
def test_a_wheel_file(scene: Scene, pair: tuple[Path, Path], changed: bool) -> None:
    folder = scene.root / "wheels"
    folder.mkdir()
    shutil.copy(pair[0], folder)
    if changed:
        members = wheels.read_members(pair[0])
        target = folder / pair[0].name
        wheels.write_wheel(target, [*members], record="demo-1.0.dist-info/RECORD")
        with target.open("ab") as file:
            file.write(b"\0" * 22)
    account = only(explained(scene, [pair[0]], [pair[1]]))
    assert account.distribution.kind.value == "wheel"
    assert ("No index lists a file with its sha256" in said(account)) is changed
    assert account.chainguard is not None
    assert account.upstream is not None
    names = {file.path.partition("!/")[2] for file in account.files}
    assert "demo/core.py" in names


# --- which one is meant ---


def test_names_are_normalised(scene: Scene, tmp_path: Path) -> None:
    wheel = wheels.make_wheel(tmp_path, "Zope.Demo_x", "1.0", CODE)
    scene.install(wheel)
    assert explained(scene, [], [wheel], "zope-DEMO.x").name == "zope-demo-x"


def test_all_are_shown_unless_one_is_picked(scene: Scene, pair: tuple[Path, Path]) -> None:
    scene.install(pair[0])
    shutil.copytree(scene.site, scene.root / "opt/other/lib/python3.11/site-packages")
    (scene.root / "wheels").mkdir()
    shutil.copy(pair[0], scene.root / "wheels")
    other = "/opt/other/lib/python3.11/site-packages"
    found = explained(scene, [pair[0]], [pair[1]])
    assert [account.distribution.kind.value for account in found.distributions] == ["installed", "installed", "wheel"]
    for place, kind in ((other + "/", "installed"), ("/wheels", "wheel"), (f"/wheels/{pair[0].name}", "wheel")):
        [account] = explained(scene, [pair[0]], [pair[1]], environment=place).distributions
        assert account.distribution.kind.value == kind
    with pytest.raises(UsageError) as caught:
        explained(scene, [pair[0]], [pair[1]], environment="/srv")
    assert caught.value.hint == f"it is in {other}, /{SITE}, /wheels"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("dmeo", "did you mean demo?"), ("xyzzy", "'cgscan scan' lists what there is")],
)
def test_not_there(scene: Scene, pair: tuple[Path, Path], name: str, hint: str) -> None:
    scene.install(pair[0])
    with pytest.raises(UsageError, match=f"there is no distribution {name}") as caught:
        explained(scene, [pair[0]], [pair[1]], name)
    assert caught.value.hint == hint


def test_nothing_is_there(scene: Scene) -> None:
    with pytest.raises(UsageError, match="there is no distribution demo") as caught:
        explained(scene, [], [])
    assert caught.value.hint == "there is no distribution in it at all"


@pytest.mark.parametrize("name", ["", "a b", "demo==1.0", "../x", "\x1b[31m", "a" * 300, "é"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="is no project's name"):
        Asked.of(name)


def test_findings_about_it_are_with_it(scene: Scene, pair: tuple[Path, Path]) -> None:
    scene.install(pair[0])
    (scene.site / "demo/evil.py").write_bytes(b"evil\n")
    (scene.site / "other").mkdir()
    (scene.site / "other/evil.py").write_bytes(b"evil\n")
    found = explained(scene, [pair[0]], [pair[1]])
    assert [(one.kind.value, one.path) for one in found.findings] == [("unowned-file", f"/{SITE}/demo/evil.py")]


# --- layers ---


def test_layers_of_files_and_what_is_hidden(scene: Scene, pair: tuple[Path, Path], tmp_path: Path) -> None:
    scene.install(pair[1])
    first = layer_from_tree(scene.root)
    before = Path(shutil.copytree(scene.root, tmp_path / "before"))
    shutil.rmtree(scene.site / "demo-1.0.dist-info")
    scene.install(pair[0])
    (scene.site / "demo/core.py").write_bytes(b"changed\n")
    layout = write_oci_layout(tmp_path / "image", [first, layer_from_tree(scene.root, previous=before)])
    target = f"oci-dir:{layout}"
    account = only(explained(target, [pair[0]], [pair[1]]))
    files = by_name(account)
    assert (files["demo/core.py"].layer, files["demo/core.py"].layers) == (1, (0, 1))
    assert (files["demo/data.txt"].layer, files["demo/data.txt"].layers) == (0, (0,))
    found = explained(target, [pair[0]], [pair[1]], options=Options(all_layers=True))
    lower = next(account for account in found.distributions if account.distribution.hidden)
    assert lower.distribution.origin is Origin.UPSTREAM
    assert by_name(lower)["demo/core.py"].state is Stand.MATCHED


# --- the schema ---


def test_the_schema_is_one_and_its_distributions_are_the_report_s() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    report = json.loads((SCHEMAS / "report.schema.json").read_text("utf-8"))
    assert SCHEMA["$defs"]["distribution"] == report["$defs"]["distribution"]
    for name in ("tool", "target", "indexes"):
        assert SCHEMA["properties"][name] == report["properties"][name]


def test_the_fields_are_those_of_the_schema_in_its_order(scene: Scene, pair: tuple[Path, Path]) -> None:
    scene.install(pair[0])
    data = as_object(explained(scene, [pair[0]], [pair[1]]))
    account, parts = data["distributions"][0], SCHEMA["$defs"]
    assert list(data) == list(SCHEMA["properties"])
    assert list(account) == list(parts["account"]["properties"])
    for field, definition in (("files", "file"), ("candidates", "candidate")):
        assert list(account[field][0]) == list(parts[definition]["properties"])
    assert list(account["chainguard"]) == list(parts["side"]["properties"])
    assert list(account["record"]) == list(parts["account"]["properties"]["record"]["oneOf"][1]["properties"])
    assert not VALIDATOR.is_valid({**data, "distributions": [{**account, "compared_with": "moon"}]})
