"""A repository by its name, in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanner.config import gather
from scanner.errors import ConfigError, UsageError
from scanner.indexes.repository import WITH_REPOSITORIES, repository_url

ARTIFACTORY = "https://a.example/artifactory/api/pypi/python-all/simple/"


@pytest.mark.parametrize(
    ("kind", "url", "repository", "index"),
    [
        ("artifactory", "https://a.example", "python-all", ARTIFACTORY),
        ("artifactory", "https://a.example/artifactory", "python-all", ARTIFACTORY),
        ("artifactory", "https://a.example/artifactory/api/pypi/", "python-all", ARTIFACTORY),
        ("artifactory", "https://a.example/artifactory/python-all", "python-all", ARTIFACTORY),
        ("artifactory", ARTIFACTORY, "python-all", ARTIFACTORY),
        ("artifactory", "https://a.example/api/pypi", "x", "https://a.example/api/pypi/x/simple/"),
        ("artifactory", "https://a.example/tools/artifactory", "x", "https://a.example/tools/artifactory/api/pypi/x/simple/"),
        ("nexus", "https://n.example:8443", "pypi", "https://n.example:8443/repository/pypi/simple/"),
        ("nexus", "https://n.example/nexus/", "pypi", "https://n.example/nexus/repository/pypi/simple/"),
        ("nexus", "https://n.example/repository", "pypi", "https://n.example/repository/pypi/simple/"),
        ("nexus", "https://n.example/repository/pypi", "pypi", "https://n.example/repository/pypi/simple/"),
        ("cloudsmith", "https://dl.cloudsmith.io", "acme/py", "https://dl.cloudsmith.io/basic/acme/py/python/simple/"),
        ("cloudsmith", "https://dl.acme.example/basic/py/python/simple", "acme/py", "https://dl.acme.example/basic/py/python/simple/"),
        ("google", "https://us-python.pkg.dev", "proj/py", "https://us-python.pkg.dev/proj/py/simple/"),
        ("google", "https://us-python.pkg.dev/proj/py", "proj/py", "https://us-python.pkg.dev/proj/py/simple/"),
        ("chainguard", "https://libraries.cgr.dev", "cu128", "https://libraries.cgr.dev/cu128/simple/"),
    ],
)  # fmt: skip
def test_the_index_of_a_repository(kind: str, url: str, repository: str, index: str) -> None:
    assert repository_url(url, kind, repository) == index


@pytest.mark.parametrize(
    ("kind", "url", "repository", "message"),
    [
        ("simple", "https://x.example", "a", "no repositories"),
        ("directory", "file:///x", "a", "no repositories"),
        ("artifactory", ARTIFACTORY, "other", "does not name the repository other"),
        ("artifactory", "https://pypi.example/simple", "python-all", "does not name the repository"),
        ("nexus", "https://n.example/repository/pypi/simple", "other", "does not name"),
        ("nexus", "https://n.example?x=1", "other", "no query"),
        ("google", "https://us-python.pkg.dev/proj/py", "proj/other", "does not name"),
        ("google", "https://us-python.pkg.dev", "py", "PROJECT/REPOSITORY"),
        ("cloudsmith", "https://dl.cloudsmith.io", "py", "OWNER/REPOSITORY"),
        ("cloudsmith", "https://cloudsmith.io", "acme/py", "a page for people"),
        ("artifactory", "https://a.example", "a/b", "by one name"),
        ("chainguard", "https://libraries.cgr.dev", "python-upstream", "no index of Python libraries"),
    ],
)
def test_what_does_not_go_together(kind: str, url: str, repository: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        repository_url(url, kind, repository)


def test_every_kind_with_repositories_is_tried() -> None:
    assert set(WITH_REPOSITORIES) == {"artifactory", "nexus", "cloudsmith", "google", "chainguard"}


def test_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "cgscan.yaml"
    entry = "- {name: a, role: chainguard, kind: KIND, url: 'https://a.example', repository: REPOSITORY}\n"
    file.write_text("indexes:\n" + entry.replace("KIND", "artifactory").replace("REPOSITORY", "python-all"))
    [spec] = gather({"config": str(file)}, {}).indexes
    assert (spec.location, spec.repository) == (ARTIFACTORY, "python-all")
    file.write_text("indexes:\n" + entry.replace("KIND", "simple").replace("REPOSITORY", "x"))
    with pytest.raises(ConfigError) as caught:
        gather({"config": str(file)}, {})
    [fault] = caught.value.faults
    assert fault.startswith("indexes[0].repository: an index of the kind simple has no repositories")
