"""``--offline`` opens no socket, for no name, daemon or keyring either: what the kernel was asked, as strace saw it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fixtures import images
from fixtures.trees import install, simple_tree
from fixtures.wheels import make_wheel
from scanner.cli import main
from tests.registries import needed, site

ROOT = Path(__file__).parent.parent
REMOTE = ["--index", "https://libraries.cgr.dev/python/simple", "--upstream", "https://pypi.org/simple"]
CONFIGURATION = """\
indexes:
  - {name: ours, role: chainguard, url: https://libraries.cgr.dev/python/simple, helper: [./helper]}
  - {name: theirs, role: upstream, url: https://pypi.org/simple, keyring: true}
"""


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("CGSCAN_", "XDG_", "DOCKER_", "CONTAINER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")  # would be looked up, were anybody asked
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """An environment, as a folder and as an image; a snapshot of an index; a configuration with who asks."""
    wheel = make_wheel(tmp_path / "wheels", "one", "1.0", {"one.py": b"x = 1\n"}, sbom=True)
    install([wheel], tmp_path / "root")
    images.write_oci_layout(tmp_path / "image", [images.layer_from_tree(tmp_path / "root")])
    tree = simple_tree(tmp_path / "tree", [wheel])
    pull = ["index", "pull", "a.cgindex", "one==1.0", "--index", str(tree), "--no-cache", "-q"]
    assert main(pull) == 0
    (tmp_path / "named.yaml").write_text(CONFIGURATION)
    (tmp_path / "helper").write_text(f"#!/bin/sh\ntouch {tmp_path}/helped\n")
    (tmp_path / "helper").chmod(0o755)
    return tmp_path


def traced(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, list[str], str]:
    """Status, the calls to do with networks, and standard error of a command."""
    trace = Path("trace")
    command = [needed("strace"), "-f", "-qq", "-e", "trace=%network", "-o", str(trace)]
    command += [sys.executable, "-m", "scanner", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env={**os.environ, **(environment or {})}
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.splitlines()[0]}")
    assert "Traceback" not in done.stderr
    calls = [line for line in trace.read_text().splitlines() if re.search(r"\w+\(", line) and "+++" not in line]
    return done.returncode, calls, done.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["scan", "dir:root", "--index", "a.cgindex"], 0),
        (["scan", "oci-dir:image", "dir:root", "--index", "a.cgindex", "--no-cache", "--prove"], 0),
        (["scan", "oci-dir:image", *REMOTE], 0),
        (["scan", "oci-dir:image", "--config", "named.yaml"], 0),
        (["scan", "registry:registry.example/app:1", *REMOTE], 2),
        (["explain", "dir:root", "one", "--index", "a.cgindex"], 0),
        (["explain", "dir:root", "one", *REMOTE], 0),
        (["explain", "dir:root", "one", "--config", "named.yaml"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_no_socket_is_opened(scene: Path, arguments: list[str], status: int) -> None:
    found, calls, said = traced(*arguments, "--offline")
    assert calls == []
    assert found == status, said
    assert not (scene / "helped").exists()


@pytest.mark.parametrize("target", ["python:3.12", "docker:python:3.12", "podman:python:3.12"])
def test_a_daemon_on_this_machine_is_asked_by_its_own_socket(scene: Path, target: str) -> None:
    """No name is looked up, nothing is sent anywhere; urllib3 tries once whether this machine has IPv6 (``::1``)."""
    status, calls, _ = traced("scan", target, *REMOTE, "--offline")
    assert status == 2
    away = [call for call in calls if not re.search(r"AF_UNIX|socket\(AF_INET6|bind\(\d+, .*\"::1\"", call)]
    assert away == []


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "CONTAINER_HOST"])
def test_a_daemon_elsewhere_is_not_asked(scene: Path, variable: str) -> None:
    with site(lambda it: it.send(404)) as here:
        environment = {variable: here.url.replace("http:", "tcp:")}
        scheme = "docker" if variable == "DOCKER_HOST" else "podman"
        status, calls, said = traced("scan", f"{scheme}:python:3.12", *REMOTE, "--offline", environment=environment)
    assert (status, here.requests) == (2, [])
    assert "is not asked (offline)" in said
    assert not [call for call in calls if "connect(" in call or "sendto(" in call]


@pytest.mark.parametrize(
    "arguments",
    [["index", "show", "a.cgindex"], ["cache", "show"], ["cache", "clear"], ["config", "schema"], ["--help"]],
    ids=" ".join,
)
def test_what_needs_no_network_asks_none(scene: Path, arguments: list[str]) -> None:
    assert traced(*arguments)[:2] == (0, [])


def test_what_is_asked_online_is_seen(scene: Path) -> None:
    """Else the tests above could not fail."""
    with site(lambda it: it.send(404)) as here:
        _, calls, _ = traced("scan", "dir:root", "--upstream", f"{here.url}/simple")
    assert any("AF_INET" in call for call in calls)
