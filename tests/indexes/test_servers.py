"""Real servers: devpi (no ranges, JSON without sizes) and nginx (ranges, ETag, HTML)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from scanner.errors import IndexUnavailable
from scanner.index import Role
from scanner.store import NoStore
from tests.indexes.conftest import Open
from tests.managers import Chainguard, Devpi, html_page, nginx, sha256

SMALL, LARGE = canonicalize_name("small-demo"), canonicalize_name("large")
NONE = canonicalize_name("no-such-project")


def test_a_stage_of_devpi(opened: Open, running_devpi: Devpi, small: Path, large: Path) -> None:
    running_devpi.make_index("stage", type="stage")
    for wheel in (small, large):
        running_devpi.upload("stage", wheel)
    index = opened(running_devpi.simple("stage"))
    for project, wheel in ((SMALL, small), (LARGE, large)):
        [file] = index.files(project)
        assert file.filename == wheel.name
        assert file.sha256 is not None
        assert file.sha256.hex == sha256(wheel.read_bytes())
        assert index.wheel(file).proved  # whole: devpi knows no ranges
    assert index.files(NONE) == ()


def test_a_mirror_of_devpi_hides_the_tier(opened: Open, running_devpi: Devpi, small: Path) -> None:
    with Chainguard(
        wheels=[small], login=("user", "t0ken")
    ).running() as host:  # devpi answers 502 with a "/" in the user
        options = {"type": "mirror", "mirror_url": host.simple_with_login, "mirror_cache_expiry": 0, "volatile": True}
        running_devpi.make_index("cg", mirror_no_project_list=True, **options)
        index = opened(running_devpi.simple("cg"))
        [file] = index.files(SMALL)
        assert file.tier is None
        contents = index.wheel(file)
    assert contents.claims_chainguard
    assert contents.sha256 is not None
    assert contents.sha256.hex == sha256(small.read_bytes())


def test_devpi_without_such_an_index(opened: Open, running_devpi: Devpi) -> None:
    assert opened(running_devpi.simple("nobody")).files(SMALL) == ()


@pytest.fixture
def tree(tmp_path: Path, small: Path, large: Path) -> Path:
    """A tree as ``pip`` and mirrors make it."""
    root = tmp_path / "tree"
    for project, wheel in ((SMALL, small), (LARGE, large)):
        (root / "simple" / project).mkdir(parents=True)
        shutil.copy(wheel, root / "simple" / project)
        row = (f"{wheel.name.replace('+', '%2B')}#sha256={sha256(wheel.read_bytes())}", wheel.name)
        (root / "simple" / project / "index.html").write_bytes(html_page([row]))
    return root


def test_nginx(opened: Open, tree: Path, tmp_path: Path, large: Path) -> None:
    with nginx(tmp_path / "nginx", tree) as url:
        index = opened(f"{url}/simple/", role=Role.UPSTREAM, store=NoStore())
        [file] = index.files(LARGE)
        contents = index.wheel(file)
        assert not contents.proved
        assert index.wheel(file, whole=True).members == contents.members
        assert index.files(NONE) == ()
    lines = [line.split() for line in (tmp_path / "nginx" / "access.log").read_text().splitlines()]
    ranged = [line for line in lines if line[3] == "206"]
    assert len(ranged) == 1  # the last bytes, though the page does not tell how many there are
    assert sum(int(line[4]) for line in ranged) <= 65_536
    assert {line[0] for line in lines} == {"GET"}


def test_nginx_is_asked_again_with_the_etag(opened: Open, tree: Path, tmp_path: Path) -> None:
    with nginx(tmp_path / "nginx", tree) as url:
        first = opened(f"{url}/simple/").files(SMALL)
        assert opened(f"{url}/simple/").files(SMALL) == first
    statuses = [line.split()[3] for line in (tmp_path / "nginx" / "access.log").read_text().splitlines()[-2:]]
    assert statuses == ["200", "304"]


def test_nginx_without_etags_is_asked_again_with_the_time_of_the_change(
    opened: Open, tree: Path, tmp_path: Path
) -> None:
    page = tree / "simple" / SMALL / "index.html"
    with nginx(tmp_path / "nginx", tree, extra="etag off;") as url:
        first = opened(f"{url}/simple/").files(SMALL)
        assert opened(f"{url}/simple/").files(SMALL) == first
        page.write_bytes(html_page([]))
        os.utime(page, (1e9, 1e9))
        assert opened(f"{url}/simple/").files(SMALL) == ()
    statuses = [line.split()[3] for line in (tmp_path / "nginx" / "access.log").read_text().splitlines()[-3:]]
    assert statuses == ["200", "304", "200"]


def test_nginx_without_ranges(opened: Open, tree: Path, tmp_path: Path) -> None:
    with nginx(tmp_path / "nginx", tree, extra="max_ranges 0;") as url:
        index = opened(f"{url}/simple/")
        assert index.wheel(index.files(LARGE)[0]).proved


def test_nginx_with_a_list_of_files_as_the_page(opened: Open, tree: Path, tmp_path: Path, small: Path) -> None:
    (tree / "simple" / SMALL / "index.html").unlink()
    with nginx(tmp_path / "nginx", tree, extra="autoindex on;") as url:
        index = opened(f"{url}/simple/")
        [file] = index.files(SMALL)
        assert (file.filename, file.sha256) == (small.name, None)
        contents = index.wheel(file)
        assert contents.sha256 is not None
        assert contents.sha256.hex == sha256(small.read_bytes())


def test_nginx_that_refuses(opened: Open, tree: Path, tmp_path: Path) -> None:
    with (
        nginx(tmp_path / "nginx", tree, extra="location /simple/ { deny all; }") as url,
        pytest.raises(IndexUnavailable, match="403"),
    ):
        opened(f"{url}/simple/").files(SMALL)
