"""The command line as a process sees it: what goes where, exit statuses, errors in one line."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import click
import pytest

import scanner
import scanner.run
from fixtures import hostile
from fixtures.demo import Demo
from scanner.cli import commands, main
from scanner.config import SETTINGS

ROOT = Path(__file__).parent.parent
SECRET = "hunter2-secret"


@pytest.fixture(autouse=True)
def _own_interrupts() -> Iterator[None]:
    """``main`` is made for a process of its own and leaves its handler behind."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _an_empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def demo(demo_parts: Demo) -> list[str]:
    """The arguments that scan the demo."""
    return demo_parts.command.split()[1:]


def cgscan(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "scanner", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert "Traceback" not in done.stderr or "--debug" in arguments
    return done


def paths(command: click.Command, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and group."""
    yield before
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from paths(below, (*before, name))


def help_of(*words: str) -> str:
    return cgscan(*words, "--help").stdout


# -- help ------------------------------------------------------------------------------------------


def test_version() -> None:
    done = cgscan("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cgscan {scanner.__version__}\n", "")


def test_help_imports_nothing_that_takes_time() -> None:
    code = (
        "import sys, scanner.cli; print(*sorted(n for n in sys.modules if n in {'httpx', 'rich', 'yaml', 'ssl', "
        "'docker', 'cyclonedx', 'spdx_tools'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_a_scan_against_folders_imports_nothing_that_it_does_without(demo: list[str]) -> None:
    code = (
        "import sys; from scanner.cli import main; main(sys.argv[1:])\n"
        "print(*sorted(n for n in sys.modules if n in {'httpx', 'rich', 'yaml', 'ssl', 'docker', 'tabulate', "
        "'cyclonedx', 'spdx_tools', 'packageurl'}))"
    )
    command = [sys.executable, "-c", code, *demo, "-o", "json=report.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("\n", "")


@pytest.mark.parametrize("words", list(paths(commands)), ids=" ".join)
def test_every_help_has_an_example(words: tuple[str, ...]) -> None:
    done = cgscan(*words, "--help")
    assert done.returncode == 0
    assert re.search(rf"\n  Examples?:\n    cgscan {' '.join(words)}", done.stdout)
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_every_setting_is_an_option_of_scan_or_of_explain() -> None:
    scan, explain = (
        {name for parameter in commands.commands[command].params for name in parameter.opts}
        for command in ("scan", "explain")
    )
    settings = {setting.flag for setting in SETTINGS}
    assert settings < scan | explain
    assert settings - scan == {"--vex"}


def test_documented_helps_are_the_real_ones() -> None:
    quoted = 0
    for file in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for words, text in re.findall(r"```text\n\$ cgscan ([\w ]*)--help\n(.*?)```", file.read_text(), re.DOTALL):
            assert text == help_of(*words.split()), f"{file.name} quotes another help of {words}"
            quoted += 1
    assert quoted


def test_documented_exit_statuses_agree() -> None:
    tables = [
        re.findall(r"^\| (\d+) \| ([^|:;]*[^|:; ])", file.read_text(), re.MULTILINE)
        for file in (ROOT / "README.md", ROOT / "docs" / "configuration.md")
    ]
    helped = re.findall(r"^    (\d)  ([^;\n]+)", help_of("scan"), re.MULTILINE)
    assert tables[0] == tables[1]
    assert tables[0][:3] == helped
    assert [status for status, _ in tables[0]] == ["0", "1", "2", "130"]


def test_documented_options_exist() -> None:
    known = {name for words in paths(commands) for name in re.findall(r"--[a-z][a-z-]+", help_of(*words))}
    for file in [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "Makefile", ROOT / "Dockerfile"]:
        for line in file.read_text().splitlines():
            if "cgscan scan" in line:
                assert set(re.findall(r" (--[a-z][a-z-]+)", line.partition("cgscan scan")[2])) <= known, line


# -- usage errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command"),
        (["cache"], "Missing command"),
        (["scann"], "No such command 'scann'"),
        (["scan"], "Missing argument 'TARGET...'"),
        (["scan", "x", "--nope"], "No such option '--nope'"),
        (["scan", "x", "--scope", "some"], "--scope: some is no scope; write squashed or all-layers"),
        (["scan", "x", "-o", "tabel"], "--output: there is no format tabel"),
        (["scan", "x", "-o", "table", "-o", "csv"], "two formats go to standard output"),
        (["scan", "x", "-o", "json=no/such/folder/x"], "cannot write no/such/folder/x"),
        (["scan", "x", "--platform", "linux"], "--platform: not a platform: 'linux'"),
        (["scan", "x", "--min-coverage", "101"], "--min-coverage: 101"),
        (["scan", "x", "--fail-on", "modified,unkown"], "--fail-on: 'unkown' is unknown"),
        (["scan", "x", "--min-evidence", "luck"], "--min-evidence: 'luck' is unknown"),
        (["scan", "x", "-j", "0"], "--jobs: 0 is no whole number"),
        (["scan", "x", "--limit", "layerz=3"], "did you mean layers?"),
        (["scan", "x", "--index", "nowhere"], "--index: nowhere is no URL, no path"),
        (["scan", "x", "--index", f"https://u:{SECRET}@h/simple", "--ca-file", "none.pem"], "none.pem"),
        (["scan", "x", "--index", f"ftp://u:{SECRET}@h/simple"], "--index: must be a URL"),
        (["scan", "x", "--config", "none.yaml"], "cannot read none.yaml: No such file"),
        (["scan", ""], "an empty TARGET"),
        (["scan", "registry:A B"], "not an image name"),
        (["scan", "dir:nowhere"], "nowhere"),
        (["scan", "x\x1b[31m\n\u202ey"], "\\x1b[31m"),
        (["scan", "dir:.", "--only", "upsteam"], "cannot filter by 'upsteam'; did you mean upstream?"),
        (["scan", "dir:.", "--group-by", "moon"], "cannot group by 'moon'"),
        (["cache", "show", "--config", "none.yaml"], "cannot read none.yaml"),
    ],
    ids=lambda value: ascii(" ".join(value))[:40] if isinstance(value, list) else "",
)
def test_what_makes_no_sense_is_one_line_and_a_hint(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith(("cgscan: note:", "cgscan: hint:"))]
    assert out == ""
    assert lines[0].startswith("cgscan: error: ")
    assert message in lines[0]
    assert all(line.startswith("hint: ") for line in lines[1:])
    assert len(lines) <= 2
    assert SECRET not in err
    assert "\x1b" not in err


# -- the main job ----------------------------------------------------------------------------------


def test_the_demo(demo: list[str]) -> None:
    done = cgscan(*demo)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Coverage 33.33 % (2 of 6 applicable)" in done.stdout


def test_the_readme_shows_what_the_demo_says(demo: list[str]) -> None:
    quoted = (ROOT / "README.md").read_text().partition("<!-- demo:start -->\n```text\n")[2].partition("```")[0]
    real = cgscan(*demo).stdout
    start = "\n\n/usr/local/lib/"  # what stands before has the demo's place in it
    assert quoted.partition(start)[2]
    assert quoted.partition(start)[2] == real.partition(start)[2]


def test_outputs_and_a_policy_that_does_not_hold(demo: list[str]) -> None:
    done = cgscan(*demo, "-o", "csv", "-o", "json=report.json", "--min-coverage", "90", "--fail-on", "modified,os")
    assert done.returncode == 1
    assert done.stdout.startswith("name,version,")
    report = json.loads(Path("report.json").read_text())
    assert report["summary"]["passed"] is False
    violations = report["summary"]["violations"]
    assert len(violations) == 3
    assert done.stderr.splitlines() == [f"cgscan: policy: {report['target']['reference']}: {v}" for v in violations]
    assert sorted(path.name for path in Path().iterdir()) == ["home", "report.json"]


def test_the_demo_as_sarif_and_sboms(demo: list[str]) -> None:
    done = cgscan(*demo, "-o", "sarif=a.sarif", "-o", "cyclonedx=a.cdx.json", "-o", "spdx")
    assert (done.returncode, done.stderr) == (0, "")
    packages = json.loads(done.stdout)["packages"]
    components = json.loads(Path("a.cdx.json").read_text())["components"]
    assert len(packages) == len(components) + 1 == 9
    assert {each["versionInfo"] for each in packages if each["name"] == "six"} == {"1.17.0"}
    (run,) = json.loads(Path("a.sarif").read_text())["runs"]
    assert [result["ruleId"] for result in run["results"]] == [
        "integrity-modified",
        "origin-ambiguous",
        "origin-upstream",
        "origin-upstream",
    ]
    assert run["properties"]["coverage"] == 33.33


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["dir:."], "cyclonedx holds one target, not 2"),
        (["--platform", "all"], "cyclonedx holds one image, and --platform all may be several"),
    ],
)
def test_an_sbom_of_several_targets_is_refused_before_the_scan(more: list[str], message: str, demo: list[str]) -> None:
    done = cgscan(*demo, *more, "-o", "cyclonedx=a.json", "-o", "sarif=a.sarif")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == f"cgscan: error: {message}"
    assert done.stderr.splitlines()[1].startswith("hint: ")
    assert not Path("a.sarif").exists()


def test_a_filter_changes_what_is_shown_and_nothing_else(demo: list[str]) -> None:
    done = cgscan(
        *demo, "--only", "unknown", "--group-by", "layer", "--fail-on", "modified", "-o", "table", "-o", "csv=a"
    )
    assert done.returncode == 1
    assert "Shown (--only): 0 of 8 distributions, 0 of 0 findings." in done.stdout
    assert "Coverage 33.33 % (2 of 6 applicable)" in done.stdout
    assert "1 distribution of integrity modified: blinker 1.9.0" in done.stdout
    assert len(Path("a").read_text().splitlines()) == 9


def test_the_environment_and_the_file_are_used(demo: list[str]) -> None:
    target, chainguard, upstream = demo[1], demo[3], demo[5]
    Path("cgscan.yaml").write_text(
        f"indexes:\n- {{name: ours, role: chainguard, path: {chainguard}}}\n"
        f"- {{name: theirs, role: upstream, path: {upstream}}}\npolicy: {{min_coverage: 90}}\n"
    )
    done = cgscan("scan", target, environment={"CGSCAN_OUTPUT": "json"})
    assert done.returncode == 1
    assert [index["name"] for index in json.loads(done.stdout)["indexes"]] == ["ours", "theirs"]
    done = cgscan("scan", target, "-o", "json", "--min-coverage", "30", "--index", "ours", "-v")
    assert done.returncode == 0
    assert [index["name"] for index in json.loads(done.stdout)["indexes"]] == ["ours"]
    assert done.stderr.splitlines()[:2] == [
        "cgscan: settings from cgscan.yaml",
        f"cgscan: index ours (chainguard): {chainguard}",
    ]


def test_several_targets_the_worst_status(demo: list[str], tmp_path: Path) -> None:
    broken = hostile.wrong_digest(tmp_path / "broken")
    arguments = [demo[0], demo[1], f"oci-dir:{broken}", "dir:nowhere", *demo[2:]]
    done = cgscan(*arguments, "-o", "json", "-o", "json=some.json", "-o", "csv=some.csv", "--min-coverage", "90")
    assert done.returncode == 2
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("cgscan: error: ")]
    assert len(errors) == 2
    assert "nowhere" in errors[1]
    assert json.loads(Path("some.json").read_text())["target"]["reference"] == demo[1]
    done = cgscan(demo[0], demo[1], demo[1], *demo[2:], "-o", "json")
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 2


def test_no_report_leaves_files_alone() -> None:
    Path("report.json").write_text("earlier")
    assert cgscan("scan", "dir:nowhere", "-o", "json=report.json").returncode == 2
    assert Path("report.json").read_text() == "earlier"


def test_without_an_index_a_hint_says_so(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    done = cgscan("scan", "dir:root")
    assert done.returncode == 0
    assert "nothing can be proved" in done.stderr
    assert "--index" in done.stderr
    assert cgscan("scan", "dir:root", "-q").stderr == ""


def test_an_index_out_of_reach_is_status_2_and_shows_no_secret(demo: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://user:{SECRET}@127.0.0.1:{taken.getsockname()[1]}/simple"
        done = cgscan(*demo[:2], "--index", url, "-v", "--debug", "--no-cache")
    assert done.returncode == 2
    assert done.stdout == ""
    assert SECRET not in done.stderr
    assert "127.0.0.1" in done.stderr


def test_offline_asks_no_network(demo: list[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        done = cgscan(*demo[:2], "--index", url, "--offline", "-o", "json")
        with pytest.raises(TimeoutError):
            server.accept()
    assert done.returncode == 0
    assert json.loads(done.stdout)["summary"]["by_origin"]["unchecked"] > 0


# -- files -----------------------------------------------------------------------------------------


def test_a_link_is_followed_and_kept(demo: list[str]) -> None:
    Path("real").mkdir()
    Path("link.json").symlink_to("real/report.json")
    assert cgscan(*demo, "-o", "json=link.json").returncode == 0
    assert Path("link.json").is_symlink()
    assert json.loads(Path("real/report.json").read_text())["schema"] == "cgscan-report/1"
    assert [path.name for path in Path("real").iterdir()] == ["report.json"]


def test_a_pipe_is_written_to_and_stays(demo: list[str]) -> None:
    os.mkfifo("pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()))
    reader.start()
    assert cgscan(*demo, "-o", "json=pipe").returncode == 0
    reader.join(timeout=30)
    assert json.loads(read[0])["schema"] == "cgscan-report/1"
    assert Path("pipe").is_fifo()


def test_a_file_that_cannot_be_written(demo: list[str]) -> None:
    done = cgscan(*demo, "-o", "json=/dev/full", "-o", "table")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0] == "cgscan: error: cannot write /dev/full: No space left on device"


# -- streams, signals, our own faults --------------------------------------------------------------


def test_a_reader_that_has_seen_enough_is_no_error(demo: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "scanner", *demo, "-o", "json"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_under_standard_output_is_an_error(demo: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "scanner", *demo]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr == "cgscan: error: cannot write to standard output: No space left on device\n"


def test_an_interrupt_is_130(demo: list[str]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/simple"
        command = [sys.executable, "-m", "scanner", *demo[:2], "--index", url, "--no-cache"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        server.settimeout(60)
        connection, _ = server.accept()  # it waits for an answer now, and gets none
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)  # less than one request may take
    assert (process.returncode, out, err) == (130, "", "cgscan: interrupted\n")


def test_our_own_faults_are_one_line_too(
    demo: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:  # there is no honest way to a fault that is not known
        raise EOFError("of\nours \x1b[31m")

    monkeypatch.setattr(scanner.run, "scan", fail)
    assert main(demo) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "cgscan: error: unexpected: EOFError: of ours \\x1b[31m",
        "hint: please report this, with what --debug prints",
    ]
    assert main([*demo, "--debug"]) == 2
    assert "in fail" in capsys.readouterr().err


@contextmanager
def _terminal() -> Iterator[tuple[int, list[bytes]]]:
    """A pseudo-terminal's end for a child, and what the child wrote once the block is left."""
    ours, theirs = pty.openpty()
    written: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # EIO: the other end is closed
            while data := os.read(ours, 1 << 16):
                written.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield theirs, written
    finally:
        os.close(theirs)
        reader.join(timeout=30)
        os.close(ours)


def _on_terminal(arguments: Sequence[str], *, stream: str, **environment: str) -> str:
    with _terminal() as (end, written):
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: end}
        subprocess.run(
            [sys.executable, "-m", "scanner", *arguments],
            env={**os.environ, **environment},
            timeout=120,
            check=True,
            stdout=streams["stdout"],
            stderr=streams["stderr"],
        )
    return b"".join(written).decode()


def test_progress_is_shown_on_a_terminal_only(demo: list[str]) -> None:
    shown = _on_terminal(demo, stream="stderr")
    assert "reading oci-dir:" in shown
    assert "matching" in shown
    for quiet in ("--quiet", "--no-progress"):
        assert _on_terminal([*demo, quiet], stream="stderr") == ""


def test_colors_are_shown_on_a_terminal_only(demo: list[str]) -> None:
    assert "\x1b[" in _on_terminal(demo, stream="stdout")
    assert "\x1b[" not in _on_terminal([*demo, "--no-color"], stream="stdout")
    assert "\x1b[" not in _on_terminal(demo, stream="stdout", NO_COLOR="1")
    assert "\x1b[" not in cgscan(*demo).stdout


# -- the cache -------------------------------------------------------------------------------------


def test_cache_is_shown_and_cleared(demo: list[str]) -> None:
    folder, bound = ["--cache-dir", "kept", "--config", "cgscan.yaml"], "of at most 104857600 (limit cache)"
    Path("cgscan.yaml").write_text("limits: {cache: 100MiB}\n")
    assert cgscan("cache", "show", *folder).stdout == f"kept: 0 entries, 0 bytes {bound}\n"
    assert cgscan(*demo, *folder).returncode == 0
    foreign = [Path("kept/notes"), Path("kept/inventory/aa/notes"), Path("kept/a/b/c")]
    for file in foreign:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("mine")
    first, *kinds = cgscan("cache", "show", *folder).stdout.splitlines()
    count = int(re.fullmatch(rf"kept: (\d+) entries, \d+ bytes {re.escape(bound)}", first)[1])  # type: ignore[index]
    assert count == sum(int(line.split()[1]) for line in kinds) > 0
    assert cgscan("cache", "clear", *folder).stdout == f"kept: {count} entries forgotten\n"
    assert cgscan("cache", "show", *folder).stdout == f"kept: 0 entries, 0 bytes {bound}\n"
    assert all(file.read_text() == "mine" for file in foreign)


def test_no_cache_remembers_nothing(demo: list[str]) -> None:
    assert cgscan(*demo, "--no-cache", "--cache-dir", "kept").returncode == 0
    assert not Path("kept").exists()
    done = cgscan("cache", "show", environment={"HOME": ""})
    assert done.returncode == 2
    assert "--cache-dir" in done.stderr


def test_a_remembered_scan_says_the_same(demo: list[str]) -> None:
    def said() -> dict[str, object]:
        report = json.loads(cgscan(*demo, "-o", "json", "--cache-dir", "kept").stdout)
        return {key: value for key, value in report.items() if key not in ("scanned_at", "timing")}

    first = said()
    assert said() == first
