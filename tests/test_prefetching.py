"""Indexes are asked while layers are still read: what they are asked, when, and who waits for it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from packaging.utils import NormalizedName

from fixtures import wheels
from fixtures.images import Entry, LayerBlob, file_entry, layer_from_entries, tar_of, write_oci_layout
from scanner.errors import CgscanError
from scanner.http import Client
from scanner.index import Index, IndexFile, IndexSpec, Role
from scanner.indexes import open_index
from scanner.inventories import take_directory, take_inventory
from scanner.inventory import Inventory
from scanner.limits import Limits
from scanner.pipeline import Options, scan
from scanner.prefetching import Prefetching
from scanner.reference import parse_reference
from scanner.report import Report
from scanner.store import DiskStore
from tests.managers import JSON, json_page, send_range, sha256
from tests.registries import Exchange, Site, hosted, site
from tests.scenes import SITE, Shelf

LIMITS = Limits(request_seconds=30, index_seconds=120)
PATIENCE = 30.0
"""Seconds after which somebody who waits for an event gives up, and the test fails."""


def installed(wheel: Path, environment: str = SITE, installer: bytes | None = b"pip\n") -> list[Entry]:
    """A wheel's files as a layer has them, without RECORD."""
    members = {info.filename: data for info, data in wheels.read_members(wheel)}
    info = next(name.partition("/")[0] for name in members if ".dist-info/" in name)
    written = {f"{info}/INSTALLER": installer} if installer is not None else {}
    return [
        file_entry(f"{environment}/{name}", data)
        for name, data in {**members, **written}.items()
        if not name.endswith("/RECORD")
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three wheels that are read by ranges."""
    folder = tmp_path_factory.mktemp("wheels")
    noise = b"".join(hashlib.sha512(b"%d" % at).digest() for at in range(2000))
    return [
        wheels.make_wheel(folder, name, "1.0", {f"{name}/__init__.py": b"", f"{name}/x": noise})
        for name in ("early", "middle", "late")
    ]


@dataclass(kw_only=True)
class Shop:
    """An index on loopback. ``asked`` has an event for each project; while ``closed`` is set nobody is answered."""

    wheels: Sequence[Path]
    asked: Mapping[str, threading.Event]
    closed: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)
    waiting: list[str] = field(default_factory=list)
    holds: threading.Event = field(default_factory=threading.Event)
    broken: frozenset[str] = frozenset()
    site: Site = field(init=False)

    @contextlib.contextmanager
    def running(self) -> Iterator[Shop]:
        with site(self._answer) as self.site:
            yield self

    def index(self, client: Client, tmp_path: Path) -> Index:
        spec = IndexSpec(location=f"{self.site.url}/simple/", role=Role.UPSTREAM)
        return open_index(spec, client=client, store=DiskStore(tmp_path / "pages"), limits=LIMITS)

    def _answer(self, exchange: Exchange) -> None:
        name = exchange.seen.path.rstrip("/").rpartition("/")[2]
        if self.closed.is_set():
            self.waiting.append(name)
            self.holds.set()
            self.opened.wait(PATIENCE)
            self.waiting.remove(name)
        wheel = next((wheel for wheel in self.wheels if wheel.name == name), None)
        if wheel is not None:
            send_range(exchange, wheel.read_bytes())
            self.asked[name.partition("-")[0]].set()
            return
        mine = [wheel for wheel in self.wheels if wheel.name.startswith(f"{name}-")]
        rows = [
            {
                "filename": wheel.name,
                "url": f"/f/{wheel.name}",
                "hashes": {"sha256": sha256(wheel.read_bytes())},
                "size": wheel.stat().st_size,
            }
            for wheel in mine
        ]
        status = 403 if name in self.broken else 200 if mine else 404
        exchange.send(status, json_page(name, rows) if status == 200 else b"{}", Content_Type=JSON)


def shop(made: Sequence[Path], *, broken: frozenset[str] = frozenset()) -> Shop:
    asked = {wheel.name.partition("-")[0]: threading.Event() for wheel in made}
    return Shop(wheels=made, asked=asked, broken=broken)


def layer(*entries: Entry) -> LayerBlob:
    return layer_from_entries(entries)


@contextlib.contextmanager
def registry(
    folder: Path, layers: Sequence[LayerBlob], *, before_last: threading.Event, told: list[bool]
) -> Iterator[str]:
    """An image whose last layer is not given out before an event; whether it came is told."""

    def wait(exchange: Exchange) -> bool:
        if exchange.seen.path.endswith(layers[-1].digest):
            told.append(before_last.wait(PATIENCE))
        return False

    layout = write_oci_layout(folder / f"image-{len(layers)}", layers)
    with hosted(layout, otherwise=wait) as there:
        yield f"registry:{there.host}/team/app:latest"


def scanned(target: str, index: Index, **options: object) -> Report:
    [report] = scan(parse_reference(target), indexes=[index], options=Options(limits=LIMITS, **options))  # type: ignore[arg-type]
    return report


def words(report: Report) -> dict[str, tuple[str, str]]:
    return {line.name: (line.origin.value, line.integrity.value) for line in report.distributions}


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(limits=LIMITS) as one:
        yield one


# -- when


@pytest.mark.parametrize("remembered", [False, True])
def test_what_a_layer_shows_is_asked_for_before_the_last_layer_is_read(
    made: Sequence[Path], client: Client, tmp_path: Path, *, remembered: bool
) -> None:
    """The last layer is given out when the wheel of what the first one holds was read: otherwise the scan hangs."""
    early, _, late = made
    first, last = layer(*installed(early)), layer(*installed(late))
    store = DiskStore(tmp_path / "layers")
    told: list[bool] = []
    with shop(made).running() as index:
        asked = index.asked["early"]
        if remembered:
            layout = write_oci_layout(tmp_path / "first", [first])
            other = shop(made)
            with other.running():
                scanned(f"oci-dir:{layout}", other.index(client, tmp_path / "other"), store=store)
        with registry(tmp_path, [first, last], before_last=asked, told=told) as target:
            report = scanned(target, index.index(client, tmp_path), store=store)
        paths = index.site.paths()
    assert told == [True]
    assert words(report) == {"early": ("upstream", "intact"), "late": ("upstream", "intact")}
    assert sorted(paths) == sorted(
        [f"/simple/{name}/" for name in ("early", "late")] + [f"/f/{wheel.name}" for wheel in (early, late)]
    )  # everything once


def test_what_a_layer_shows_is_asked_for_before_it_is_read_to_its_end(
    made: Sequence[Path], client: Client, tmp_path: Path
) -> None:
    """The end of the layer is given out when the wheel of what its start holds was read."""
    early, _, late = made
    between = file_entry("srv/data", random.Random(1).randbytes(8 << 20))
    only = layer_from_entries([*installed(early), between, *installed(late)], compression=None)
    told: list[bool] = []

    def halting(exchange: Exchange) -> bool:
        if not exchange.seen.path.endswith(only.digest):
            return False
        exchange.start(200, Content_Length=str(only.size))
        exchange.wfile.write(only.data[: only.size // 2])
        exchange.wfile.flush()
        told.append(index.asked["early"].wait(PATIENCE))
        exchange.wfile.write(only.data[only.size // 2 :])
        return True

    layout = write_oci_layout(tmp_path / "image", [only])
    with shop(made).running() as index, hosted(layout, otherwise=halting) as there:
        report = scanned(f"registry:{there.host}/team/app:latest", index.index(client, tmp_path))
        paths = index.site.paths()
    assert told == [True]
    assert words(report) == {"early": ("upstream", "intact"), "late": ("upstream", "intact")}
    assert len(paths) == len(set(paths)) == 4


def test_a_folder_shows_what_it_holds_before_it_is_read_to_its_end(
    made: Sequence[Path], client: Client, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    for info, data in installed(made[0]):
        (root / info.name).parent.mkdir(parents=True, exist_ok=True)
        (root / info.name).write_bytes(data)
    with shop(made).running() as index, Prefetching([index.index(client, tmp_path)], platform=None) as early:
        take_directory(root, limits=LIMITS, on_kept=early.see_document)
        assert index.asked["early"].wait(PATIENCE)


@pytest.mark.parametrize("environment", ["var/task", f"{SITE}/early/_vendor"])
def test_what_may_be_inside_of_an_environment_is_not_asked_for_before_the_layer_is_known(
    made: Sequence[Path], client: Client, tmp_path: Path, environment: str
) -> None:
    before = prefetching_threads()
    with shop(made).running() as index, Prefetching([index.index(client, tmp_path)], platform=None) as early:
        tar = io.BytesIO(tar_of(installed(made[0], environment)))
        take_inventory(tar, limits=LIMITS, on_kept=early.see_document)
        assert prefetching_threads() <= before


def test_a_scan_that_fails_waits_for_no_index(made: Sequence[Path], client: Client, tmp_path: Path) -> None:
    early, _, late = made
    layers = [layer(*installed(early)), layer(*installed(late))]
    index = shop(made)
    index.closed.set()

    def broken(exchange: Exchange) -> bool:
        if not exchange.seen.path.endswith(layers[-1].digest):
            return False
        index.holds.wait(PATIENCE)  # until the index is asked, and holds its answer back
        exchange.send(200, b"no layer")
        return True

    layout = write_oci_layout(tmp_path / "image", layers)
    before = prefetching_threads()
    with index.running(), hosted(layout, otherwise=broken) as there:
        with pytest.raises(CgscanError):
            scanned(f"registry:{there.host}/team/app:latest", index.index(client, tmp_path))
        assert index.waiting == ["early"]
        assert [one.daemon for one in prefetching_threads() - before] == [True]
        index.opened.set()


def prefetching_threads() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name == "prefetching"}


def test_a_failure_is_told_once_by_who_asks_in_earnest(made: Sequence[Path], client: Client, tmp_path: Path) -> None:
    early, middle, _ = made
    layout = write_oci_layout(tmp_path / "image", [layer(*installed(early), *installed(middle))])
    with shop(made, broken=frozenset({"early"})).running() as index:
        report = scanned(f"oci-dir:{layout}", index.index(client, tmp_path))
        paths = index.site.paths()
    assert words(report) == {"early": ("unchecked", "none"), "middle": ("upstream", "intact")}
    assert paths.count("/simple/early/") == 1


class Faulty(Shelf):
    """An index with a fault of our own."""

    def files(self, project: NormalizedName) -> Sequence[IndexFile]:
        raise ZeroDivisionError(project)


@pytest.mark.filterwarnings("error")
def test_a_fault_of_our_own_is_left_to_who_asks_in_earnest(made: Sequence[Path]) -> None:
    index = Faulty(wheels=made, role=Role.UPSTREAM)
    before = prefetching_threads()
    with Prefetching([index], platform=None) as early:
        early.see(inventory_of(*installed(made[0])))
        working = prefetching_threads() - before
    for one in working:
        one.join(PATIENCE)
    assert len(working) == 1


# -- what


def inventory_of(*entries: Entry) -> Inventory:
    return take_inventory(io.BytesIO(tar_of(entries)), limits=LIMITS)


def paths_asked(index: Index, here: Site, *inventories: Inventory) -> list[str]:
    """What is asked for these layers, until nothing is left to ask."""
    before = prefetching_threads()
    with Prefetching([index], platform=None) as early:
        for inventory in inventories:
            early.see(inventory)
        working = prefetching_threads() - before
    for one in working:
        one.join(PATIENCE)
    return sorted(here.paths())


def asked(made: Sequence[Path], client: Client, tmp_path: Path, *entries: Entry) -> list[str]:
    with shop(made).running() as index:
        return paths_asked(index.index(client, tmp_path), index.site, inventory_of(*entries))


def test_pages_and_the_wheels_of_the_installed_tags(made: Sequence[Path], client: Client, tmp_path: Path) -> None:
    early = made[0]
    assert asked(made, client, tmp_path, *installed(early)) == [f"/f/{early.name}", "/simple/early/"]


def test_the_same_in_two_layers_is_asked_for_once(made: Sequence[Path], client: Client, tmp_path: Path) -> None:
    with shop(made).running() as index:
        twice = [inventory_of(*installed(made[0])), inventory_of(*installed(made[0], "opt/venv/lib/site-packages"))]
        paths = paths_asked(index.index(client, tmp_path), index.site, *twice)
    assert paths == [f"/f/{made[0].name}", "/simple/early/"]


@pytest.mark.parametrize("installer", [None, b"conda\n", b"rpm\n", b"debian"])
def test_what_most_likely_has_an_owner_is_not_asked_for(
    made: Sequence[Path], client: Client, tmp_path: Path, installer: bytes | None
) -> None:
    assert asked(made, client, tmp_path, *installed(made[0], installer=installer)) == []


def test_what_is_vendored_is_not_asked_for(made: Sequence[Path], client: Client, tmp_path: Path) -> None:
    early, middle, _ = made
    entries = [*installed(early), *installed(middle, f"{SITE}/early/_vendor")]
    assert asked(made, client, tmp_path, *entries) == [f"/f/{early.name}", "/simple/early/"]


def test_the_folder_names_what_metadata_do_not(made: Sequence[Path], client: Client, tmp_path: Path) -> None:
    entries = [one for one in installed(made[0]) if not one[0].name.endswith("/METADATA")]
    assert "/simple/early/" in asked(made, client, tmp_path, *entries)


def test_what_names_nothing_is_not_asked_for(made: Sequence[Path], client: Client, tmp_path: Path) -> None:
    folder = f"{SITE}/-.dist-info"
    entries = [file_entry(f"{folder}/INSTALLER", b"pip"), file_entry(f"{folder}/METADATA", b"\xff\n\n")]
    assert asked(made, client, tmp_path, *entries) == []


def test_offline_asks_nothing_early(made: Sequence[Path], client: Client, tmp_path: Path) -> None:
    """What the second layer removes would have been asked for by nobody else."""
    entries = installed(made[0])
    gone = [file_entry(f"{SITE}/.wh.{name}") for name in ("early", "early-1.0.dist-info")]
    layout = write_oci_layout(tmp_path / "image", [layer(*entries), layer(*gone)])
    before = prefetching_threads()
    with shop(made).running() as index:
        assert words(scanned(f"oci-dir:{layout}", index.index(client, tmp_path), offline=True)) == {}
        for one in prefetching_threads() - before:
            one.join(PATIENCE)
        assert index.site.paths() == []


def test_folders_are_not_read_twice(made: Sequence[Path], client: Client, tmp_path: Path) -> None:
    """An index in a folder makes nobody wait: it is asked in earnest only."""
    spec = IndexSpec(location=str(made[0].parent), role=Role.UPSTREAM)
    index = open_index(spec, client=client, store=DiskStore(tmp_path / "pages"), limits=LIMITS)
    before = prefetching_threads()
    with Prefetching([index], platform=None) as early:
        early.see(inventory_of(*installed(made[0])))
        assert prefetching_threads() <= before
