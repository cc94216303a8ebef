"""Real pages of PyPI, read by us and by pypi-simple: the same files, with the same digests, sizes and words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import requests
from packaging.utils import canonicalize_name
from pypi_simple import ACCEPT_HTML_ONLY, ACCEPT_JSON_ONLY, PyPISimple
from pypi_simple.classes import ProjectPage

from scanner.index import IndexFile
from scanner.indexes.links import is_filename
from scanner.indexes.page import Page, parse_page

pytestmark = pytest.mark.real

PROJECTS: Final = """
    aiohttp attrs babel beautifulsoup4 black boto3 certifi cffi charset-normalizer click cryptography cython
    django docutils fastapi flask gevent grpcio html5lib httpx idna ipython jinja2 lxml markupsafe matplotlib
    mercurial mypy numpy pandas pillow pip psycopg2 pycurl pydantic pygments pytest pyyaml requests rpds-py
    scipy setuptools six sqlalchemy tensorflow torch twisted urllib3 wheel zope.interface
""".split()  # fmt: skip  # noqa: SIM905
SECONDS: Final = 60


@pytest.fixture(scope="module")
def pypi() -> Iterator[PyPISimple]:
    with PyPISimple() as client:
        try:
            client.s.get(client.get_project_url("six"), timeout=SECONDS).raise_for_status()
        except requests.RequestException as problem:
            pytest.skip(f"PyPI cannot be reached: {type(problem).__name__}")
        yield client


def test_there_are_fifty() -> None:
    assert len(set(PROJECTS)) == 50


def theirs(page: ProjectPage) -> dict[str, tuple[Any, ...]]:
    """What pypi-simple reads of the files that are distributions."""
    return {
        one.filename: (
            one.url,
            {name: value for name, value in one.digests.items() if name == "sha256"},
            one.requires_python,
            one.is_yanked,
            one.size,
            one.provenance_url,
        )
        for one in page.packages
        if is_filename(one.filename)
    }


def ours(files: tuple[IndexFile, ...]) -> dict[str, tuple[Any, ...]]:
    return {
        one.filename: (
            one.url,
            {name: value for name, value in one.hashes.items() if name == "sha256"},
            one.requires_python,
            one.yanked,
            one.size,
            one.provenance,
        )
        for one in files
    }


@pytest.mark.parametrize("accept", [ACCEPT_JSON_ONLY, ACCEPT_HTML_ONLY], ids=["json", "html"])
@pytest.mark.parametrize("project", PROJECTS)
def test_a_page_is_read_as_pypi_simple_reads_it(pypi: PyPISimple, project: str, accept: str) -> None:
    response = pypi.s.get(pypi.get_project_url(project), headers={"Accept": accept}, timeout=SECONDS)
    response.raise_for_status()
    page = Page(
        project=canonicalize_name(project),
        url=response.url,
        base=pypi.endpoint,
        content_type=response.headers["Content-Type"],
        body=response.content,
        signed=True,
    )
    files = parse_page(page)
    expected = theirs(ProjectPage.from_response(response, project))
    assert len(files) == len(expected) > 5
    assert ours(files) == expected
