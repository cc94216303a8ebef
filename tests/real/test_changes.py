"""What happens to real wheels inside an image: every change is seen, in its layer, and nothing else is accused."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fixtures import images, trees, wheels
from tests.real.stock import Line, Stock, lines_of, odd_files, scanned, words

SITE = f"usr/local/lib/python{trees.RUNNING}/site-packages"
OURS = ("jmespath", "markupsafe", "zope-interface")
THEIRS = ("click", "httpie")
UNTOUCHED = dict.fromkeys(OURS, ("chainguard", "intact")) | dict.fromkeys(THEIRS, ("upstream", "intact"))


@dataclass(kw_only=True)
class Built:
    """An image that is being built: layer 0 is a base, layer 1 the installed wheels, and so on."""

    root: Path
    stock: Stock
    indexes: Mapping[str, str]
    before: list[Path] = field(default_factory=list)
    layers: list[images.LayerBlob] = field(default_factory=list)

    @property
    def site(self) -> Path:
        """The tree's site-packages."""
        return self.root / SITE

    def commit(self) -> None:
        """All changes since the last time become a layer."""
        previous = self.before[-1] if self.before else None
        self.layers.append(images.layer_from_tree(self.root, previous=previous))
        self.before.append(_copied(self.root, self.root.with_name(f"{self.root.name}-{len(self.layers)}")))

    def scan(self) -> tuple[dict[str, Line], list[dict[str, object]]]:
        """Lines by name, and findings."""
        layout = images.write_oci_layout(self.root.with_name("layout"), self.layers)
        report = scanned(f"oci-dir:{layout}:latest", self.indexes)
        assert [layer["diff_id"] for layer in report["target"]["layers"]] == [layer.diff_id for layer in self.layers]
        return lines_of(report), report["findings"]


def _copied(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target, symlinks=True))


@pytest.fixture(scope="session")
def installed(stock: Stock, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some projects of either build by pip, beside a base system's file."""
    root = tmp_path_factory.mktemp("installed") / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text("ID=test\n")
    trees.install([*stock.of("chainguard", *OURS), *stock.of("pypi", *THEIRS)], root)
    return root


@pytest.fixture
def built(installed: Path, stock: Stock, folders: Mapping[str, str], tmp_path: Path) -> Built:
    """An image with nothing committed yet but the base; the wheels are in the tree."""
    base = tmp_path / "base"
    (base / "etc").mkdir(parents=True)
    shutil.copy(installed / "etc/os-release", base / "etc")
    image = Built(root=_copied(installed, tmp_path / "root"), stock=stock, indexes=folders)
    image.before.append(base)
    image.layers.append(images.layer_from_tree(base))
    return image


def _others(lines: Mapping[str, Line], *changed: str) -> dict[str, tuple[str, str]]:
    return {name: words(line) for name, line in lines.items() if name not in changed}


def _untouched(*changed: str) -> dict[str, tuple[str, str]]:
    return {name: said for name, said in UNTOUCHED.items() if name not in changed}


def test_nothing_changed(built: Built) -> None:
    built.commit()
    lines, findings = built.scan()
    assert {name: words(line) for name, line in lines.items()} == UNTOUCHED
    assert {(line["layer"], *line["layers"]) for line in lines.values()} == {(1, 1)}
    assert findings == []


CODE = [
    ("jmespath", "jmespath/parser.py"),
    ("click", "click/core.py"),
    ("httpie", "httpie/core.py"),
    ("zope-interface", "zope/interface/adapter.py"),
]


@pytest.mark.parametrize("covered_up", [False, True], ids=["plain", "in-RECORD-too"])
@pytest.mark.parametrize("later", [False, True], ids=["same-layer", "later-layer"])
@pytest.mark.parametrize(("project", "file"), CODE)
def test_one_byte_of_code(built: Built, project: str, file: str, later: bool, covered_up: bool) -> None:
    if later:
        built.commit()
    wheels.flip_byte(built.site / file, 100)
    if covered_up:
        wheels.fix_record(built.site, file)
    built.commit()
    lines, findings = built.scan()
    line = lines[project]
    assert words(line) == (UNTOUCHED[project][0], "modified")
    assert odd_files(line) == [("modified", f"/{SITE}/{file}")]
    [odd] = line["files"]
    layer = 2 if later else 1
    assert (odd["layer"], odd["actual"]) == (layer, images.digest_of((built.site / file).read_bytes()))
    assert line["layer"] == (layer if covered_up else 1), "metadata with their bytes since"
    assert line["layers"] == ([1, 2] if later else [1])
    assert line["match"]["proved"]
    assert _others(lines, project) == _untouched(project)
    assert findings == []


def test_a_compiled_file(built: Built) -> None:
    [library] = built.site.glob("markupsafe/_speedups*.so")
    built.commit()
    wheels.flip_byte(library, -100)
    wheels.fix_record(built.site, f"markupsafe/{library.name}")
    built.commit()
    lines, _ = built.scan()
    assert words(lines["markupsafe"]) == ("chainguard", "modified")
    assert odd_files(lines["markupsafe"]) == [("modified", f"/{SITE}/markupsafe/{library.name}")]
    assert _others(lines, "markupsafe") == _untouched("markupsafe")


@pytest.mark.parametrize("change", ["line", "byte"])
def test_a_script_of_the_wheel(built: Built, change: str) -> None:
    """``*.data/scripts``: the first line may be rewritten, the rest may not; nor may the first line do more."""
    script = built.root / "usr/local/bin/jp.py"
    assert script.read_bytes().startswith(b"#!/usr/local/bin/python")
    if change == "byte":
        wheels.flip_byte(script, -10)
    else:
        _, _, rest = script.read_bytes().partition(b"\n")
        script.write_bytes(b"#!/usr/bin/python3 -c __import__('os').system('id') #\n" + rest)
    wheels.fix_record(built.site, "../../../bin/jp.py", file=script)
    built.commit()
    lines, _ = built.scan()
    assert words(lines["jmespath"]) == ("chainguard", "modified")
    assert odd_files(lines["jmespath"]) == [("modified", "/usr/local/bin/jp.py")]


def test_data_outside_of_site_packages(built: Built) -> None:
    page = built.root / "usr/local/share/man/man1/http.1"
    wheels.flip_byte(page, 50)
    built.commit()
    lines, _ = built.scan()
    assert words(lines["httpie"]) == ("upstream", "modified")
    assert odd_files(lines["httpie"]) == [("modified", "/usr/local/share/man/man1/http.1")]


# -- marks and metadata


@pytest.mark.parametrize("listed", [False, True], ids=["plain", "in-RECORD-too"])
def test_an_sbom_planted_in_pypis_build(built: Built, listed: bool) -> None:
    """Chainguard's own SBOM, copied bit for bit."""
    other = trees.install(built.stock.of("chainguard", "click"), built.root.with_name("elsewhere"))
    [info] = built.site.glob("click-*.dist-info")
    shutil.copytree(other / info.name / "sboms", info / "sboms")
    if listed:
        row = f"{info.name}/sboms/sbom.spdx.json"
        rows = wheels.read_record(info / "RECORD")
        added = wheels.record_row(row, (built.site / row).read_bytes())
        (info / "RECORD").write_bytes(wheels.record_bytes([*rows, added]))
    built.commit()
    lines, findings = built.scan()
    assert words(lines["click"]) == ("upstream", "intact")
    assert [(one["kind"], one["path"], one["layer"]) for one in findings] == [
        ("planted-sbom", f"/{SITE}/{info.name}/sboms", 1)
    ]


@pytest.mark.parametrize(("whose", "project"), [("chainguard", "jmespath"), ("pypi", "click")])
def test_metadata_that_tell_builds_apart_are_gone(built: Built, whose: str, project: str) -> None:
    """Pure code is the same in both builds: with WHEEL, METADATA and SBOM gone nobody can tell."""
    [info] = built.site.glob(f"{project}-*.dist-info")
    both = [dict(_members(built.stock.build(side)[project])) for side in ("chainguard", "pypi")]
    for name in {*both[0], *both[1]}:
        file = built.site / name
        if name.startswith(info.name) and both[0].get(name) != both[1].get(name) and file.name != "RECORD":
            file.unlink(missing_ok=True)
    (info / "RECORD").unlink()
    built.commit()
    lines, _ = built.scan()
    assert lines[project]["origin"] == "ambiguous"
    assert lines[project]["version"] == str(info.name).removesuffix(".dist-info").rpartition("-")[2]
    assert _others(lines, project) == _untouched(project)


def test_compiled_files_tell_without_metadata(built: Built) -> None:
    [info] = built.site.glob("markupsafe-*.dist-info")
    for file in info.iterdir():
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink()
    built.commit()
    lines, _ = built.scan()
    assert words(lines["markupsafe"]) == ("chainguard", "pruned")
    assert {state for state, _ in odd_files(lines["markupsafe"])} == {"missing"}


def test_metadata_of_the_other_build(built: Built) -> None:
    """Chainguard's dist-info over PyPI's code, and the other way round: compiled files cannot be talked away."""
    ours = trees.install(built.stock.of("chainguard", "click"), built.root.with_name("ours"))
    theirs = trees.install(built.stock.of("pypi", "markupsafe"), built.root.with_name("theirs"))
    _replace_info(built.site, ours, "click")
    _replace_info(built.site, theirs, "markupsafe", named="MarkupSafe")
    built.commit()
    lines, _ = built.scan()
    # every byte of Chainguard's wheel is there: whoever put it there, these are its files
    assert words(lines["click"]) == ("chainguard", "intact")
    [library] = built.site.glob("markupsafe/_speedups*.so")
    # of the two ways to read it, PyPI's wheel with one file changed needs the fewest changes
    assert words(lines["markupsafe"]) == ("upstream", "modified")
    assert odd_files(lines["markupsafe"]) == [("modified", f"/{SITE}/markupsafe/{library.name}")]
    assert _others(lines, "click", "markupsafe") == _untouched("click", "markupsafe")


def _replace_info(site: Path, other: Path, project: str, *, named: str | None = None) -> None:
    [old] = site.glob(f"{project}-*.dist-info")
    shutil.rmtree(old)
    [new] = other.glob(f"{named or project}-*.dist-info")
    shutil.copytree(new, site / new.name)


def _members(wheel: Path) -> Sequence[tuple[str, bytes]]:
    return [(info.filename, content) for info, content in wheels.read_members(wheel)]


# -- layers


@pytest.mark.parametrize("later", [False, True], ids=["same-layer", "later-layer"])
def test_tests_pruned(built: Built, later: bool) -> None:
    if later:
        built.commit()
    shutil.rmtree(built.site / "zope/interface/tests")
    built.commit()
    lines, findings = built.scan()
    line = lines["zope-interface"]
    assert words(line) == ("chainguard", "pruned")
    assert all(file.startswith(f"/{SITE}/zope/interface/tests/") for _, file in odd_files(line))
    assert {(file["state"], file["actual"], file["layer"]) for file in line["files"]} == {("missing", None, None)}
    assert (line["layer"], line["layers"]) == (1, [1])
    assert _others(lines, "zope-interface") == _untouched("zope-interface")
    assert findings == []


@pytest.mark.parametrize("by", ["pip", "uv"])
@pytest.mark.parametrize(
    ("project", "whose", "word"), [("markupsafe", "pypi", "upstream"), ("click", "chainguard", "chainguard")]
)
def test_reinstalled_from_the_other_index(
    built: Built, project: str, whose: str, word: str, by: trees.Installer
) -> None:
    built.commit()
    (built.root / "etc/motd").write_text("between\n")
    built.commit()
    trees.install(built.stock.of(whose, project), built.root, by=by)
    built.commit()
    lines, findings = built.scan()
    assert words(lines[project]) == (word, "intact")
    assert lines[project]["layer"] == 3
    assert 3 in lines[project]["layers"]
    assert lines[project]["installer"] == by
    assert {line["layer"] for name, line in lines.items() if name != project} == {1}
    assert _others(lines, project) == _untouched(project)
    assert findings == []


def test_removed_in_a_later_layer(built: Built) -> None:
    built.commit()
    trees.uninstall(built.site, "jmespath")
    built.commit()
    lines, findings = built.scan()
    assert {name: words(line) for name, line in lines.items()} == _untouched("jmespath")
    assert findings == []


def test_the_same_bytes_written_again(built: Built) -> None:
    """``chown -R`` writes every file into one more layer; none of the wheels moved."""
    built.commit()
    built.layers.append(images.layer_from_tree(built.root))
    lines, findings = built.scan()
    assert {name: words(line) for name, line in lines.items()} == UNTOUCHED
    assert {(line["layer"], *line["layers"]) for line in lines.values()} == {(1, 1, 2)}
    assert findings == []


def test_a_wheel_that_lies_in_a_lower_layer_and_is_gone(built: Built) -> None:
    wheel = built.stock.pypi["click"]
    (built.root / "wheels").mkdir()
    shutil.copy(wheel, built.root / "wheels")
    built.commit()
    shutil.rmtree(built.root / "wheels")
    built.commit()
    lines, _ = built.scan()
    assert {name: words(line) for name, line in lines.items()} == UNTOUCHED


# -- what no wheel accounts for


def test_a_file_that_nobody_brought(built: Built) -> None:
    built.commit()
    (built.site / "sitecustomize.py").write_text("import os\n")
    (built.site / "click/extra.py").write_text("x = 1\n")
    built.commit()
    lines, findings = built.scan()
    assert {name: words(line) for name, line in lines.items()} == UNTOUCHED
    assert {(one["kind"], one["path"], one["layer"]) for one in findings} == {
        ("unowned-file", f"/{SITE}/sitecustomize.py", 2),
        ("unowned-file", f"/{SITE}/click/extra.py", 2),
    }


def test_a_generated_script_that_does_more(built: Built) -> None:
    built.commit()
    script = built.root / "usr/local/bin/http"
    script.write_text(script.read_text() + "import socket\n")
    wheels.fix_record(built.site, "../../../bin/http", file=script)
    built.commit()
    lines, findings = built.scan()
    assert {name: words(line) for name, line in lines.items()} == UNTOUCHED
    assert [(one["kind"], one["path"], one["layer"]) for one in findings] == [
        ("modified-script", "/usr/local/bin/http", 2)
    ]
