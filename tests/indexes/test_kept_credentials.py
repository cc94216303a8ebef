"""Credentials from the keyring and from helpers: asked late and once, bounded, and never told."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from scanner import credentialhelper
from scanner.credentialhelper import MOST_BYTES, HelperFailed
from scanner.errors import IndexUnavailable
from scanner.http import Client, Credentials
from scanner.index import IndexSpec, Role
from scanner.indexes.credentials import Keyring
from scanner.managers import open_manager
from tests.indexes.conftest import LIMITS, Open
from tests.managers import html_page
from tests.registries import site

SECRET = "s3cr3t-0f-the-test"
URL = "https://pypi.example/simple/"
Helper = Callable[[str], tuple[str, ...]]


@pytest.fixture
def helper(tmp_path: Path) -> Helper:
    """Makes a helper of a few lines of Python; it notes each call, and what it was asked, in ``asked``."""

    def make(code: str) -> tuple[str, ...]:
        file = tmp_path / "helper.py"
        asked = f"open({str(tmp_path / 'asked')!r}, 'a').write(sys.stdin.read() + '\\n')\n"
        file.write_text(f"import os, sys, time\n{asked}{code}\n")
        return (sys.executable, "-S", str(file))

    return make


def keys(**more: object) -> Keyring:
    return Keyring(IndexSpec(location=URL, role=Role.CHAINGUARD, name="own", **more), {"PATH": "/usr/bin"})  # type: ignore[arg-type]


# -- helpers


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (f'{{"ServerURL": "x", "Username": "me", "Secret": "{SECRET}"}}', Credentials(username="me", password=SECRET)),
        (f'{{"Username": "<token>", "Secret": "{SECRET}"}}', Credentials(token=SECRET)),
        (f'{{"username": "", "password": "{SECRET}"}}', Credentials(username="", password=SECRET)),
        (f'{{"token": "{SECRET}", "username": "me"}}', Credentials(token=SECRET)),
    ],
    ids=["docker", "docker's token", "user and password", "token"],
)
def test_what_a_helper_prints(printed: str, expected: Credentials, helper: Helper, tmp_path: Path) -> None:
    ours = keys(helper=helper(f"print({printed!r})"))
    assert ours.has_own
    assert not (tmp_path / "asked").exists()  # nobody has asked yet
    assert ours.of(URL) == ours.of(f"{URL}x/") == expected
    assert (tmp_path / "asked").read_text() == f"{URL}\n"
    assert ours.of("https://cdn.example/x.whl") is None
    assert SECRET not in repr(ours)


def test_many_threads_ask_a_helper_once(helper: Helper, tmp_path: Path) -> None:
    ours = keys(helper=helper("""time.sleep(0.1); print('{"token": "t"}')"""))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: ours.of(URL).header(), range(8))) == {"Bearer t"}  # type: ignore[union-attr]
    assert (tmp_path / "asked").read_text().count(URL) == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (f"print('{SECRET}')", "gave an answer of another shape"),
        ("print('[' * 60000)", "gave an answer of another shape"),
        (f"""print('{{"Username": ["{SECRET}"], "Secret": 1}}')""", "gave an answer of another shape"),
        ("""print('{"Username": "me", "Secret": ""}')""", "gave an answer of another shape"),
        (f"print('{SECRET}'); sys.stderr.write('{SECRET}'); sys.exit(3)", "failed with status 3"),
        (f"while True: print('{SECRET}' * 100)", f"printed more than {MOST_BYTES} bytes"),
        ("os.kill(os.getpid(), 9)", "failed with status -9"),
    ],
)
def test_a_helper_that_does_not_help(
    code: str, message: str, helper: Helper, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(IndexUnavailable, match=message) as caught:
        keys(helper=helper(code)).of(URL)
    assert caught.value.whole
    assert str(caught.value).startswith("index own: the credential helper ")
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__cause__ is None
    assert SECRET not in "".join(capfd.readouterr())


@pytest.mark.parametrize("command", [("no-such-helper-anywhere", "get"), ("/",), ("x\0y",)])
def test_a_helper_that_is_none(command: tuple[str, ...]) -> None:
    with pytest.raises(IndexUnavailable, match="cannot be run"):
        keys(helper=command).of(URL)


def test_no_shell_reads_the_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["$(touch made)", "; touch made", "`touch made`", "| touch made"]
    done = credentialhelper.ask([sys.executable, "-c", "import sys; print(sys.argv[1:])", *words], "", environment={})
    assert done.output.decode().strip() == str(words)
    assert not (tmp_path / "made").exists()


def test_a_helper_that_sleeps_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    note = tmp_path / "late"
    child = f"import time; time.sleep(1.5); open({str(note)!r}, 'w')"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with pytest.raises(HelperFailed, match=r"gave no answer in 0\.2 s"):
        credentialhelper.ask([sys.executable, "-c", code], "", environment={}, seconds=0.2)
    threading.Event().wait(2)
    assert not note.exists()


def test_a_helper_that_closes_its_output_and_stays_is_ended() -> None:
    code = "import os, time; os.close(1); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(HelperFailed, match="did not end"):
        credentialhelper.ask([sys.executable, "-c", code], "", environment={}, seconds=0.5)
    assert time.monotonic() - start < 30


def test_an_index_with_a_helper(helper: Helper, opened: Open, tmp_path: Path) -> None:
    command = helper(f"""print('{{"username": "me", "password": "{SECRET}"}}')""")
    with site(lambda it: it.send(200, html_page([]), Content_Type="text/html")) as here:
        index = opened(f"{here.url}/simple/", helper=command)
        assert index.files("one") == ()  # type: ignore[arg-type]
        assert here.requests[0].headers["authorization"] == Credentials(username="me", password=SECRET).header()
        assert here.requests[0].headers.get("x-api-key") is None
    assert SECRET not in f"{index!r}{index.url}{index.name}"


def test_offline_nobody_is_asked(helper: Helper, opened: Open, tmp_path: Path) -> None:
    with Client(limits=LIMITS, offline=True) as client:
        index = opened("https://pypi.example/simple/", client=client, helper=helper("print('{}')"))
        with pytest.raises(IndexUnavailable, match="offline"):
            index.files("one")  # type: ignore[arg-type]
        spec = IndexSpec(location="https://x.example/repository/a/simple", role=Role.UPSTREAM, helper=helper(""))
        assert open_manager(spec, client=client, limits=LIMITS) is not None
    assert not (tmp_path / "asked").exists()


# -- the keyring


class Ring(KeyringBackend):
    """A keyring in memory that notes what it is asked."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.problem: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def get_credential(self, service: str, username: str | None) -> keyring.credentials.Credential | None:
        self.asked.append((service, username))
        if self.problem:
            raise self.problem
        user = username or next((user for one, user in self.kept if one == service), None)
        password = self.kept.get((service, user or ""))
        return keyring.credentials.SimpleCredential(user, password) if user and password else None


@pytest.fixture
def ring() -> Iterator[Ring]:
    """The keyring that is asked in a test."""
    before = keyring.get_keyring()
    one = Ring()
    keyring.set_keyring(one)
    yield one
    keyring.set_keyring(before)


@pytest.mark.parametrize("service", [URL, "pypi.example"])
def test_the_keyring_is_asked_for_url_and_host(service: str, ring: Ring) -> None:
    ring.set_password(service, "me", SECRET)
    ours = keys(keyring=True)
    assert ring.asked == []
    assert ours.of(URL) == Credentials(username="me", password=SECRET)
    assert ours.of("https://cdn.example/") is None
    assert {one for one, _ in ring.asked} <= {URL, "pypi.example"}


def test_the_keyring_is_asked_for_the_user_that_is_named(ring: Ring) -> None:
    ring.set_password("pypi.example", "other", "wrong")
    ring.set_password("pypi.example", "me", SECRET)
    spec = IndexSpec(location=URL, role=Role.UPSTREAM, keyring=True, username_env="U")
    assert Keyring(spec, {"U": "me"}).of(URL) == Credentials(username="me", password=SECRET)


def test_it_is_not_asked_unless_it_is_said(ring: Ring) -> None:
    ring.set_password("pypi.example", "me", SECRET)
    assert keys().of(URL) is None
    assert ring.asked == []


def test_a_keyring_that_has_nothing(ring: Ring) -> None:
    with pytest.raises(IndexUnavailable, match=r"index own: the keyring has no password for pypi\.example") as caught:
        keys(keyring=True).of(URL)
    assert caught.value.hint == "keyring set pypi.example USER"


def test_a_keyring_that_fails(ring: Ring) -> None:
    ring.problem = KeyringError(f"locked: {SECRET}")
    with pytest.raises(IndexUnavailable, match=r"cannot be asked \(KeyringError\)") as caught:
        keys(keyring=True).of(URL)
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(IndexUnavailable, match="no keyring to ask") as caught:
        keys(keyring=True).of(URL)
    assert "cgscan[keyring]" in (caught.value.hint or "")
