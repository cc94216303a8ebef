"""Lock files by the tools that write them: refused, changed by ``plan --lock --write``, and installed from.

One URL serves PyPI's files while a tool locks, and Chainguard's afterwards, as a repository manager does. Besides
projects with the same file name on both sides there is one whose tags differ (markupsafe), one that is compiled by
PyPI and pure from source (charset-normalizer), and for uv one that PyPI has as a source archive only (itsdangerous).
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures import wheels
from scanner.cli import main
from tests import stores
from tests.real.stock import one_process
from tests.real.test_tool_caches import tool
from tests.swaps import Swap, swap

pytestmark = pytest.mark.real

WANTED = ("idna==3.10", "markupsafe==3.0.2", "charset-normalizer==3.4.1")
SOURCE = "itsdangerous==2.2.0"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
UV = [sys.executable, "-m", "uv"]
HASH_LINE = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """An index that is swapped, one that stays PyPI's, the two builds, and a folder for a project."""

    index: Swap
    upstream: Swap
    pypi: Sequence[Path]
    chainguard: Sequence[Path]
    folder: Path

    def write(self, name: str) -> None:
        """Let cgscan write the hashes while the index serves Chainguard's; no other line may change."""
        self.index.put(self.chainguard)
        path = self.folder / name
        before = path.read_bytes()
        self.plan(name, "--diff")
        assert path.read_bytes() == before
        self.plan(name, "--write")
        changed = changed_lines(before, path.read_bytes())
        assert changed
        assert all(HASH_LINE.search(line) for line in changed if not is_frame(line)), changed
        after = path.read_bytes()
        self.plan(name, "--write")
        assert path.read_bytes() == after, "there is nothing to write any more"

    def plan(self, name: str, *more: str) -> None:
        where = ["--index", self.index.url, "--upstream", self.upstream.url, "--no-cache", "-q"]
        assert main(["plan", "--lock", str(self.folder / name), *where, *more]) == 0


def changed_lines(before: bytes, after: bytes) -> list[str]:
    """What is added or gone, with its sign."""
    lines = difflib.ndiff(before.decode().splitlines(), after.decode().splitlines())
    return [line for line in lines if line[0] in "+-"]


def is_frame(line: str) -> bool:
    """The brackets of a list that was begun, or what pip writes around a hash: headers, name, URL, empty lines."""
    return re.fullmatch(r"\+ (wheels = \[|\]|)", line) is not None or line[2:].startswith(
        ("[[packages.wheels]]", "[packages.wheels.hashes]", "name = ", "url = ", "size = ", "upload-time = ")
    )


@pytest.fixture(scope="module")
def builds() -> tuple[list[Path], list[Path]]:
    """PyPI's files and Chainguard's, of the wanted ones and of the one that PyPI has no wheel of."""
    try:
        with one_process():
            pypi = [wheels.download_wheel(one, python=PYTHON) for one in WANTED] + [wheels.download_sdist(SOURCE)]
            return pypi, [wheels.rebuild(one) for one in (*WANTED, SOURCE)]
    except wheels.FixtureUnavailable as problem:
        pytest.skip(str(problem))


@pytest.fixture
def scene(builds: tuple[list[Path], list[Path]], tmp_path: Path) -> Iterator[Scene]:
    pypi, chainguard = builds
    folder = tmp_path / "app"
    folder.mkdir()
    with swap(pypi) as index, swap(pypi) as upstream:
        yield Scene(index=index, upstream=upstream, pypi=pypi, chainguard=chainguard, folder=folder)


def ran(command: Sequence[str | Path], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A tool, without this machine's configuration."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(stores._DROPPED)}
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env={**kept, "PIP_CONFIG_FILE": os.devnull, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def succeeds(command: Sequence[str | Path], folder: Path, **environment: str) -> None:
    done = ran(command, folder, **environment)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def refuses(command: Sequence[str | Path], folder: Path, **environment: str) -> None:
    """It does not install what Chainguard built."""
    done = ran(command, folder, **environment)
    assert done.returncode != 0, done.stdout[-2000:]


def chainguards(environment: Path) -> list[str]:
    """The projects in an environment that have Chainguard's SBOM, of all that were wanted."""
    found = sorted(environment.rglob("*.dist-info/sboms/sbom.spdx.json"))
    return [path.parent.parent.name.partition("-")[0] for path in found]


ALL = ["charset_normalizer", "idna", "markupsafe"]


def project(scene: Scene, tables: str, *more: str) -> None:
    """A project that needs the wanted ones."""
    needs = ", ".join(f'"{requirement}"' for requirement in (*WANTED, *more))
    head = f'[project]\nname = "app"\nversion = "1"\nrequires-python = "=={PYTHON}.*"\ndependencies = [{needs}]\n'
    (scene.folder / "pyproject.toml").write_text(head + tables)


# -- uv


def test_uv_lock(scene: Scene, tmp_path: Path) -> None:
    project(scene, f'[[tool.uv.index]]\nurl = "{scene.index.url}"\ndefault = true\n', SOURCE)

    def uv(cache: str, *words: str) -> list[str | Path]:
        return [*UV, *words, "--cache-dir", tmp_path / cache, "--python", sys.executable]

    succeeds(uv("1", "lock"), scene.folder)
    assert "size = " in (scene.folder / "uv.lock").read_text()
    scene.index.put(scene.chainguard)
    refuses(uv("2", "sync", "--locked"), scene.folder)
    scene.write("uv.lock")
    succeeds(uv("3", "lock", "--check"), scene.folder)
    succeeds(uv("3", "sync", "--locked"), scene.folder)
    assert chainguards(scene.folder / ".venv") == ["charset_normalizer", "idna", "itsdangerous", "markupsafe"]
    text = (scene.folder / "uv.lock").read_text()
    assert all(f"size = {path.stat().st_size} " in text for path in scene.chainguard)


def test_uv_lock_of_another_index(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written that would break it, and what is advised instead works: the versions stay."""
    with swap(scene.chainguard) as chainguard:
        table = '[[tool.uv.index]]\nurl = "{}"\ndefault = true\n'
        project(scene, table.format(scene.index.url))
        succeeds([*UV, "lock", "--cache-dir", tmp_path / "1", "--python", sys.executable], scene.folder)
        before = (scene.folder / "uv.lock").read_bytes()
        where = ["--index", chainguard.url, "--upstream", scene.upstream.url, "--no-cache", "-q"]
        assert main(["plan", "--lock", str(scene.folder / "uv.lock"), *where, "--write"]) == 0
        assert (scene.folder / "uv.lock").read_bytes() == before
        said = " ".join(capsys.readouterr().out.split())
        assert f'it has to become source = {{ registry = "{chainguard.url}" }}' in said
        project(scene, table.format(chainguard.url))
        succeeds([*UV, "lock", "--cache-dir", tmp_path / "2", "--python", sys.executable], scene.folder)
        succeeds([*UV, "sync", "--locked", "--cache-dir", tmp_path / "2", "--python", sys.executable], scene.folder)
        assert main(["plan", "--lock", str(scene.folder / "uv.lock"), *where, "-o", "csv"]) == 0
        rows = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
        assert [row[5] for row in rows] == ["no-index", "accepts", "accepts", "accepts"]
        assert chainguards(scene.folder / ".venv") == ALL


# -- pylock.toml


@pytest.mark.parametrize("writer", ["uv", "pip"])
def test_pylock(scene: Scene, tmp_path: Path, writer: str) -> None:
    (scene.folder / "wanted.in").write_text("\n".join(WANTED))
    pip = tool("pip-tools") / "pip"
    if writer == "uv":
        how: list[str | Path] = ["--generate-hashes", "--default-index", scene.index.url, "--cache-dir", tmp_path / "0"]
        succeeds([*UV, "pip", "compile", "-q", "wanted.in", "-o", "pylock.toml", *how], scene.folder)
    else:
        succeeds([pip, "lock", "-q", "--no-cache-dir", "-i", scene.index.url, "-r", "wanted.in"], scene.folder)

    def installs(number: int) -> list[list[str | Path]]:
        cache: list[str | Path] = ["--cache-dir", tmp_path / f"{number}"]
        uv: list[str | Path] = [*UV, "pip", "sync", "-q", "pylock.toml", "--target", f"uv{number}", *cache]
        return [uv, [pip, "install", "-q", "--no-cache-dir", "-r", "pylock.toml", "--target", f"pip{number}"]]

    scene.index.put(scene.chainguard)
    for command in installs(1):
        refuses(command, scene.folder)
    scene.write("pylock.toml")
    for command in installs(2):
        succeeds(command, scene.folder)
    assert chainguards(scene.folder / "uv2") == chainguards(scene.folder / "pip2") == ALL


# -- requirements.txt


@pytest.mark.parametrize("writer", ["uv", "pip-tools"])
def test_requirements(scene: Scene, tmp_path: Path, writer: str) -> None:
    (scene.folder / "wanted.in").write_text("\n".join(WANTED))
    if writer == "uv":
        command: list[str | Path] = [*UV, "pip", "compile", "-q", "--cache-dir", tmp_path / "0", "--default-index"]
    else:
        command = [tool("pip-tools") / "pip-compile", "-q", "--strip-extras", "--cache-dir", tmp_path / "0", "-i"]
    succeeds(
        [*command, scene.index.url, "--generate-hashes", "wanted.in", "-o", "requirements.txt"],
        scene.folder,
    )

    def installs(number: int) -> list[list[str | Path]]:
        how: list[str | Path] = ["-r", "requirements.txt", "--require-hashes", "--no-deps"]
        cache: list[str | Path] = ["--cache-dir", tmp_path / f"{number}", "--default-index", scene.index.url]
        uv: list[str | Path] = [*UV, "pip", "install", "-q", *how, "--target", f"uv{number}", *cache]
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-cache-dir", *how]
        return [uv, [*pip, "--target", f"pip{number}", "-i", scene.index.url]]

    scene.index.put(scene.chainguard)
    for command in installs(1):
        refuses(command, scene.folder)
    scene.write("requirements.txt")
    for command in installs(2):
        succeeds(command, scene.folder)
    assert chainguards(scene.folder / "uv2") == chainguards(scene.folder / "pip2") == ALL
    scene.index.put(scene.pypi)
    for command in installs(3):
        succeeds(command, scene.folder)
    assert chainguards(scene.folder / "uv3") == chainguards(scene.folder / "pip3") == [], "PyPI's are accepted still"


# -- Poetry, PDM, Pipenv


@pytest.mark.parametrize("name", [pytest.param("poetry-1.8", marks=pytest.mark.large), "poetry-2.5"])
def test_poetry_lock(scene: Scene, tmp_path: Path, name: str) -> None:
    source = f'[[tool.poetry.source]]\nname = "loop"\nurl = "{scene.index.url}"\npriority = "primary"\n'
    if name == "poetry-2.5":
        project(scene, f"[tool.poetry]\npackage-mode = false\n{source}")
    else:
        head = '[tool.poetry]\nname = "app"\nversion = "1"\ndescription = ""\nauthors = []\npackage-mode = false\n'
        needs = "".join('{} = "{}"\n'.format(*requirement.split("==")) for requirement in WANTED)
        text = f'{head}[tool.poetry.dependencies]\npython = "~{PYTHON}"\n{needs}{source}'
        (scene.folder / "pyproject.toml").write_text(text)

    def poetry(number: int, *words: str) -> tuple[list[str | Path], dict[str, str]]:
        where = {"POETRY_CACHE_DIR": str(tmp_path / f"{number}"), "POETRY_VIRTUALENVS_IN_PROJECT": "true"}
        return [tool(name) / "poetry", *words, "-n"], where

    def run(number: int, *words: str) -> None:
        command, environment = poetry(number, *words)
        succeeds(command, scene.folder, **environment)

    run(0, "lock")
    scene.index.put(scene.chainguard)
    command, environment = poetry(1, "install")
    refuses(command, scene.folder, **environment)
    scene.write("poetry.lock")
    run(2, "check", "--lock")
    run(2, "install")
    assert chainguards(scene.folder / ".venv") == ALL
    shutil.rmtree(scene.folder / ".venv")
    scene.index.put(scene.pypi)
    run(3, "install")
    assert chainguards(scene.folder / ".venv") == [], "PyPI's are accepted still"


@pytest.mark.parametrize("urls", [(), ("--static-urls",)], ids=["names", "urls"])
def test_pdm_lock(scene: Scene, tmp_path: Path, urls: tuple[str, ...]) -> None:
    source = f'[[tool.pdm.source]]\nname = "pypi"\nurl = "{scene.index.url}"\nverify_ssl = false\n'
    project(scene, f"[tool.pdm]\ndistribution = false\n{source}")
    succeeds([*UV, "venv", "--no-config", "-q", "--python", sys.executable, ".venv"], scene.folder)

    def pdm(*words: str) -> list[str | Path]:
        return [tool("pdm-hishel-1") / "pdm", *words]

    def where(number: int) -> dict[str, str]:
        return {"PDM_CACHE_DIR": str(tmp_path / f"{number}"), "PDM_CHECK_UPDATE": "0"}

    succeeds(pdm("use", "-f", "-q", ".venv/bin/python"), scene.folder, **where(0))
    succeeds(pdm("lock", "-q", *urls), scene.folder, **where(0))
    scene.index.put(scene.chainguard)
    refuses(pdm("sync"), scene.folder, **where(1))
    scene.write("pdm.lock")
    succeeds(pdm("lock", "--check"), scene.folder, **where(2))
    succeeds(pdm("sync"), scene.folder, **where(2))
    assert chainguards(scene.folder / ".venv") == ALL


def test_pdm_lock_of_another_source(scene: Scene, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With static URLs nothing is written that would break it, and what is advised instead works."""
    pdm, where = tool("pdm-hishel-1") / "pdm", {"PDM_CACHE_DIR": str(tmp_path / "cache"), "PDM_CHECK_UPDATE": "0"}
    table = '[tool.pdm]\ndistribution = false\n[[tool.pdm.source]]\nname = "pypi"\nurl = "{}"\nverify_ssl = false\n'
    path = scene.folder / "pdm.lock"
    with swap(scene.chainguard) as chainguard:
        project(scene, table.format(scene.index.url))
        succeeds([*UV, "venv", "--no-config", "-q", "--python", sys.executable, ".venv"], scene.folder)
        succeeds([pdm, "use", "-f", "-q", ".venv/bin/python"], scene.folder, **where)
        succeeds([pdm, "lock", "-q", "--static-urls"], scene.folder, **where)
        before = path.read_bytes()
        words = ["plan", "--lock", str(path), "--index", chainguard.url, "--upstream", scene.upstream.url, "--no-cache"]
        assert main([*words, "--write"]) == 0
        assert path.read_bytes() == before
        assert "'pdm lock --refresh'" in " ".join(capsys.readouterr().out.split())
        project(scene, table.format(chainguard.url))
        succeeds([pdm, "lock", "-q", "--refresh"], scene.folder, **where)
        assert main([*words, "-o", "csv"]) == 0
        rows = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
        assert [row[5] for row in rows] == ["accepts"] * 3


@pytest.mark.large
def test_pipfile_lock(scene: Scene, tmp_path: Path) -> None:
    needs = "".join('{} = "=={}"\n'.format(*requirement.split("==")) for requirement in WANTED)
    source = f'[[source]]\nurl = "{scene.index.url}"\nverify_ssl = false\nname = "loop"\n'
    (scene.folder / "Pipfile").write_text(f'{source}[packages]\n{needs}[requires]\npython_version = "{PYTHON}"\n')
    where = {
        "PIPENV_VENV_IN_PROJECT": "1",
        "PIPENV_IGNORE_VIRTUALENVS": "1",
        "PIPENV_PYTHON": sys.executable,
        "PIPENV_DEFAULT_PYTHON_VERSION": sys.executable,
    }

    def pipenv(number: int, *words: str) -> tuple[list[str | Path], dict[str, str]]:
        return [tool("pipenv") / "pipenv", *words], {**where, "PIPENV_CACHE_DIR": str(tmp_path / f"{number}")}

    def run(number: int, *words: str) -> None:
        command, environment = pipenv(number, *words)
        succeeds(command, scene.folder, **environment)

    run(0, "lock")
    scene.index.put(scene.chainguard)
    command, environment = pipenv(1, "sync")
    refuses(command, scene.folder, **environment)
    scene.write("Pipfile.lock")
    run(2, "verify")
    run(2, "sync")
    assert chainguards(scene.folder / ".venv") == ALL
