"""cgscan's own image: built from the Dockerfile, run as strangers run it, and scanned by cgscan.

Most of its half minute is the build; the base is ``test_bases``'s, from the cache.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fixtures import bases, demo
from fixtures.ownimage import ROOT, Podman, locked_versions, locked_wheels
from fixtures.wheels import FixtureUnavailable
from scanner import __version__
from tests.real.stock import Report, Stock, scanned, words
from tests.real.test_bases import APT, wheels_of

LIB = "/opt/cgscan/lib"
IMAGE = "localhost/cgscan:test"
SERVICE = "localhost/cgscan-service:test"
Ran = subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def podman(stock: Stock) -> Iterator[Podman]:
    """podman with the image built."""
    with tempfile.TemporaryDirectory(prefix="cg") as name, Podman(folder=Path(name)) as made:  # it takes no long paths
        try:
            change = bases.pip_in(wheels_of(stock), "--break-system-packages")
            made.load_base(bases.debian("bookworm", APT, change)[0])
            built = made.build(IMAGE)
        except FixtureUnavailable as problem:
            pytest.skip(str(problem))
        assert built.returncode == 0, built.stderr[-2000:]
        yield made


@pytest.fixture(scope="module")
def run(podman: Podman) -> Callable[..., Ran]:
    """A container of the image with these words; skips where none can be run."""

    def ran(arguments: Sequence[str], *options: str) -> Ran:
        try:
            return podman.run(IMAGE, arguments, *options)
        except FixtureUnavailable as problem:
            pytest.skip(str(problem))

    return ran


@pytest.fixture(scope="module")
def config(podman: Podman) -> Any:
    return json.loads(podman.needs("image", "inspect", IMAGE))[0]


@pytest.fixture(scope="module")
def report(podman: Podman) -> Report:
    """The image scanned by the scanner that is in it."""
    archive = podman.folder / "own.tar"
    podman.needs("save", "--quiet", "--format", "oci-archive", "--output", str(archive), IMAGE)
    return scanned(f"oci-archive:{archive}", {"pypi": str(locked_wheels())})


def test_it_says_who_it_is(run: Callable[..., Ran], config: Any) -> None:
    assert run(["--version"]).stdout == f"cgscan {__version__}\n"
    assert run([]).stdout.startswith("Usage: cgscan ")
    assert config["Config"]["User"] == "65532:65532"
    labels = config["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.base.name"] == "localhost/cgscan-base:1"


def test_a_scan_in_a_container_that_may_write_nothing(podman: Podman, run: Callable[..., Ran]) -> None:
    """The working directory is a checkout whose modules are called like ours: none of them is run."""
    work = podman.folder / "work"
    work.mkdir()
    for name in ("click", "scanner", "json"):
        (work / f"{name}.py").write_text("raise SystemExit('not this one')\n")
    demo.build(podman.folder / "demo")  # pytest's folders are for their owner alone; the container's user is another
    where = [f"--volume={podman.folder}/demo:/demo:ro", f"--volume={work}:/work:ro", "--workdir=/work"]
    scan = ["scan", "oci-dir:/demo/image", "--index=/demo/chainguard", "--upstream=/demo/pypi", "-o", "json"]
    done = run(scan, *where)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["summary"]["verified"] == 2
    assert run([*scan, "--min-coverage=90"], *where).returncode == 1


def test_it_can_check_attestations(run: Callable[..., Ran]) -> None:
    done = run(["-c", "import sigstore.verify, os; print(os.getuid())"], "--entrypoint=python3")
    assert (done.stdout, done.stderr) == ("65532\n", "")


def test_every_dependency_is_the_locked_one_to_the_last_byte(report: Report) -> None:
    own = [line for line in report["distributions"] if line["environment"] == LIB]
    assert {line["name"]: line["version"] for line in own} == locked_versions()
    assert {words(line) for line in own} == {("upstream", "intact")}
    assert "sigstore" in {line["name"] for line in own}


def test_the_base_is_the_systems_and_nothing_else_was_added(report: Report) -> None:
    others = [line for line in report["distributions"] if line["environment"] != LIB and line["kind"] == "installed"]
    assert {(line["origin"], line["layer"]) for line in others} == {("os", 0)}
    assert report["findings"] == []


@pytest.fixture(scope="module")
def service(podman: Podman) -> str:
    """The image of the service."""
    built = podman.build(SERVICE, service=True)
    assert built.returncode == 0, built.stderr[-2000:]
    return SERVICE


def test_the_service_runs_where_it_may_write_to_its_volumes_alone(podman: Podman, service: str) -> None:
    """Its health check says when it is ready, that it no longer is, and one signal ends it in good order."""
    said = json.loads(podman.needs("image", "inspect", service))[0]
    check = shlex.join(word for word in said["Healthcheck"]["Test"] if word != "CMD")
    start = shlex.join([*said["Config"]["Entrypoint"], *said["Config"]["Cmd"]])
    where = [f"--volume={ROOT}/deploy/cgscan.yaml:/etc/cgscan/cgscan.yaml:ro", "--entrypoint=sh", "--no-healthcheck"]
    secrets = [f"--env={name}={name * 3}" for name in ("CGSCAN_TOKEN", "CGSCAN_REGISTRY_HOOK")]
    script = f"""
        {start} & served=$!
        until {check} 2>/dev/null; do kill -0 $served || exit 3; done
        id -u; ls /data/cgscan
        kill -TERM $served; wait $served; echo ended $?
        {check} 2>&1; echo checked $?"""
    try:
        done = podman.run(service, ["-c", script], *where, *secrets)
    except FixtureUnavailable as problem:
        pytest.skip(str(problem))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "65532"
    assert "cgscan.sqlite" in lines
    assert "ended 0" in lines
    assert lines[-2:] == ["not ready: no answer from 0.0.0.0:8087: [Errno 111] Connection refused", "checked 1"]


@pytest.mark.large
def test_the_same_sources_make_the_same_image(podman: Podman, config: Any) -> None:
    assert podman.build("localhost/cgscan:again").returncode == 0
    assert podman.needs("image", "inspect", "--format", "{{.Id}}", "localhost/cgscan:again") == config["Id"]
