"""What the tests of the doctor share: real wheels as both builds, and the command as people run it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures.wheels import FixtureUnavailable, download_wheel, rebuild
from scanner.cli import main
from tests.doctor.told import BOTH, COPIED, Doctor, Told, Wheels
from tests.repository_managers.vendors import SECRET


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody's real credentials and settings take part."""
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_", "CHAINGUARD_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def wheels() -> Wheels:
    """Real projects as both builds."""
    try:
        built, theirs = tuple(map(rebuild, BOTH)), tuple(map(download_wheel, BOTH))
        return Wheels(built=built, theirs=theirs, copied=download_wheel(COPIED))
    except FixtureUnavailable as problem:
        pytest.skip(str(problem))


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs the command; what it says holds no secret and moves no cursor."""

    def run(*arguments: str) -> Told:
        capsys.readouterr()
        status = main(["doctor", "-o", "json", *arguments])
        told, said = capsys.readouterr()
        assert SECRET not in told + said
        assert "\x1b" not in told + said
        assert "Traceback" not in said
        assert (status == 2) == (told == "")
        assert told or not said.count("error") > 1
        return Told(status=status, document=json.loads(told) if told else {"said": said})

    return run
