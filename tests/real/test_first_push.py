"""The page "from zero to a scanned push in five minutes", followed word for word but for two ports."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from tests.registries import free_port, needed

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/first-push.md"
TAKEN: Final = ("scanner", "fixtures", "requirements", "Makefile", "pyproject.toml", "README.md", "LICENSE")
"""What of a checkout the commands need."""
_SECONDS: Final = 300


def commands() -> str:
    return "\n".join(re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE.read_text("utf-8")))


def checkout(folder: Path) -> Path:
    """A copy of this one, with the same .venv, so that 'make' has nothing to install again."""
    folder.mkdir()
    for name in TAKEN:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def test_from_zero_to_a_scanned_push(tmp_path: Path) -> None:
    for program in ("docker-registry", "skopeo", "curl", "make"):
        needed(program)
    script = commands()
    for port in ("8087", "5000"):
        assert script.count(port) > 2
        script = script.replace(port, str(free_port()))
    place = checkout(tmp_path / "checkout")
    said = place / "said"
    environment = {**os.environ, "CGSCAN_CACHE_DIR": str(tmp_path / "cache")}
    with said.open("wb") as out:
        command = ["bash", "-eux", "-o", "pipefail", "-c", script]
        process = subprocess.Popen(command, cwd=place, env=environment, stdout=out, stderr=out, start_new_session=True)
        try:
            status = process.wait(_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    text = said.read_text("utf-8")
    assert status == 0, text[-4000:]
    assert "!   blinker       1.9.0      chainguard  modified       1  available" in text
    quoted = re.findall(r"(?m)^(registry:.*|Coverage .*)$", PAGE.read_text("utf-8"))
    assert len(quoted) == 2
    assert quoted[0].partition("/")[2] in text
    assert quoted[1] in text
    assert (place / "build/first/data/cgscan.sqlite").is_file()
