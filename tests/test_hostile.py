"""Every attack of ``fixtures.hostile`` through the real command line, in bounded time and memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.hostile import EXPECTED, HOSTILE

ROOT = Path(__file__).resolve().parents[1]
MOST_SECONDS = 20
"""Of processor time: the wall clock also counts what else a busy machine does."""
MOST_MEMORY = 500
"""MiB, resident, at the highest."""

_RUNNER = """
import json, os, sys
import scanner.cli, scanner.pipeline, scanner.run  # once, and not again in each of the processes
folder, runs = sys.argv[1], json.load(sys.stdin)
for name, words in runs.items():
    process = os.fork()
    if process == 0:
        for number, stream in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{folder}/{name}.{stream}", os.O_WRONLY | os.O_CREAT), number)
        sys.argv = ["cgscan", *words]
        sys.exit(scanner.cli.main())
    _, status, used = os.wait4(process, 0)
    told = {"status": status, "seconds": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss // 1024}
    with open(f"{folder}/{name}.json", "w") as file:
        json.dump(told, file)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run of the program ended: exit status, both outputs, seconds of processor time, MiB."""

    status: int
    out: str
    err: str
    seconds: float
    memory: int

    @property
    def report(self) -> dict[str, Any]:
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def cgscan(folder: Path, runs: Mapping[str, Sequence[str]], **environment: str) -> dict[str, Ended]:
    """Run the program with each of these arguments, each time in a process of its own, in an empty home."""
    home, told = folder / "home", folder / "told"
    home.mkdir()
    told.mkdir()
    here = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(
        [sys.executable, "-c", _RUNNER, str(told)],
        input=json.dumps(runs).encode(),
        env={**here, **environment},
        cwd=home,
        check=True,
        timeout=600,
    )
    ended = {}
    for name in runs:
        used = json.loads((told / f"{name}.json").read_bytes())
        out, err = ((told / f"{name}.{stream}").read_text("utf-8", "strict") for stream in ("out", "err"))
        status = os.waitstatus_to_exitcode(used.pop("status"))
        ended[name] = Ended(status=status, out=out, err=err, **used)
    return ended


def target(made: Path) -> str:
    return f"oci-dir:{made}" if made.is_dir() else f"docker-archive:{made}"


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    folder = tmp_path_factory.mktemp("attacks")
    made = {name: make(folder / "images" / name) for name, make in HOSTILE.items()}
    return cgscan(folder, {name: ["scan", "--quiet", target(image), "-o", "json"] for name, image in made.items()})


@pytest.mark.parametrize("name", list(HOSTILE))
def test_attack(name: str, attacks: Mapping[str, Ended]) -> None:
    ended = attacks[name]
    assert "Traceback" not in ended.err
    assert "unexpected" not in ended.err
    assert ended.seconds < MOST_SECONDS
    assert ended.memory < MOST_MEMORY
    if EXPECTED[name] == "refused":
        assert ended.status == 2
        assert ended.out == ""
        assert re.fullmatch(r"cgscan: error: [^\n]+\n(hint: [^\n]+\n)?", ended.err), ended.err
    else:
        assert ended.status in (0, 1)
        honest = [one for one in ended.report["distributions"] if (one["name"], one["kind"]) == ("honest", "installed")]
        assert [(one["version"], one["layer"]) for one in honest] == [("1.0", 0)]
        assert EXPECTED[name] == "scanned" or ended.report["findings"]


def test_the_measure_measures(attacks: Mapping[str, Ended]) -> None:
    """A million entries take time and memory, and more of both than a layer that is refused at once."""
    flood, small = attacks["entry-flood"], attacks["not-a-tar"]
    assert flood.seconds - small.seconds > 0.5
    assert flood.memory - small.memory > 100


def test_a_process_of_its_own_ends_alike(tmp_path: Path) -> None:
    image = HOSTILE["damaged-header"](tmp_path / "image")
    command = [sys.executable, "-m", "scanner", "scan", "--quiet", target(image)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"cgscan: error: [^\n]*damaged header[^\n]*\n", done.stderr)


def test_no_file_is_written_but_where_it_may_be(tmp_path: Path) -> None:
    """Names that escape, links to the host and wheels on disk: nothing appears next to them, in the home or /tmp."""
    names = ["name-parent", "name-absolute", "link-out", "wheel-twins", "archive-path-out", "archive-link-out"]
    targets = {name: target(HOSTILE[name](tmp_path / "images" / name)) for name in names}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    before = listing(tmp_path / "images")
    runs = {name: ["scan", "--quiet", "--no-cache", one, "-o", "json"] for name, one in targets.items()}
    ended = cgscan(tmp_path, runs, TMPDIR=str(temporary))
    assert {one.status for one in ended.values()} == {0, 2}
    assert listing(tmp_path / "images") == before
    assert listing(temporary) == listing(tmp_path / "home") == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "images", "temporary", "told"]


def listing(folder: Path) -> list[tuple[str, bytes]]:
    files = sorted(folder.rglob("*"))
    return [(str(path.relative_to(folder)), path.read_bytes() if path.is_file() else b"") for path in files]


def test_nothing_of_a_target_reaches_a_terminal_or_a_page_raw(tmp_path: Path) -> None:
    names = ["name-escapes", "metadata-traversal", "record-not-csv", "metadata-not-utf8"]
    images = {name: target(HOSTILE[name](tmp_path / "images" / name)) for name in names}
    forms = ("table", "markdown", "csv")
    ended = cgscan(tmp_path, {f"{name}-{form}": ["scan", images[name], "-o", form] for name in names for form in forms})
    for name, one in ended.items():
        assert one.status in (0, 1), name
        assert controls(one.out) == controls(one.err) == set(), name
    assert all("evil" in ended[f"record-not-csv-{form}"].out for form in forms)
    page = ended["name-escapes-markdown"].out
    assert "evil" in page
    assert "<script" not in page
    assert "<img" not in page


def controls(text: str) -> set[str]:
    """Characters that a terminal obeys; rows of a CSV file may end in a carriage return."""
    text = text.replace("\r\n", "\n")
    return {one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs") and one != "\n"}
