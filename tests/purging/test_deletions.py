"""One after the other: failures, refusals, pauses, the rate, what is not tried, what a second run does not do again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from scanner.errors import CgscanError, IndexUnavailable, NotDeleted, UsageError
from scanner.journal import journal
from scanner.manager import Deleted, Retrieved
from scanner.managers.rest import Refused
from scanner.purge import Ended, Result
from scanner.purging.deletions import Means, carry_out
from scanner.stale import LocalCopy, Stale
from tests.plans import a_local_copy, a_proxy_copy


@dataclass(kw_only=True)
class World:
    """A clock that only sleeping moves on, and managers whose answers are said by project; each answer once."""

    answers: dict[str, list[Deleted | CgscanError]] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)
    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def answer(self, project: str) -> Deleted:
        self.asked.append((project, self.now))
        told = self.answers.get(project, [])
        result = told.pop(0) if told else Deleted.GONE
        if isinstance(result, CgscanError):
            raise result
        return result

    def delete(self, entry: Retrieved) -> Deleted:
        return self.answer(entry.project)

    def local(self, copy: LocalCopy) -> Deleted:
        return self.answer(copy.project)


class Versions(World):
    """A manager that deletes whole versions."""

    def delete_version(self, entries: Sequence[Retrieved]) -> Deleted:
        return self.answer(" ".join(entry.filename for entry in entries))


Run = Callable[..., list[Result]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def carried_out(world: World, *copies: Stale, rate: float = 1000.0, manager: object = None) -> list[Result]:
        means = Means(
            manager=lambda _: manager or world,
            local=world.local,
            rate=rate,
            sleep=world.sleep,
            clock=lambda: world.now,
        )
        with journal(tmp_path / "journal", "p", goes_on=True) as kept:
            return list(carry_out(copies, means, kept))

    return carried_out


def test_a_failure_and_the_others_go_on(run: Run) -> None:
    world = World(answers={"b": [UsageError("no", hint="ask")], "c": [Deleted.CHANGED], "d": [Deleted.ALREADY_GONE]})
    world.answers["e"] = [NotDeleted("in use")]
    copies = [a_proxy_copy(name) for name in "abcd"]
    results = run(world, *copies, a_local_copy("e"), a_local_copy("f"))
    assert [(result.copy, result.ended) for result in results[:4]] == list(
        zip(copies, [Ended.GONE, Ended.FAILED, Ended.CHANGED, Ended.ALREADY_GONE], strict=True)
    )
    assert [result.ended for result in results[4:]] == [Ended.FAILED, Ended.GONE]
    assert (results[1].why, results[1].hint) == ("no", "ask")


def test_what_went_is_not_asked_again(run: Run) -> None:
    copies = [a_proxy_copy(name) for name in "abc"]
    run(World(answers={"b": [UsageError("no")]}), *copies)
    again = World()
    assert [result.ended for result in run(again, *copies)] == [Ended.BEFORE, Ended.GONE, Ended.BEFORE]
    assert [name for name, _ in again.asked] == ["b"]


def test_where_a_manager_is_out_of_reach_the_rest_of_it_is_not_tried(run: Run) -> None:
    world = World(answers={"b": [IndexUnavailable("nobody answers", whole=True)]})
    copies = [a_proxy_copy(name, manager=manager) for manager in ("one", "two") for name in "abc"]
    results = run(world, *copies)
    ended = [result.ended for result in results]
    assert ended == [Ended.GONE, Ended.FAILED, Ended.NOT_TRIED, Ended.GONE, Ended.GONE, Ended.GONE]
    assert results[2].why == "nobody answers"
    assert len(world.asked) == 5


def test_the_rate(run: Run) -> None:
    world = World()
    run(world, *(a_proxy_copy(name) for name in "abcd"), rate=2)
    starts = [at for _, at in world.asked]
    assert [after - before for before, after in itertools.pairwise(starts)] == pytest.approx([0.5] * 3)


def test_what_a_server_asks_to_wait_is_waited(run: Run) -> None:
    busy = [Refused("busy", status=429, pause=61.0), Refused("busy", status=503)]
    world = World(answers={"a": [*busy]})
    assert [result.ended for result in run(world, a_proxy_copy("a"))] == [Ended.GONE]
    assert [at - 1000 for _, at in world.asked] == pytest.approx([0, 61, 121], abs=0.01)


def test_a_server_that_stays_busy_or_asks_for_hours(run: Run) -> None:
    world = World(answers={"a": [Refused("busy", status=429)] * 9, "b": [Refused("busy", status=429, pause=7200.0)]})
    assert [result.ended for result in run(world, a_proxy_copy("a"), a_proxy_copy("b"))] == [Ended.FAILED] * 2
    assert [name for name, _ in world.asked] == ["a"] * 4 + ["b"]


def test_other_refusals_are_not_tried_again(run: Run) -> None:
    world = World(answers={"a": [Refused("no right", status=403)]})
    assert [result.ended for result in run(world, a_proxy_copy("a"))] == [Ended.FAILED]
    assert len(world.asked) == 1


def test_all_files_of_a_version_where_a_manager_has_nothing_less(run: Run) -> None:
    world = Versions()
    one, other = a_proxy_copy("a"), a_proxy_copy("b")
    twice = a_proxy_copy("a", entry=_named(one.entry, "urllib3-2.2.1.tar.gz"))
    results = run(world, one, twice, other)
    assert [result.ended for result in results] == [Ended.GONE] * 3
    assert [name for name, _ in world.asked] == [
        f"{one.entry.filename} urllib3-2.2.1.tar.gz",
        other.entry.filename,
    ]


def _named(entry: Retrieved, filename: str) -> Retrieved:
    return replace(entry, filename=filename, path=filename, identity=filename)


def test_a_manager_that_deletes_nothing(run: Run) -> None:
    [result] = run(World(), a_proxy_copy("a"), manager=object())
    assert result.ended is Ended.FAILED
