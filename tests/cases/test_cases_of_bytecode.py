"""Cases 35 and 36: byte code without a source, and byte code that is not its source's."""

from __future__ import annotations

import compileall
import importlib.util
import marshal
import os
import py_compile
from pathlib import Path

import pytest

from fixtures import trees
from scanner.distribution import Finding
from scanner.http import Client
from scanner.image import Platform
from scanner.index import Index, IndexSpec, Role
from scanner.indexes import open_index
from scanner.limits import DEFAULT_LIMITS
from scanner.pipeline import Options, scan
from scanner.reference import parse_reference
from scanner.report import Report
from scanner.store import NoStore
from tests.scenes import builds, copy_tree

CODE = {
    "demo/__init__.py": b"VERSION = '1.0'\n",
    "demo/core.py": b"def run():\n    return 42\n",
    "demo/more/__init__.py": b"",
    "demo/more/deep.py": b"def deep():\n    return 'deep'\n",
    "demo/data.json": b'{"answer": 42}\n',
    "single.py": b"x = 1\n",
    **{f"demo/part{number}.py": b"number = %d\n" % number for number in range(6)},
}
EVIL = "import os\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Role, Path]]:
    """Chainguard's wheel, and the index trees of both builds."""
    folder = tmp_path_factory.mktemp("served")
    ours, theirs = builds(folder, CODE)
    indexes = {Role.CHAINGUARD: ours, Role.UPSTREAM: theirs}
    return ours, {role: trees.simple_tree(folder / role.value, [wheel]) for role, wheel in indexes.items()}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, served: tuple[Path, dict[Role, Path]]) -> Path:
    """A root where pip has installed Chainguard's wheel, and compiled it."""
    root = tmp_path_factory.mktemp("installed") / "root"
    trees.install([served[0]], root, compile=True)
    return root


@pytest.fixture
def site(tmp_path: Path, installed: Path) -> Path:
    """A copy of it; its site-packages."""
    [site] = copy_tree(installed, tmp_path / "root").glob("usr/local/lib/python*/site-packages")
    return site


def judged(root: Path, served: tuple[Path, dict[Role, Path]], *, check: bool = False) -> Report:
    client = Client(limits=DEFAULT_LIMITS, offline=True)
    try:
        specs = [IndexSpec(location=str(tree), role=role) for role, tree in served[1].items()]
        indexes: list[Index] = [
            open_index(spec, client=client, store=NoStore(), limits=DEFAULT_LIMITS) for spec in specs
        ]
        options = Options(platform=Platform.parse("linux/amd64"), jobs=1, check_bytecode=check)
        [report] = scan(parse_reference(f"dir:{root}"), indexes=indexes, options=options)
    finally:
        client.close()
    return report


def words(report: Report) -> tuple[str, str]:
    [line] = report.distributions
    return line.origin.value, line.integrity.value


def of_kind(report: Report, kind: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.kind.value == kind]


# --- 35 ---


def make_sourceless(site: Path, *, keep: tuple[str, ...] = ()) -> None:
    """``compileall -b``, and the sources removed."""
    assert compileall.compile_dir(site, quiet=2, legacy=True)
    for source in site.rglob("*.py"):
        if source.name not in keep:
            source.unlink()
    for code in site.rglob("__pycache__/*.pyc"):
        code.unlink()


def test_case_35_byte_code_without_sources(site: Path, served: tuple[Path, dict[Role, Path]], tmp_path: Path) -> None:
    """Nothing of the code can be compared: not verified on the strength of the metadata, and each folder is named."""
    make_sourceless(site)
    report = judged(tmp_path / "root", served)
    assert words(report) == ("unknown", "none")
    assert report.distributions[0].reason.endswith("; sourceless: 11 .pyc files cannot be compared")
    found = of_kind(report, "unowned-file")
    shown = "/" + site.relative_to(tmp_path / "root").as_posix()
    assert [one.path for one in found] == [f"{shown}/demo", f"{shown}/single.pyc"]
    assert found[0].detail.startswith("10 importable files in it")
    assert found[0].detail.endswith("; all of them byte code without a source, which cannot be compared")
    assert found[1].detail.endswith("; it is byte code without a source")


def test_case_35_some_modules_without_sources(
    site: Path, served: tuple[Path, dict[Role, Path]], tmp_path: Path
) -> None:
    """What is left is Chainguard's and some is gone, as the contract has it; the reason and findings tell the rest."""
    core = site / "demo/core.py"
    py_compile.compile(str(core), cfile=str(core.with_suffix(".pyc")), doraise=True)
    core.unlink()
    report = judged(tmp_path / "root", served)
    assert words(report) == ("chainguard", "pruned")
    [line] = report.distributions
    assert line.reason.endswith("; sourceless: 1 .pyc file cannot be compared")
    [file] = [one for one in line.files if one.path.endswith("/demo/core.py")]
    assert file.note is not None
    assert file.note.endswith("/demo/core.pyc stands in its place and cannot be compared")
    [one] = of_kind(report, "unowned-file")
    assert one.path.endswith("/demo/core.pyc")


def test_case_35_sources_that_are_gone_are_pruned(
    site: Path, served: tuple[Path, dict[Role, Path]], tmp_path: Path
) -> None:
    """What is left in ``__pycache__`` nobody imports: no finding."""
    (site / "demo/more/deep.py").unlink()
    report = judged(tmp_path / "root", served)
    assert words(report) == ("chainguard", "pruned")
    assert "sourceless" not in report.distributions[0].reason
    assert report.findings == ()


# --- 36 ---


def poison(source: Path, *, flags: int = 0, later: int = 0) -> Path:
    """Other code in the place of a source's byte code, under a header that fits, or one of these."""
    code = Path(importlib.util.cache_from_source(str(source)))
    status = source.stat()
    rest = (int(status.st_mtime) + later).to_bytes(4, "little") + status.st_size.to_bytes(4, "little")
    header = importlib.util.MAGIC_NUMBER + flags.to_bytes(4, "little")
    code.write_bytes(header + rest + marshal.dumps(compile(EVIL, str(source), "exec", dont_inherit=True)))
    return code


@pytest.mark.parametrize(
    ("flags", "later", "does"),
    [
        (1, 0, "bound to no source (unchecked): Python runs it whatever the source says"),
        (0, 1, "another time"),
    ],
)
def test_case_36_poisoned_byte_code_that_its_header_betrays(
    site: Path, served: tuple[Path, dict[Role, Path]], tmp_path: Path, flags: int, later: int, does: str
) -> None:
    code = poison(site / "demo/core.py", flags=flags, later=later)
    report = judged(tmp_path / "root", served)
    assert words(report) == ("chainguard", "intact")
    [one] = of_kind(report, "stale-bytecode")
    assert one.path == "/" + code.relative_to(tmp_path / "root").as_posix()
    assert does in one.detail


@pytest.mark.parametrize("flags", [0, 1, 3])
def test_case_36_poisoned_byte_code_under_a_header_that_fits(
    site: Path, served: tuple[Path, dict[Role, Path]], tmp_path: Path, flags: int
) -> None:
    """Only compiling the source again tells: ``--check-bytecode``."""
    source = site / "demo/core.py"
    code = poison(source, flags=flags)
    if flags:
        data = code.read_bytes()
        code.write_bytes(data[:8] + importlib.util.source_hash(source.read_bytes()) + data[16:])
    [one] = of_kind(judged(tmp_path / "root", served, check=True), "stale-bytecode")
    assert one.path == "/" + code.relative_to(tmp_path / "root").as_posix()
    assert "code that is not what its source compiles to: Python runs it" in one.detail
    assert bool(of_kind(judged(tmp_path / "root", served), "stale-bytecode")) is (flags == 1)


@pytest.mark.parametrize("by", ["pip", "uv"])
@pytest.mark.parametrize("check", [False, True])
def test_case_36_what_installers_compiled_is_no_finding(
    served: tuple[Path, dict[Role, Path]], tmp_path: Path, by: trees.Installer, check: bool
) -> None:
    site = trees.install([served[0]], tmp_path / "root", by=by, layout="venv", compile=True)
    assert list(site.rglob("*.pyc"))
    report = judged(tmp_path / "root", served, check=check)
    assert words(report) == ("chainguard", "intact")
    assert report.findings == ()


def test_case_36_times_set_anew_are_one_line(site: Path, served: tuple[Path, dict[Role, Path]], tmp_path: Path) -> None:
    for path in site.rglob("*.py"):
        os.utime(path, (0, 0))
    [one] = judged(tmp_path / "root", served).findings
    assert (one.kind.value, one.path) == ("stale-bytecode", "/" + site.relative_to(tmp_path / "root").as_posix())
    assert "the sources are all of 1970-01-01" in one.detail
