"""Logins as docker and podman write them, with real files and real helper programs."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scanner.errors import ConfigError
from scanner.sources import credentials
from scanner.sources.credentials import Found, Login, certificate_files, find_login

SECRET = "s3cr3t-0f-the-test"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """A user's home with nothing in it, and the environment that says so."""

    path: Path
    environ: dict[str, str]

    def write(self, place: str, document: object) -> Path:
        """A file below the home; text as it is, other things as JSON."""
        path = self.path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return path

    def helper(self, suffix: str, script: str) -> None:
        """A ``docker-credential-…`` program on PATH."""
        path = self.write(f"bin/docker-credential-{suffix}", f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def find(self, host: str, repository: str = "team/app", authfile: Path | None = None) -> Found:
        return find_login(host, repository, authfile=authfile, environ=self.environ)

    def user(self, host: str, repository: str = "team/app", authfile: Path | None = None) -> str | None:
        """The name in the login that is found."""
        login = self.find(host, repository, authfile).login
        return login.username if login else None


@pytest.fixture
def home(tmp_path: Path) -> Home:
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return Home(path=tmp_path, environ={"HOME": str(tmp_path), "PATH": path, "XDG_RUNTIME_DIR": str(tmp_path / "run")})


def auth(user: str, password: str = SECRET) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def auths(**hosts: str) -> dict[str, Any]:
    """A document with one user for each host."""
    return {"auths": {host: auth(user) for host, user in hosts.items()}}


def one(host: str, user: str) -> dict[str, Any]:
    return {"auths": {host: auth(user)}}


# -- places


def test_without_any_file_there_is_no_login(home: Home) -> None:
    assert home.find("ghcr.io") == Found(login=None)


def test_places_come_in_their_order(home: Home) -> None:
    home.environ["DOCKER_AUTH_CONFIG"] = json.dumps(one("r.example", "environment"))
    home.write("run/containers/auth.json", one("r.example", "podman-runtime"))
    home.write(".config/containers/auth.json", one("r.example", "podman-config"))
    home.write(".docker/config.json", one("r.example", "docker"))
    home.write(".dockercfg", {"https://r.example": auth("legacy")})
    found = [home.user("r.example")]
    del home.environ["DOCKER_AUTH_CONFIG"]
    for place in ("run/containers/auth.json", ".config/containers/auth.json", ".docker/config.json", ".dockercfg"):
        found.append(home.user("r.example"))
        (home.path / place).unlink()
    assert found == ["environment", "podman-runtime", "podman-config", "docker", "legacy"]
    assert home.user("r.example") is None


def test_environment_falls_through_to_files(home: Home) -> None:
    home.environ["DOCKER_AUTH_CONFIG"] = json.dumps(one("a.example", "environment"))
    home.write(".docker/config.json", one("b.example", "docker"))
    assert home.user("b.example") == "docker"


def test_folders_from_the_environment(home: Home) -> None:
    home.write("elsewhere/config.json", one("r.example", "docker"))
    home.environ["DOCKER_CONFIG"] = str(home.path / "elsewhere")
    assert home.user("r.example") == "docker"
    home.write("settings/containers/auth.json", one("r.example", "podman"))
    home.environ["XDG_CONFIG_HOME"] = str(home.path / "settings")
    assert home.user("r.example") == "podman"


def test_a_named_file_is_the_only_file(home: Home) -> None:
    home.write(".docker/config.json", one("r.example", "docker"))
    home.environ["REGISTRY_AUTH_FILE"] = str(home.write("named.json", one("other.example", "named")))
    assert home.user("r.example") is None
    assert home.user("other.example") == "named"
    home.environ["DOCKER_AUTH_CONFIG"] = json.dumps(one("r.example", "environment"))
    assert home.user("r.example") == "environment"


def test_an_option_is_stronger_than_the_environment(home: Home) -> None:
    home.environ["DOCKER_AUTH_CONFIG"] = json.dumps(one("r.example", "environment"))
    home.environ["REGISTRY_AUTH_FILE"] = str(home.write("named.json", one("r.example", "named")))
    given = home.write("given.json", one("other.example", "given"))
    assert home.user("r.example", authfile=given) is None
    assert home.user("other.example", authfile=given) == "given"


@pytest.mark.parametrize("content", ["", " \n", "{}", '{"auths": null}', '{"auths": {"r.example": {}}}'])
def test_empty_files_hold_no_login(home: Home, content: str) -> None:
    home.write(".config/containers/auth.json", content)
    home.write(".docker/config.json", one("r.example", "docker"))
    assert home.user("r.example") == "docker"


# -- keys


@pytest.mark.parametrize(
    "key",
    [
        "r.example:5000",
        "https://r.example:5000",
        "http://r.example:5000/",
        "https://r.example:5000/v1/",
        "R.example:5000/v2",
    ],
)
def test_spellings_of_a_host(home: Home, key: str) -> None:
    home.write(".docker/config.json", one(key, "docker"))
    assert home.user("r.example:5000") == "docker"


@pytest.mark.parametrize("key", ["r.example", "r.example:5001", "x.r.example:5000", "r.example:50000", "example:5000"])
def test_other_hosts_get_nothing(home: Home, key: str) -> None:
    home.write(".docker/config.json", one(key, "docker"))
    assert home.find("r.example:5000").login is None


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"])
def test_names_of_docker_hub(home: Home, key: str) -> None:
    home.write(".docker/config.json", one(key, "hub"))
    assert home.user("docker.io", "library/python") == "hub"
    assert home.user("ghcr.io", "library/python") is None


def test_the_longest_namespace_counts(home: Home) -> None:
    document = {"r.example": "host", "r.example/team": "team", "r.example/team/app": "app", "r.example/teamster": "no"}
    home.write(".config/containers/auth.json", auths(**document))
    assert home.user("r.example", "team/app") == "app"
    assert home.user("r.example", "team/app/deep") == "app"
    assert home.user("r.example", "team/other") == "team"
    assert home.user("r.example", "tea") == "host"


# -- entries


def only(home: Home, entry: object, host: str = "r.example") -> Login | None:
    home.write(".docker/config.json", {"auths": {host: entry}})
    return home.find(host).login


def test_a_password_may_hold_colons_and_signs(home: Home) -> None:
    login = only(home, auth("robot$team+ci", "a:b:ü\0\0"))
    assert login
    assert (login.username, login.password) == ("robot$team+ci", "a:b:ü")


def test_plain_fields(home: Home) -> None:
    login = only(home, {"username": "u", "password": SECRET})
    assert login
    assert (login.username, login.password) == ("u", SECRET)


def test_tokens(home: Home) -> None:
    login = only(home, {"auth": base64.b64encode(b"0000:").decode(), "identitytoken": SECRET})
    assert login
    assert (login.username, login.password, login.identity_token) == ("0000", None, SECRET)
    login = only(home, {"registrytoken": SECRET})
    assert login
    assert login.registry_token == SECRET


def test_a_login_has_no_text(home: Home) -> None:
    login = only(home, {**auth("u"), "identitytoken": SECRET, "registrytoken": SECRET})
    assert SECRET not in f"{login} {login!r} {home.find('r.example')!r}"
    assert str(home.path / ".docker" / "config.json") in repr(login)


# -- faults


FAULTS = {
    "no JSON": f'{{"auths": "{SECRET}',
    "text after it": '{} {"auths": "' + SECRET + '"}',
    "a list": [SECRET],
    "auths is text": {"auths": SECRET},
    "helpers are a list": {"credHelpers": [SECRET]},
    "an entry is text": {"auths": {"r.example": SECRET}},
    "auth is a number": {"auths": {"r.example": {"auth": 12345678}}},
    "auth is no base64": {"auths": {"r.example": {"auth": SECRET}}},
    "auth has no colon": {"auths": {"r.example": {"auth": base64.b64encode(SECRET.encode()).decode()}}},
    "auth is no UTF-8": {"auths": {"r.example": {"auth": base64.b64encode(b"u:\xff" + SECRET.encode()).decode()}}},
    "nested too deep": "[" * 100_000,
    "a helper that is a path": {"credHelpers": {"r.example": f"../../{SECRET}"}},
    "a helper that is an option": {"credsStore": f"-x {SECRET}"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_name_the_file_and_not_its_content(home: Home, fault: str) -> None:
    path = home.write(".docker/config.json", FAULTS[fault])
    with pytest.raises(ConfigError) as raised:
        home.find("r.example")
    problem: BaseException | None = raised.value
    assert str(path) in str(problem)
    assert "\n" not in str(problem)
    assert SECRET not in f"{problem!r} {raised.value.hint}"
    assert raised.value.__cause__ is None  # the cause of a bad JSON text would quote it


def test_faults_of_other_entries_do_not_matter(home: Home) -> None:
    home.write(".docker/config.json", {"auths": {"bad.example": {"auth": "?"}, "r.example": auth("u")}})
    assert home.user("r.example") == "u"


def test_faults_in_the_environment_name_the_variable(home: Home) -> None:
    home.environ["DOCKER_AUTH_CONFIG"] = SECRET
    with pytest.raises(ConfigError, match="DOCKER_AUTH_CONFIG") as raised:
        home.find("r.example")
    assert SECRET not in repr(raised.value)


def test_a_named_file_must_be_there(home: Home) -> None:
    missing = home.path / "missing.json"
    with pytest.raises(ConfigError, match=r"missing\.json: no such file"):
        home.find("r.example", authfile=missing)
    home.environ["REGISTRY_AUTH_FILE"] = str(missing)
    with pytest.raises(ConfigError, match="REGISTRY_AUTH_FILE"):
        home.find("r.example")


def test_files_that_cannot_be_read(home: Home) -> None:
    (home.path / ".docker" / "config.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"config\.json: cannot be read"):
        home.find("r.example")


def test_files_have_a_bound(home: Home) -> None:
    home.write(".docker/config.json", " " * 4_200_000)
    with pytest.raises(ConfigError, match="longer than"):
        home.find("r.example")


# -- helpers


ANSWER = '{{"ServerURL": "x", "Username": "{user}", "Secret": "{secret}"}}'


def answer(user: str, secret: str = SECRET) -> str:
    """A script that says so."""
    return f"cat >/dev/null; echo '{ANSWER.format(user=user, secret=secret)}'"


def test_a_helper_is_asked_for_the_host_on_its_input(home: Home) -> None:
    home.helper("spy", 'read -r server; printf "%s" "$1 $server" > "$HOME/asked"; ' + answer("u").partition(";")[2])
    home.write(".docker/config.json", {"credHelpers": {"r.example:5000": "spy"}})
    login = home.find("r.example:5000").login
    assert login
    assert (login.username, login.password, login.source) == ("u", SECRET, "docker-credential-spy")
    assert (home.path / "asked").read_text() == "get r.example:5000"


def test_the_store_is_asked_by_docker_hubs_old_name(home: Home) -> None:
    home.helper("spy", 'cat > "$HOME/asked"; ' + answer("u").partition(";")[2])
    home.write(".docker/config.json", {"credsStore": "spy"})
    assert home.user("docker.io", "library/python") == "u"
    assert (home.path / "asked").read_text() == "https://index.docker.io/v1/"


def test_helpers_come_before_the_store_and_that_before_auths(home: Home) -> None:
    home.helper("own", answer("own"))
    home.helper("all", answer("all"))
    document = {
        "credHelpers": {"a.example": "own"},
        "credsStore": "all",
        **auths(**{"a.example": "x", "b.example": "y"}),
    }
    home.write(".docker/config.json", document)
    assert home.user("a.example") == "own"
    assert home.user("b.example") == "all"
    home.helper("all", "cat >/dev/null; echo 'credentials not found in native keychain'; exit 1")
    assert home.find("b.example").problems == ()
    assert home.user("b.example") == "y"


def test_an_identity_token_from_a_helper(home: Home) -> None:
    home.helper("one", answer("<token>"))
    home.write(".docker/config.json", {"credsStore": "one"})
    login = home.find("r.example").login
    assert login
    assert (login.username, login.password, login.identity_token) == (None, None, SECRET)


def test_an_empty_answer_is_nobody(home: Home) -> None:
    home.helper("one", answer("", ""))
    home.write(".docker/config.json", {"credsStore": "one"})
    assert home.find("r.example") == Found(login=None)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (None, "is not on PATH"),
        (f"echo {SECRET}; echo {SECRET} >&2; exit 3", "failed with status 3"),
        (f"echo {SECRET}", "of another shape"),
        (f"echo '[\"{SECRET}\"]'", "of another shape"),
        (f'echo \'{{"Username": 1, "Secret": "{SECRET}"}}\'', "of another shape"),
        ("exec sleep 20", "gave no answer"),
    ],
)
def test_a_broken_helper_is_told_and_not_fatal(
    home: Home, monkeypatch: pytest.MonkeyPatch, script: str | None, problem: str
) -> None:
    monkeypatch.setattr(credentials, "_HELPER_SECONDS", 1.0)
    if script:
        home.helper("one", script)
    home.write(".docker/config.json", {"credsStore": "one"})
    found = home.find("r.example")
    assert found.login is None
    assert len(found.problems) == 1
    assert problem in found.problems[0]
    assert SECRET not in found.problems[0]


# -- certificates


def test_certificates_of_a_host(home: Home) -> None:
    folder = home.path / ".config" / "containers" / "certs.d" / "r.example:5000"
    home.write(f"{folder}/b.crt", "")
    home.write(f"{folder}/a.crt", "")
    home.write(f"{folder}/client.key", "")
    found = certificate_files("r.example:5000", environ=home.environ)
    assert found == (folder / "a.crt", folder / "b.crt")
    assert certificate_files("r.example", environ=home.environ) == ()
