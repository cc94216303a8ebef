"""Real base images with Python, pip's work on top: whose is what, and nothing that a person would call noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fixtures import bases
from fixtures.images import LayerBlob, write_oci_layout
from fixtures.wheels import FixtureUnavailable
from tests.real.stock import Report, Stock, scanned, words

pytestmark = pytest.mark.real
OURS = ("click", "jmespath")
THEIRS = ("jinja2", "zope-event")
TOP = dict.fromkeys(OURS, ("chainguard", "intact")) | dict.fromkeys(THEIRS, ("upstream", "intact"))
APT = ("python3", "python3-pip", "python3-requests", "python3-yaml", "python3-six")
"""What apt brings: more distributions come with them."""
ENVIRONMENT = "/opt/venv/lib/python3.11/site-packages"
DEBS = (
    "python3-minimal",
    "python3.11-minimal",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "python3-pkg-resources",
    "python3-six",
    "python3-yaml",
    "python3-requests",
)


def wheels_of(stock: Stock) -> list[Path]:
    return [*stock.of("chainguard", *OURS), *stock.of("pypi", *THEIRS)]


def scan_of(layers: Callable[[], list[LayerBlob]], indexes: Mapping[str, str], folder: Path) -> Report:
    try:
        made = layers()
    except FixtureUnavailable as problem:
        pytest.skip(str(problem))
    return scanned(f"oci-dir:{write_oci_layout(folder, made)}:latest", indexes)


def check(report: Report, owner: str, environment: str) -> None:
    """All that packages brought is the system's; all that pip brought is explained, in its layer; no finding."""
    own = [line for line in report["distributions"] if line["layer"] == 0]
    assert own
    assert [line for line in own if line["origin"] != "os" or line["integrity"] not in ("none", "intact")] == []
    assert [line["owner"] for line in own if not str(line["owner"]).startswith(owner)] == []
    rest = [line for line in report["distributions"] if line["layer"] != 0]
    assert {line["name"]: words(line) for line in rest} == TOP
    assert {(line["environment"], line["layer"], *line["layers"]) for line in rest} == {(environment, 1, 1)}
    assert report["findings"] == []
    assert report["summary"]["coverage"] == 50


@pytest.mark.parametrize(
    ("suite", "environment"),
    [
        ("bookworm", "/usr/local/lib/python3.11/dist-packages"),
        pytest.param("trixie", "/usr/local/lib/python3.13/dist-packages", marks=pytest.mark.large),
    ],
)
def test_debian(stock: Stock, folders: Mapping[str, str], tmp_path: Path, suite: str, environment: str) -> None:
    """Debian's own pip, inside the image; byte code by Debian's scripts and by pip."""
    change = bases.pip_in(wheels_of(stock), "--break-system-packages")
    report = scan_of(lambda: bases.debian(suite, APT, change), folders, tmp_path)
    check(report, "dpkg:python3-", environment)
    names = {line["name"] for line in report["distributions"]}
    assert names >= {"pip", "requests", "pyyaml", "six", "urllib3", "certifi"}


def test_distroless(stock: Stock, folders: Mapping[str, str], tmp_path: Path) -> None:
    change = bases.installed(wheels_of(stock), "usr/local", "3.11")
    report = scan_of(lambda: bases.distroless(DEBS, change), folders, tmp_path)
    check(report, "dpkg:python3-", "/usr/local/lib/python3.11/site-packages")


@pytest.mark.parametrize("kind", ["apk", "rpm"])
def test_packages_of_other_systems(stock: Stock, folders: Mapping[str, str], tmp_path: Path, kind: str) -> None:
    """apk's database written by its description, rpm's by rpm; pip installs into the very folder of the packages."""
    site = "usr/lib/python3.12/site-packages"
    change = bases.installed(wheels_of(stock), "usr", "3.12")
    packages = {
        f"py3-{name}" if kind == "apk" else f"python3-{name}": stock.of("pypi", name)
        for name in ("zc-lockfile", "jaraco-functools", "websocket-client")
    }
    make = bases.apk if kind == "apk" else bases.rpm
    report = scan_of(lambda: make(packages, site, change), folders, tmp_path)
    check(report, "apk:py3-" if kind == "apk" else "rpm:python3-", f"/{site}")


# --- an image as people have them ---

SCIENCE = ("jupyterlab", "pandas", "scikit-learn", "matplotlib", "sqlalchemy", "fastapi", "boto3", "bleach", "pytest")
BEFORE = "2025-10-01"


@pytest.mark.large
def test_an_image_of_a_hundred_distributions(tmp_path: Path) -> None:
    """Against PyPI itself: every distribution of the venv is PyPI's to the last file, but Debian's own pip."""
    change = bases.venv_in(SCIENCE, before=BEFORE, python="3.11")
    packages = [*APT, "python3-venv"]
    indexes = {"pypi": "https://pypi.org/simple"}
    report = scan_of(lambda: bases.debian("bookworm", packages, change), indexes, tmp_path)
    there = {line["name"]: line for line in report["distributions"] if line["environment"] == ENVIRONMENT}
    if {line["origin"] for line in there.values()} == {"unchecked"}:
        pytest.skip(str(there["pandas"]["reason"]))
    assert len(there) >= 100
    odd = {name: words(line) for name, line in there.items() if words(line) != ("upstream", "intact")}
    assert set(odd) <= {"pip", "setuptools"}, "ensurepip's wheels are Debian's, and are patched there"
    assert {line["origin"] for line in report["distributions"] if line["layer"] == 0} == {"os"}
    assert report["findings"] == []
