"""Completion as real shells do it: typed at a terminal in bash and zsh, asked of fish."""

from __future__ import annotations

import os
import re
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import pytest

from scanner.cli import main
from scanner.cli.entry import commands
from scanner.cli.shells import SHELLS
from scanner.cli.words import words_of
from scanner.variables import COMPLETE
from tests.registries import needed

ROOT: Final = Path(__file__).parents[1]
DEADLINE: Final = 60.0
"""Seconds until a shell must have answered."""
SETUP: Final = {
    "bash": 'PS1= ; PROMPT_COMMAND= ; bind "set enable-bracketed-paste off"; eval "$(cgscan completion bash)"',
    "zsh": 'PROMPT= ; RPROMPT= ; unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; eval "$(cgscan '
    'completion zsh)"',
}
START: Final = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
PRINT: Final = {"bash": "printf '%s ' ", "zsh": "print -r -- "}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files, a configuration and the command."""
    script = tmp_path / "bin" / "cgscan"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m scanner "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "app.tar").touch()
    (tmp_path / "cgscan.yaml").write_text(
        "indexes:\n- {name: libraries, role: chainguard, url: 'https://one.example/simple'}\n"
        "- {name: mirror, role: upstream, url: 'https://two.example/simple'}\n"
    )
    return tmp_path


class Terminal:
    """A shell at a terminal of its own."""

    def __init__(self, shell: str, fd: int) -> None:
        self.shell = shell
        self.fd = fd

    def line(self, text: str) -> str:
        """What the line is after these keys; tab among them completes."""
        end = " '>>'\n"
        return self._answer(f"{text}\x01{PRINT[self.shell]}'<<' \x05{end}")

    def run(self, command: str) -> None:
        """A command, to its end."""
        self._answer(f"{command}; {PRINT[self.shell]}'<<' 'done' '>>'\n")

    def _answer(self, keys: str) -> str:
        os.write(self.fd, keys.encode())
        seen, until = "", time.monotonic() + DEADLINE
        while not (found := re.search(r"<< (.*?) +>>", seen, re.DOTALL)):
            left = until - time.monotonic()
            ready, _, _ = select.select([self.fd], [], [], max(left, 0))
            if not ready:
                pytest.fail(f"{self.shell} does not answer: {seen[-500:]!r}")
            seen += os.read(self.fd, 65536).decode("utf-8", "replace")
        return re.sub(r"\s+", " ", found[1])


@contextmanager
def terminal(shell: str) -> Iterator[Terminal]:
    program = needed(shell)
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [program, *START[shell][1:]], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as child:
        os.close(theirs)
        try:
            one = Terminal(shell, ours)
            one.run(SETUP[shell])
            yield one
        finally:
            child.kill()
            os.close(ours)


TYPED = {
    "cgscan compl\t": "cgscan completion",
    "cgscan scan --fail-on unch\t": "cgscan scan --fail-on unchecked",
    "cgscan scan --fail-on upstream,unch\t": "cgscan scan --fail-on upstream,unchecked",
    "cgscan scan --outp\t": "cgscan scan --output",
    "cgscan scan -o cyc\t": "cgscan scan -o cyclonedx",
    "cgscan scan --output=cyc\t": "cgscan scan --output=cyclonedx",
    "cgscan scan --index lib\t": "cgscan scan --index libraries",
    "cgscan scan --upstream mir\t": "cgscan scan --upstream mirror",
    "cgscan scan --min-evidence att\t": "cgscan scan --min-evidence attested",
    "cgscan scan docker-archive:images/a\t": "cgscan scan docker-archive:images/app.tar",
    "cgscan scan imag\tapp\t": "cgscan scan images/app.tar",
    "cgscan index pu\t": "cgscan index pull",
}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_what_is_typed_at_a_terminal(place: Path, shell: str) -> None:
    with terminal(shell) as one:
        assert {keys: one.line(keys) for keys in TYPED} == TYPED


def test_what_fish_is_offered(place: Path) -> None:
    fish = needed("fish")

    def offered(line: str) -> list[str]:
        code = f"cgscan completion fish | source; complete -C {shlex.quote(line)}"
        done = subprocess.run([fish, "--no-config", "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert done.stderr == ""
        return [row.partition("\t")[0] for row in done.stdout.splitlines()]

    assert offered("cgscan compl") == ["completion"]
    assert offered("cgscan scan --fail-on unch") == ["unchecked"]
    assert offered("cgscan scan --index lib") == ["libraries"]
    assert offered("cgscan scan docker-archive:images/a") == ["docker-archive:images/app.tar"]
    assert offered("cgscan scan -o html=imag") == ["html=images/"]


def asked(line: str, shell: str = "fish") -> subprocess.CompletedProcess[str]:
    """What the program answers a shell."""
    environment = {**os.environ, COMPLETE: f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": ""}
    command = [sys.executable, "-m", "scanner"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)


def words(line: str) -> list[str]:
    done = asked(line)
    assert (done.returncode, done.stderr) == (0, "")
    return [row.split("\x1f")[2] for row in done.stdout.splitlines()]


def _broken(place: Path) -> None:
    (place / "cgscan.yaml").write_text("indexes: [{")


def _hostile(place: Path) -> None:
    (place / "cgscan.yaml").write_text(
        'indexes:\n- {name: "a\\eb$(touch x)", role: chainguard, url: "https://a/simple"}\n'
    )


def _gone(place: Path) -> None:
    (place / "cgscan.yaml").unlink()


@pytest.mark.parametrize("change", [_broken, _hostile, _gone])
def test_a_configuration_that_is_wrong_has_no_names_and_no_error(place: Path, change: Callable[[Path], None]) -> None:
    assert "libraries" in words("cgscan scan --index ")
    change(place)
    done = asked("cgscan scan --index ")
    assert (done.returncode, done.stderr) == (0, "")
    assert "libraries" not in done.stdout
    assert "\x1b" not in done.stdout
    assert "unchecked" in words("cgscan scan --fail-on ")


@pytest.mark.parametrize(
    "line", ["cgscan 'unclosed", "cgscan \\", "", "cgscan scan --nothing x ", "\x00".replace("\x00", "\x7f")]
)
@pytest.mark.parametrize("shell", [*SHELLS, "tcsh"])
def test_no_line_makes_an_error(place: Path, line: str, shell: str) -> None:
    done = asked(line, shell)
    assert (done.returncode, done.stderr) == (0, "")


def every(command: click.Command) -> Iterator[click.Parameter]:
    yield from command.params
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        yield from every(below)


def test_every_place_that_takes_a_text_is_known() -> None:
    unknown = {
        str(one.metavar)
        for one in every(commands)
        if one.type is click.STRING and not (isinstance(one, click.Option) and one.is_flag) and words_of(one) is None
    }
    assert unknown == set()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert f"{COMPLETE}={shell}_complete" in capsys.readouterr().out


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "'tcsh'" in capsys.readouterr().err


def test_completing_imports_nothing_slow(place: Path) -> None:
    code = (
        "import sys; from scanner.cli import main; main()\n"
        "print(*sorted(n for n in sys.modules if n in {'httpx', 'rich', 'docker', 'ssl', 'jinja2'}), file=sys.stderr)"
    )
    environment = {**os.environ, COMPLETE: "fish_complete", "COMP_WORDS": "cgscan scan --fail-on ", "COMP_CWORD": ""}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not loaded & {"httpx", "rich", "docker", "ssl", "jinja2"}
