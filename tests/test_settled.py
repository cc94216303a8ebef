"""A report is the earlier one only where nothing that decides it has changed; and what is not remembered at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures import wheels
from fixtures.images import file_entry, layer_from_entries, write_oci_layout
from scanner import settled
from scanner.attestation import CHAINGUARD
from scanner.attesting import Attestor
from scanner.distribution import Origin
from scanner.http import Client
from scanner.index import Index, IndexSpec, Role
from scanner.indexes import open_indexes
from scanner.limits import DEFAULT_LIMITS
from scanner.pipeline import Options, scan
from scanner.progress import Found, LayerDone, LayerRead, Matched
from scanner.reference import parse_reference
from scanner.report import Report
from scanner.signatures import Signatures
from scanner.store import DiskStore
from tests.managers import html_page, send_range, sha256
from tests.registries import Exchange, site

_READ = settled._read
SITE = "usr/lib/python3.11/site-packages"


@dataclass(kw_only=True)
class Scene:
    """An image with one distribution that is Chainguard's, and a folder for each role."""

    folder: Path
    ours: Path
    pypis: Path
    options: Options
    seen: list[Any] = field(default_factory=list)

    @property
    def target(self) -> str:
        return f"oci-dir:{self.folder}/image"

    def listed(self, role: str, found: Sequence[Path]) -> None:
        """What the folder of a role holds from now on."""
        place = self.folder / role
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for wheel in found:
            shutil.copy(wheel, place)

    def scan(self, *specs: IndexSpec, **changed: Any) -> Report:
        folders = [
            IndexSpec(location=str(self.folder / role.value), role=role) for role in (Role.CHAINGUARD, Role.UPSTREAM)
        ]
        options = replace(self.options, **changed)
        self.seen.clear()
        with Client(limits=DEFAULT_LIMITS, offline=options.offline) as client:
            indexes = open_indexes(specs or folders, client=client, store=options.store, limits=options.limits)
            [report] = scan(parse_reference(self.target), indexes=indexes, options=options, progress=self.seen.append)
        return report


def write_image(folder: Path, wheel: Path) -> None:
    """An image of one layer with the files of one wheel."""
    entries = [file_entry(f"{SITE}/{info.filename}", data) for info, data in wheels.read_members(wheel)]
    write_oci_layout(folder, [layer_from_entries(entries)])


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    plain = wheels.make_wheel(tmp_path / "pypis", "demo", "1.0", {"demo/__init__.py": b"print(1)\n"})
    rebuilt = wheels.make_wheel(tmp_path / "rebuilt", "demo", "1.0", {"demo/__init__.py": b"print(1)\n"}, generator="x")
    ours = wheels.add_sbom(rebuilt, tmp_path / "ours")
    write_image(tmp_path / "image", ours)
    made = Scene(folder=tmp_path, ours=ours, pypis=plain, options=Options(store=DiskStore(tmp_path / "store")))
    made.listed("chainguard", [ours])
    made.listed("upstream", [plain])
    return made


def is_recalled(report: Report) -> bool:
    return set(report.timing) == {"recall"}


def but_for_times(report: Report) -> Report:
    return replace(report, scanned_at="", timing={})


def origins(report: Report) -> list[Origin]:
    return [line.origin for line in report.distributions]


def test_the_second_report_is_the_first_and_no_layer_is_looked_at(scene: Scene) -> None:
    first = scene.scan()
    assert (is_recalled(first), origins(first)) == (False, [Origin.CHAINGUARD])
    assert any(isinstance(event, LayerRead) for event in scene.seen)
    second = scene.scan()
    assert is_recalled(second)
    assert but_for_times(second) == but_for_times(first)
    assert [type(event) for event in scene.seen][1:] == [LayerDone, Found, Matched]


def _without(scene: Scene) -> None:
    scene.listed("chainguard", [])


def _another(scene: Scene) -> None:
    other = wheels.make_wheel(scene.folder / "another", "demo", "2.0", {"demo/__init__.py": b""})
    scene.listed("chainguard", [scene.ours, other])


def _the_same_at_pypi(scene: Scene) -> None:
    scene.listed("upstream", [scene.ours])


@pytest.mark.parametrize("change", [_without, _another, _the_same_at_pypi])
def test_an_index_that_answers_otherwise_has_the_image_judged_anew(
    scene: Scene, change: Callable[[Scene], None]
) -> None:
    scene.scan()
    assert is_recalled(scene.scan())
    change(scene)
    report = scene.scan()
    assert not is_recalled(report)
    fresh = scene.scan(store=DiskStore(scene.folder / "another-store"))
    if change is not _without:  # whose wheel the history still knows
        assert but_for_times(report) == but_for_times(fresh)
    assert (Origin.UPSTREAM in origins(report)) == (change is _the_same_at_pypi)


@pytest.mark.parametrize(
    "changed",
    [
        {"limits": replace(DEFAULT_LIMITS, layers=77)},
        {"all_layers": True},
        {"check_bytecode": True},
        {"lazy": True},
        {"attestor": Attestor(signatures=Signatures(signers=CHAINGUARD), required=True)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_else_decides_is_part_of_what_is_remembered(scene: Scene, changed: dict[str, Any]) -> None:
    scene.scan()
    assert not is_recalled(scene.scan(**changed))
    assert is_recalled(scene.scan())


def test_other_indexes_are_other_questions(scene: Scene) -> None:
    scene.scan()
    ours = IndexSpec(location=str(scene.folder / "chainguard"), role=Role.CHAINGUARD)
    alone = scene.scan(ours)
    assert not is_recalled(alone)
    assert not is_recalled(scene.scan(replace(ours, built_only=True)))
    assert is_recalled(scene.scan(ours))
    assert is_recalled(scene.scan())


def test_an_edited_program_is_another_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.scan()
    monkeypatch.setattr(settled, "_program", lambda: "edited")
    assert not is_recalled(scene.scan())


def test_a_scan_that_proves_reads(scene: Scene) -> None:
    scene.scan()
    report = scene.scan(prove=True)
    assert not is_recalled(report)
    assert report.distributions[0].match is not None
    assert report.distributions[0].match.proved
    assert is_recalled(scene.scan())  # and its own report is not remembered in place of the other
    assert scene.scan().distributions[0].match != report.distributions[0].match


def test_where_something_may_come_to_be_signed_it_is_asked_every_time(scene: Scene) -> None:
    attestor = Attestor(signatures=Signatures(signers=CHAINGUARD), required=True)
    for _ in range(2):
        assert not is_recalled(scene.scan(attestor=attestor))
    scene.listed("chainguard", [])
    scene.listed("upstream", [scene.pypis])
    for number in range(2):  # a match with PyPI's wheel alone is asked no signature of
        report = scene.scan(attestor=attestor, store=DiskStore(scene.folder / "third"))
        assert is_recalled(report) == bool(number)


def test_what_is_damaged_is_not_there(scene: Scene) -> None:
    scene.scan()
    [stored] = [file for file in (scene.folder / "store" / "settled").rglob("*") if file.is_file()]
    stored.write_bytes(stored.read_bytes()[:-7])
    assert not is_recalled(scene.scan())
    assert is_recalled(scene.scan())


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("report"),
        lambda value: value.pop("answers"),
        lambda value: value.update(answers=[]),
        lambda value: value.update(answers={"chainguard": ["demo"]}),
        lambda value: next(iter(value["answers"].values())).update(demo=7),
        lambda value: value["answers"].update(another={"demo": "0"}),
        lambda value: value["report"].update(distributions=None),
    ],
)
def test_what_has_another_shape_is_not_there(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], object]
) -> None:
    scene.scan()
    [stored] = [file for file in (scene.folder / "store" / "settled").rglob("*") if file.is_file()]
    wrong: list[bytes] = []

    def read(text: bytes | str) -> Any:
        value = json.loads(text)
        if not wrong:
            change(value)
            wrong.append(json.dumps(value).encode())
            return _READ(wrong[0])
        return _READ(text)

    monkeypatch.setattr(settled, "_read", read)
    assert not is_recalled(scene.scan())
    assert wrong
    assert stored.exists()
    assert is_recalled(scene.scan())


def test_the_first_other_answer_is_the_last_question(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.scan()
    monkeypatch.setattr(settled, "_THREADS", 1)
    asked: list[str] = []

    def another(index: Index, project: str, then: str) -> bool:
        asked.append(index.name)
        return False

    monkeypatch.setattr(settled, "_is_same", another)
    assert not is_recalled(scene.scan())
    assert len(asked) == 1


def test_to_ask_again_takes_half_of_the_time_at_most(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = replace(DEFAULT_LIMITS, index_seconds=400)
    scene.scan(limits=limits)
    assert is_recalled(scene.scan(limits=limits))
    asked: list[str] = []
    now = iter(range(0, 10_000, 150))  # seconds: at the start, and at every question
    monkeypatch.setattr(settled, "_THREADS", 1)
    monkeypatch.setattr(settled, "time", SimpleNamespace(monotonic=lambda: next(now)))

    def same(index: Index, project: str, then: str) -> bool:
        asked.append(index.name)
        return True

    monkeypatch.setattr(settled, "_is_same", same)
    assert not is_recalled(scene.scan(limits=limits))
    assert len(asked) == 1  # the second question would be after 300 of 200 seconds


class TestServers:
    """An index behind a URL: what fails, what has no digest, what is signed anew in every link."""

    @pytest.fixture
    def shop(self, scene: Scene) -> dict[str, Any]:
        return {"status": 200, "digest": True, "token": 0, "pages": 0}

    def served(self, scene: Scene, shop: dict[str, Any]) -> Callable[[Exchange], None]:
        data = scene.ours.read_bytes()

        def answer(exchange: Exchange) -> None:
            path = exchange.seen.path.partition("?")[0]
            if path.endswith(".whl"):
                send_range(exchange, data)
                return
            shop["pages"] += 1
            shop["token"] += 1
            mark = f"#sha256={sha256(data)}" if shop["digest"] else ""
            row = (f"/{scene.ours.name}?token={shop['token']}{mark}", scene.ours.name)
            exchange.send(shop["status"], html_page([row]), Content_Type="text/html")

        return answer

    def test_links_that_are_made_anew_are_the_same_answer(self, scene: Scene, shop: dict[str, Any]) -> None:
        with site(self.served(scene, shop)) as server:
            spec = IndexSpec(location=f"{server.url}/", role=Role.CHAINGUARD)
            assert not is_recalled(scene.scan(spec))
            pages = shop["pages"]
            assert is_recalled(scene.scan(spec))
            assert shop["pages"] >= pages

    @pytest.mark.parametrize("fault", [{"status": 503}, {"digest": False}])
    def test_failures_and_files_without_a_digest_are_not_remembered(
        self, scene: Scene, shop: dict[str, Any], fault: dict[str, Any]
    ) -> None:
        shop |= fault
        limits = replace(DEFAULT_LIMITS, request_seconds=1, index_seconds=20)
        upstream = IndexSpec(location=str(scene.folder / "upstream"), role=Role.UPSTREAM)
        with site(self.served(scene, shop)) as server:
            spec = IndexSpec(location=f"{server.url}/", role=Role.CHAINGUARD)
            for _ in range(2):
                assert not is_recalled(scene.scan(spec, upstream, limits=limits))

    def test_an_index_that_fails_later_has_the_image_judged_anew(self, scene: Scene, shop: dict[str, Any]) -> None:
        limits = replace(DEFAULT_LIMITS, request_seconds=1, index_seconds=20)
        upstream = IndexSpec(location=str(scene.folder / "upstream"), role=Role.UPSTREAM)
        with site(self.served(scene, shop)) as server:
            spec = IndexSpec(location=f"{server.url}/", role=Role.CHAINGUARD)
            assert origins(scene.scan(spec, upstream, limits=limits)) == [Origin.CHAINGUARD]
            shop["status"] = 403
            report = scene.scan(spec, upstream, limits=limits)
        assert not is_recalled(report)
        assert origins(report) == [Origin.UNCHECKED]

    def test_a_failure_that_changed_no_verdict_is_not_remembered(self, scene: Scene, shop: dict[str, Any]) -> None:
        """PyPI's wheel explains every file; what the other index would have said, nobody knows."""
        shutil.rmtree(scene.folder / "image")
        write_image(scene.folder / "image", scene.pypis)
        shop["status"] = 403
        upstream = IndexSpec(location=str(scene.folder / "upstream"), role=Role.UPSTREAM)
        with site(self.served(scene, shop)) as server:
            spec = IndexSpec(location=f"{server.url}/", role=Role.CHAINGUARD)
            for _ in range(2):
                report = scene.scan(spec, upstream)
                assert (is_recalled(report), origins(report)) == (False, [Origin.UPSTREAM])
