"""Indexes recorded into a snapshot, and what the snapshot says in their place."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.utils import NormalizedName, canonicalize_name

from fixtures.trees import simple_tree
from scanner.errors import IndexUnavailable, UntrustedContent, UsageError, WheelUnreadable
from scanner.http import Client
from scanner.index import ByContent, Dated, Index, IndexFile, IndexSpec, Role
from scanner.indexes import open_index, open_indexes
from scanner.indexes.recording import RecordingIndex, Tally, open_for_writing
from scanner.indexes.snapshot import SnapshotIndex, open_snapshot
from scanner.store import NoStore
from tests.indexes.conftest import LIMITS, Open
from tests.managers import Chainguard, Devpi, access_log, html_page, nginx

SMALL, LARGE = canonicalize_name("small-demo"), canonicalize_name("large")
NONE, NEVER = canonicalize_name("no-such-project"), canonicalize_name("never-asked")
DAY = 24 * 3600.0

Record = Callable[..., Tally]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the snapshot is."""
    return tmp_path / "a.cgindex"


@pytest.fixture
def record(path: Path) -> Record:
    """Asks an index for projects and the contents of all their wheels, into the snapshot."""

    def recorded(
        index: Index, *projects: NormalizedName, whole: bool = False, fresh: float = DAY, wheels: bool = True
    ) -> Tally:
        tally = Tally()
        with open_for_writing(path, limits=LIMITS) as snapshot:
            recording = RecordingIndex(index, snapshot, tally=tally, fresh=fresh, whole=whole, limits=LIMITS)
            for project in projects:
                for file in recording.files(project):
                    if file.wheel is not None and wheels:
                        recording.wheel(file)
        return tally

    return recorded


def opened_snapshot(path: Path, role: Role = Role.CHAINGUARD, **more: bool) -> list[SnapshotIndex]:
    return open_snapshot(IndexSpec(location=str(path), role=role, **more), limits=LIMITS)  # type: ignore[arg-type]


def without_url(files: object) -> list[IndexFile]:
    assert isinstance(files, tuple)
    return [file._replace(url="") for file in files]


@pytest.fixture
def tree(tmp_path: Path, small: Path, large: Path) -> Path:
    return simple_tree(tmp_path / "tree", [small, large])


# -- the same answers ------------------------------------------------------------------------------


def test_a_folder(opened: Open, record: Record, tree: Path, path: Path) -> None:
    live = opened(tree)
    record(live, SMALL, LARGE, NONE)
    [index] = opened_snapshot(path)
    assert (index.name, index.role, index.url, index.kind) == (live.name, live.role, live.url, "snapshot")
    for project in (SMALL, LARGE, NONE):
        assert without_url(index.files(project)) == without_url(live.files(project))
        for file, other in zip(index.files(project), live.files(project), strict=True):
            assert index.wheel(file) == live.wheel(other)


def test_nginx_by_ranges_and_whole(opened: Open, record: Record, tree: Path, path: Path, tmp_path: Path) -> None:
    with nginx(tmp_path / "nginx", tree) as url:
        live = opened(f"{url}/", store=NoStore())
        [file] = live.files(LARGE)
        record(live, LARGE)
        [index] = opened_snapshot(path)
        [kept] = index.files(LARGE)
        assert index.wheel(kept) == live.wheel(file)
        assert not index.wheel(kept).proved
        with pytest.raises(IndexUnavailable, match=r"not in the snapshot .* as a whole, only by its RECORD") as told:
            index.wheel(kept, whole=True)
        assert "--prove" in str(told.value.hint)
        record(live, LARGE, whole=True)
    [again] = opened_snapshot(path)
    assert again.wheel(kept, whole=True).proved
    assert again.wheel(kept).proved  # a proved answer is one to the other question, too


def test_devpi(opened: Open, record: Record, running_devpi: Devpi, small: Path, path: Path) -> None:
    running_devpi.make_index("kept", type="stage")
    running_devpi.upload("kept", small)
    live = opened(running_devpi.simple("kept"))
    record(live, SMALL, NONE)
    [index] = opened_snapshot(path)
    assert without_url(index.files(SMALL)) == without_url(live.files(SMALL))
    assert index.wheel(index.files(SMALL)[0]) == live.wheel(live.files(SMALL)[0])


def test_a_page_without_digests(opened: Open, record: Record, tree: Path, path: Path, tmp_path: Path) -> None:
    [wheel] = (tree / SMALL).glob("*.whl")
    (tree / SMALL / "index.html").write_bytes(html_page([(wheel.name, wheel.name)]))
    with nginx(tmp_path / "nginx", tree) as url:
        live = opened(f"{url}/", store=NoStore())
        record(live, SMALL)
        first = record(opened(f"{url}/", store=NoStore()), SMALL)
        assert (first.fresh, first.asked, first.stored, first.read) == (1, 0, 1, 0)
        [index] = opened_snapshot(path)
        [file] = index.files(SMALL)
        assert file.sha256 is None
        assert index.wheel(file) == live.wheel(live.files(SMALL)[0])
        # asked again it may have other bytes, and nothing but reading them tells
        record(opened(f"{url}/", store=NoStore()), SMALL, fresh=0.0, wheels=False)
    [later] = opened_snapshot(path)
    with pytest.raises(IndexUnavailable, match="not in the snapshot"):
        later.wheel(later.files(SMALL)[0])


# -- what it does not cover ------------------------------------------------------------------------


def test_what_was_not_asked_is_not_known(opened: Open, record: Record, tree: Path, path: Path) -> None:
    record(opened(tree), SMALL, wheels=False)
    [index] = opened_snapshot(path)
    with pytest.raises(IndexUnavailable, match=r"never-asked: not in the snapshot .*a\.cgindex"):
        index.files(NEVER)
    [file] = index.files(SMALL)
    with pytest.raises(IndexUnavailable, match=r"small_demo-1\.0.*: not in the snapshot"):
        index.wheel(file)


def test_a_refusal_is_told_when_it_is_asked_for(
    opened: Open, record: Record, path: Path, small: Path, large: Path
) -> None:
    with Chainguard(wheels=[small, large], withheld=frozenset({SMALL})).running() as host:
        with pytest.raises(IndexUnavailable):
            record(opened(host.simple_with_login), SMALL)
        record(opened(host.simple_with_login), LARGE)
    [index] = opened_snapshot(path)
    with pytest.raises(IndexUnavailable, match=r"not in the snapshot .*: when pulled, .*withheld \(409.*COOLDOWN"):
        index.files(SMALL)
    assert index.files(LARGE)


# -- what is asked ---------------------------------------------------------------------------------


def test_what_is_fresh_is_not_asked_for_again(
    opened: Open, record: Record, tree: Path, tmp_path: Path, path: Path
) -> None:
    with nginx(tmp_path / "nginx", tree) as url:
        first = record(opened(f"{url}/", store=NoStore()), SMALL, LARGE, NONE)
        seen = len(access_log(url, tmp_path / "nginx"))
        again = record(opened(f"{url}/", store=NoStore()), SMALL, LARGE, NONE)
        assert len(access_log(url, tmp_path / "nginx")) == seen
        aged = record(opened(f"{url}/", store=NoStore()), SMALL, LARGE, NONE, fresh=0.0)
        lines = [line.split()[1] for line in access_log(url, tmp_path / "nginx")[seen:]]
    assert sorted(line.split("/")[1] for line in lines) == [LARGE, NONE, SMALL]  # a page each, and no wheel again
    assert not [line for line in lines if line.endswith(".whl")]
    assert (first.asked, first.read, first.fresh, first.stored) == (3, 2, 0, 0)
    assert (again.asked, again.read, again.fresh, again.stored) == (0, 0, 3, 2)
    assert (aged.asked, aged.read, aged.fresh, aged.stored) == (3, 0, 0, 2)


def test_a_page_is_asked_for_again_where_a_wheel_of_it_is_missing(
    opened: Open, record: Record, path: Path, small: Path
) -> None:
    """The snapshot has no credentials of URLs, so a file's URL may be one that cannot be asked."""
    with Chainguard(wheels=[small]).running() as host:
        record(opened(host.simple_with_login, store=NoStore()), SMALL, wheels=False)
        tally = record(opened(host.simple_with_login, store=NoStore()), SMALL)
        assert (tally.fresh, tally.asked, tally.read) == (1, 0, 1)
    assert opened_snapshot(path)[0].files(SMALL)


def test_a_wheel_that_is_listed_no_more(opened: Open, record: Record, tree: Path, tmp_path: Path) -> None:
    record(opened(tree), SMALL, wheels=False)
    shutil.rmtree(tree / SMALL)
    with pytest.raises(WheelUnreadable, match="not listed any more"):
        record(opened(tree, store=NoStore()), SMALL)


def test_no_secret_is_in_the_file(opened: Open, record: Record, path: Path, small: Path) -> None:
    with Chainguard(wheels=[small]).running() as host:
        assert host.login is not None
        record(opened(host.simple_with_login), SMALL)
        data = path.read_bytes()
        assert host.front.url.encode() in data
        for secret in (*host.login, *host.signatures.keys(), "X-Amz-Signature"):
            assert len(secret) < 4 or secret.encode() not in data


# -- by content ------------------------------------------------------------------------------------


def test_wheels_are_found_by_their_members(opened: Open, record: Record, tree: Path, path: Path) -> None:
    record(opened(tree), SMALL, LARGE)
    [index] = opened_snapshot(path)
    assert isinstance(index, ByContent)
    held = hashlib.sha256(b"x = 1\n").digest()
    assert [file.filename for file in index.holding(held)] == [index.files(SMALL)[0].filename]
    assert index.holding(hashlib.sha256(b"nobody's").digest()) == ()


# -- several indexes in one file -------------------------------------------------------------------


@pytest.fixture
def both(opened: Open, record: Record, tmp_path: Path, small: Path, large: Path, path: Path) -> Path:
    """A snapshot of an index of either role."""
    record(opened(simple_tree(tmp_path / "cg", [small]), name="libraries"), SMALL)
    record(opened(simple_tree(tmp_path / "pypi", [large]), role=Role.UPSTREAM, name="pypi"), SMALL, LARGE)
    return path


def test_a_file_is_as_many_indexes_as_it_was_pulled_from(both: Path, client: Client) -> None:
    def names(*specs: IndexSpec) -> list[tuple[str, str, str, bool]]:
        found = open_indexes(specs, client=client, store=NoStore(), limits=LIMITS)
        return [(index.name, index.role.value, index.kind, index.built_only) for index in found]

    given, upstream = (
        IndexSpec(location=str(both), role=Role.CHAINGUARD),
        IndexSpec(location=both.as_uri(), role=Role.UPSTREAM),
    )
    all_of_it = [("libraries", "chainguard", "snapshot", False), ("pypi", "upstream", "snapshot", False)]
    assert names(given) == all_of_it
    assert names(upstream) == all_of_it[1:]
    assert names(given, upstream) == all_of_it  # the same file, said twice
    built = IndexSpec(location=str(both), role=Role.CHAINGUARD, built_only=True)
    assert [name[3] for name in names(built)] == [True, False]
    copy = shutil.copy(both, both.with_name("b.cgindex"))
    assert [name[0] for name in names(given, IndexSpec(location=str(copy), role=Role.CHAINGUARD))] == [
        "libraries",
        "pypi",
        "libraries (chainguard 3)",
        "pypi (upstream 4)",
    ]


def test_it_is_dated_by_its_oldest_answer(both: Path) -> None:
    with sqlite3.connect(both) as file:
        file.execute("UPDATE projects SET asked = 1000.0 WHERE name = ? AND of_index = 2", (str(LARGE),))
    first, second = opened_snapshot(both)
    assert isinstance(second, Dated)
    assert second.as_of == 1000.0
    assert first.as_of is not None
    assert first.as_of > 1000.0


def test_without_an_index_of_the_role(opened: Open, record: Record, tree: Path, path: Path, client: Client) -> None:
    record(opened(tree), SMALL)
    with pytest.raises(UsageError, match="has no index of the role upstream"):
        opened_snapshot(path, Role.UPSTREAM)
    with pytest.raises(UsageError, match="a snapshot is several indexes"):
        open_index(IndexSpec(location=str(path), role=Role.CHAINGUARD), client=client, store=NoStore(), limits=LIMITS)


# -- a stranger's wheels ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wheels SET contents = x'00'",
        "UPDATE wheels SET contents = (SELECT contents FROM wheels WHERE filename LIKE 'large%')",
    ],
)
def test_what_is_stored_of_a_wheel_is_that_wheels(both: Path, statement: str) -> None:
    with sqlite3.connect(both) as file:
        file.execute(statement)
    first, _ = opened_snapshot(both)
    with pytest.raises(UntrustedContent, match="damaged: what it has of small_demo"):
        first.wheel(first.files(SMALL)[0])
