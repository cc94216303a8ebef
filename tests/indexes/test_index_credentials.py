"""Who we are to an index, and who gets to know it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.errors import UsageError
from scanner.http import Credentials
from scanner.index import IndexSpec, Role
from scanner.indexes.credentials import Keyring, bare, hidden, shown

SECRET = "s3cr3t-0f-the-test"
URL = "https://pypi.example/simple/"


def keyring(location: str = URL, environment: dict[str, str] | None = None, **names: str) -> Keyring:
    spec = IndexSpec(location=location, role=Role.CHAINGUARD, **names)  # type: ignore[arg-type]
    return Keyring(spec, environment or {})


def netrc(folder: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    file = folder / "a netrc"
    file.write_text(text)
    file.chmod(mode)
    return {"NETRC": str(file)}


def test_nobody() -> None:
    ours = keyring()
    assert (ours.of(URL), ours.has_own) == (None, False)


def test_user_and_password_in_the_url() -> None:
    ours = keyring(f"https://ab%2Fcd:{SECRET}%40@pypi.example/simple/")
    expected = Credentials(username="ab/cd", password=f"{SECRET}@")
    assert ours.of(URL) == ours.of("https://pypi.example:443/files/x.whl") == expected


@pytest.mark.parametrize(
    "other", ["http://pypi.example/x", "https://pypi.example:444/x", "https://cdn.example/x", "https://x.pypi.example/"]
)
def test_only_for_the_origin_of_the_index(other: str) -> None:
    assert keyring(f"https://me:{SECRET}@pypi.example/simple/").of(other) is None


def test_user_and_password_in_the_url_of_a_file() -> None:
    assert keyring().of("https://a:b@cdn.example/x.whl") == Credentials(username="a", password="b")


def test_environment_variables() -> None:
    environment = {"U": "me", "P": SECRET, "T": SECRET}
    assert keyring(environment=environment, token_env="T").of(URL) == Credentials(token=SECRET)
    assert keyring(environment=environment, password_env="P").of(URL) == Credentials(
        username="__token__", password=SECRET
    )
    both = keyring(environment=environment, username_env="U", password_env="P")
    assert both.of(URL) == Credentials(username="me", password=SECRET)
    google = keyring("https://oauth2accesstoken@pypi.example/simple/", environment, password_env="P")
    assert google.of(URL) == Credentials(username="oauth2accesstoken", password=SECRET)


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set(value: str | None) -> None:
    environment = {} if value is None else {"P": value}
    with pytest.raises(UsageError, match="variable P is not set"):
        keyring(f"https://me:{SECRET}@pypi.example/simple/", environment, password_env="P")


def test_chainguard_variables_are_for_chainguard() -> None:
    environment = {"CHAINGUARD_PYTHON_IDENTITY_ID": "ab/cd", "CHAINGUARD_PYTHON_TOKEN": SECRET}
    url = "https://libraries.cgr.dev/python/simple/"
    assert keyring(url, environment).of(url) == Credentials(username="ab/cd", password=SECRET)
    assert keyring(URL, environment).of(URL) is None
    assert keyring(URL, environment).of(url) is None
    assert keyring("http://libraries.cgr.dev/python/simple/", environment).has_own is False


def test_netrc_is_for_exactly_its_hosts(tmp_path: Path) -> None:
    text = f"machine pypi.example login me password {SECRET}\nmachine cdn.example login c password d\n"
    ours = keyring(environment=netrc(tmp_path, text + "default login x password y\n"))
    assert ours.of(URL) == Credentials(username="me", password=SECRET)
    assert ours.of("https://cdn.example/x.whl") == Credentials(username="c", password="d")
    assert ours.of("https://other.example/x.whl") is None


def test_netrc_goes_with_the_user_of_the_url(tmp_path: Path) -> None:
    environment = netrc(tmp_path, f"machine pypi.example login me password {SECRET}\n")
    assert keyring("https://me@pypi.example/simple/", environment).of(URL) == Credentials(
        username="me", password=SECRET
    )
    assert keyring("https://you@pypi.example/simple/", environment).of(URL) == Credentials(username="you", password="")


def test_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / ".netrc"
    file.write_text(f"machine pypi.example login me password {SECRET}\n")
    file.chmod(0o600)
    assert keyring().has_own
    file.chmod(0o644)
    with pytest.raises(UsageError, match="others may read it") as raised:
        keyring()
    assert "chmod 600" in (raised.value.hint or "")


@pytest.mark.parametrize(
    "text", [f"machine pypi.example login me passwort {SECRET}\n", f"{SECRET}\n", f"machine x login {SECRET}\xff bad\n"]
)
def test_a_broken_netrc_shows_nothing_of_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError) as raised:
        keyring(environment=netrc(tmp_path, text))
    problem: BaseException | None = raised.value
    assert "a netrc" in str(problem)
    assert SECRET not in str(problem)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_netrc_that_cannot_be_opened(tmp_path: Path) -> None:
    """A file whose name is a path through another file."""
    (tmp_path / "file").write_text("")
    assert not keyring(environment={"NETRC": str(tmp_path / "file" / "netrc")}).has_own
    with pytest.raises(UsageError, match="cannot be read"):
        keyring(environment={"NETRC": "~nobody-at-all/netrc"})


def test_a_netrc_that_is_not_there(tmp_path: Path) -> None:
    assert not keyring(environment={"NETRC": str(tmp_path / "nowhere")}).has_own


def test_what_may_be_shown() -> None:
    assert shown(f"https://me:{SECRET}@h.example/simple/x/?sig={SECRET}#{SECRET}") == "https://h.example/simple/x/"
    cloudsmith = f"https://dl.cloudsmith.io/{SECRET}/acme/repo/python/simple/"
    assert shown(cloudsmith) == "https://dl.cloudsmith.io/…/acme/repo/python/simple/"
    assert SECRET not in hidden(f"{cloudsmith}: timed out")
    for plain in ("basic", "public"):
        url = f"https://dl.cloudsmith.io/{plain}/acme/repo/python/simple/"
        assert shown(url) == url
    assert bare(f"https://me:{SECRET}@h.example/a@b?c=d@e") == "https://h.example/a@b?c=d@e"
    assert SECRET not in repr(keyring(f"https://me:{SECRET}@pypi.example/simple/"))


@pytest.mark.parametrize("url", ["https://", "https://h:99999/simple/", "https://[/"])
def test_urls_of_nothing(url: str) -> None:
    with pytest.raises(UsageError, match="not a URL"):
        keyring(url)
