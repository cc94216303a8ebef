"""The state machine of a job: every change is one transaction, under the lease where there is one."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select, update

from scanner.reference import ImageName
from scanner.report import Report, TargetLine, summarise
from scanner.results import tables
from scanner.results.database import Database, clock
from scanner.results.keeping import forget
from scanner.results.reading import Filter, listed_images, reports_of_job
from scanner.service import jobs
from scanner.service.jobs import Full, Job, LeaseLost, Priority, State, Wanted

DIGEST = "sha256:" + "a" * 64


def wanted(name: str = f"r.example/app:1@{DIGEST}", priority: Priority = Priority.PUSH, state: str = "now") -> Wanted:
    return Wanted(image=ImageName.parse(name), source="test", priority=priority, circumstances=state)


def submit(database: Database, *args: object, most: int = 100, **more: object) -> Job:
    ((job, _),) = jobs.submit(database, [wanted(*args, **more)], most_waiting=most)  # type: ignore[arg-type]
    return job


def claim(database: Database, worker: str = "w", attempts: int = 3) -> Job:
    job = jobs.claim(database, worker, attempts=attempts, lease=30)
    assert job is not None
    return job


def report(digest: str = DIGEST) -> Report:
    return Report(
        scanned_at="2026-01-02T03:04:05Z",
        timing={"read": 1.0},
        target=TargetLine(reference="registry:r.example/app:1", kind="image", digest=digest, platform="linux/amd64"),
        indexes=(),
        summary=summarise([]),
        distributions=(),
        findings=(),
    )


def count(database: Database, table: object) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]


def let_run_out(database: Database, job: Job) -> None:
    with database.writing() as connection:
        late = {"lease_until": clock(connection) - 1}
        connection.execute(update(tables.jobs).where(tables.jobs.c.id == job.id).values(**late))


def test_the_whole_way(database: Database) -> None:
    job = submit(database)
    assert (job.state, job.attempts, job.digest) == (State.QUEUED, 0, DIGEST)
    held = claim(database)
    assert (held.id, held.state, held.attempts, held.lease) == (job.id, State.RUNNING, 1, 1)
    assert jobs.settle_digest(database, held, DIGEST)
    jobs.finish(database, held, [report()], digest=DIGEST)
    done = jobs.get(database, job.id)
    assert done is not None
    assert done.state is State.DONE
    assert len(reports_of_job(database, job.id, done.content)) == 1
    assert jobs.claim(database, "w", attempts=3, lease=30) is None
    (row,) = listed_images(database, Filter(), most=5, cursor=None).rows
    assert (row["registry"], row["repository"], row["tag"], row["digest"]) == ("r.example", "app", "1", DIGEST)


def test_the_same_is_one_job_also_when_it_is_done(database: Database) -> None:
    first = submit(database)
    assert submit(database).id == first.id
    held = claim(database)
    assert submit(database).id == first.id
    jobs.finish(database, held, [report()], digest=DIGEST)
    assert submit(database).id == first.id
    assert submit(database, state="later").id != first.id
    assert count(database, tables.jobs) == 2


def test_another_name_of_a_digest_gets_its_result_without_a_scan(database: Database) -> None:
    submit(database)
    jobs.finish(database, claim(database), [report()], digest=DIGEST)
    other = submit(database, "r.example/app:2")
    held = claim(database)
    assert held.id == other.id
    assert not jobs.settle_digest(database, held, DIGEST)
    done = jobs.get(database, other.id)
    assert done is not None
    assert done.state is State.DONE
    assert count(database, tables.reports) == 1
    assert [row["tag"] for row in listed_images(database, Filter(), most=5, cursor=None).rows] == ["1", "2"]


def test_a_digest_that_is_being_scanned_is_waited_for(database: Database) -> None:
    for tag in ("1", "2"):
        submit(database, f"r.example/app:{tag}@{DIGEST}")
    held = sorted([claim(database), claim(database)], key=lambda job: job.id)
    assert jobs.settle_digest(database, held[0], DIGEST)
    assert not jobs.settle_digest(database, held[1], DIGEST)
    waiting = jobs.get(database, held[1].id)
    assert waiting is not None
    assert (waiting.state, waiting.attempts) == (State.QUEUED, 0)


def test_who_lost_the_lease_changes_nothing(database: Database) -> None:
    submit(database)
    first = claim(database, "one")
    let_run_out(database, first)
    second = claim(database, "two")
    assert (second.id, second.lease, second.attempts) == (first.id, 2, 2)
    for change in (
        lambda: jobs.renew(database, first, lease=30),
        lambda: jobs.finish(database, first, [report()], digest=DIGEST),
        lambda: jobs.retry(database, first, "x", attempts=3),
        lambda: jobs.give_up(database, first, "x"),
        lambda: jobs.hand_back(database, first),
        lambda: jobs.settle_digest(database, first, DIGEST),
    ):
        with pytest.raises(LeaseLost):
            change()
    assert count(database, tables.reports) == 0
    jobs.finish(database, second, [report()], digest=DIGEST)
    assert count(database, tables.reports) == 1
    assert count(database, tables.history) == 1


def test_two_scans_of_one_digest_are_one_result(database: Database) -> None:
    for tag in ("1", "2"):
        submit(database, f"r.example/app:{tag}@{DIGEST}")
    one, other = claim(database), claim(database)
    jobs.finish(database, one, [report()], digest=DIGEST)
    jobs.finish(database, other, [report()], digest=DIGEST)
    assert count(database, tables.reports) == 1
    assert count(database, tables.history) == 2


def test_what_may_pass_is_tried_again_and_then_given_up(database: Database) -> None:
    job = submit(database)
    assert jobs.retry(database, claim(database), "unreachable", attempts=2) is State.FAILED
    assert jobs.claim(database, "w", attempts=2, lease=30) is None
    with database.writing() as connection:
        connection.execute(update(tables.jobs).values(due=0))
    assert jobs.retry(database, claim(database), "unreachable", attempts=2) is State.DEAD
    dead = jobs.get(database, job.id)
    assert dead is not None
    assert dead.reason == "unreachable (after 2 attempts)"
    assert submit(database).id != job.id
    again = jobs.requeue(database, job.id)
    assert again is not None
    assert (again.state, again.attempts) == (State.QUEUED, 0)


def test_what_kills_its_workers_is_given_up(database: Database) -> None:
    job = submit(database)
    for _ in range(3):
        let_run_out(database, claim(database))
    assert jobs.claim(database, "w", attempts=3, lease=30) is None
    dead = jobs.get(database, job.id)
    assert dead is not None
    assert dead.state is State.DEAD
    assert "lost 3 times" in (dead.reason or "")


def test_the_urgent_first_then_the_old(database: Database) -> None:
    names = ["crawl", "push", "deploy", "push2"]
    urgent = [Priority.CRAWL, Priority.PUSH, Priority.DEPLOY, Priority.PUSH]
    for name, priority in zip(names, urgent, strict=True):
        submit(database, f"r.example/{name}:1", priority=priority)
    assert [claim(database).repository for _ in names] == ["deploy", "push", "push2", "crawl"]


def test_a_duplicate_that_is_urgent_moves_the_job_forward(database: Database) -> None:
    submit(database, "r.example/one:1")
    submit(database, "r.example/two:1")
    submit(database, "r.example/two:1", priority=Priority.DEPLOY)
    assert claim(database).repository == "two"


def test_cancel(database: Database) -> None:
    job = submit(database)
    held = claim(database)
    cancelled = jobs.cancel(database, job.id)
    assert cancelled is not None
    assert cancelled.state is State.CANCELLED
    with pytest.raises(LeaseLost):
        jobs.renew(database, held, lease=30)
    with pytest.raises(LeaseLost):
        jobs.finish(database, held, [report()], digest=DIGEST)
    assert count(database, tables.reports) == 0
    assert submit(database).id != job.id
    assert jobs.cancel(database, "0" * 32) is None


def test_handed_back_costs_no_attempt(database: Database) -> None:
    submit(database)
    jobs.hand_back(database, claim(database))
    assert claim(database).attempts == 1


def test_a_full_queue_takes_nothing_of_a_request(database: Database) -> None:
    submit(database, "r.example/one:1", most=2)
    several = [wanted(f"r.example/{name}:1") for name in ("one", "two", "three")]
    with pytest.raises(Full):
        jobs.submit(database, several, most_waiting=2)
    assert count(database, tables.jobs) == 1
    assert submit(database, "r.example/one:1", most=0).repository == "one"


def test_many_workers_claim_each_job_once(database: Database) -> None:
    jobs.submit(database, [wanted(f"r.example/a{number}:1") for number in range(40)], most_waiting=100)
    claimed: list[str] = []

    def work() -> None:
        while (job := jobs.claim(database, "w", attempts=3, lease=30)) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 40


def test_many_submit_the_same_at_once(database: Database) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(submit(database).id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_an_older_job_does_not_take_a_newer_ones_place(database: Database) -> None:
    other = "sha256:" + "b" * 64
    submit(database)
    submit(database, f"r.example/app:1@{other}")
    old, new = claim(database), claim(database)
    jobs.finish(database, new, [report(other)], digest=other)
    jobs.finish(database, old, [report()], digest=DIGEST)
    (row,) = listed_images(database, Filter(), most=5, cursor=None).rows
    assert row["digest"] == other
    assert count(database, tables.history) == 2


def test_the_old_is_forgotten_but_for_the_newest_of_a_name(database: Database) -> None:
    other = "sha256:" + "b" * 64
    submit(database)
    jobs.finish(database, claim(database), [report()], digest=DIGEST)
    submit(database, f"r.example/app:1@{other}")
    jobs.finish(database, claim(database), [report(other)], digest=other)
    with database.writing() as connection:
        assert forget(connection, before=clock(connection) + 10) == 1
    assert count(database, tables.reports) == 1
    assert count(database, tables.history) == 1
    assert count(database, tables.jobs) == 0
    assert submit(database).state is State.QUEUED


def test_an_image_of_an_index_is_not_scanned_beside_it(database: Database) -> None:
    """Its own event came first, by its digest: it waits for the index, and gets its report from there."""
    child, index = DIGEST, "sha256:" + "d" * 64
    submit(database, f"r.example/app@{child}")
    held = claim(database)
    submit(database, "r.example/other:1")
    assert jobs.settle_digest(database, held, child)
    submit(database, f"r.example/app:1@{index}")
    assert not jobs.settle_digest(database, held, child)
    waiting = jobs.get(database, held.id)
    assert waiting is not None
    assert (waiting.state, waiting.attempts) == (State.QUEUED, 0)
    for _ in range(2):
        one = claim(database)
        said = child if one.repository == "app" else "sha256:" + "e" * 64
        jobs.finish(database, one, [report(said)], digest=index if one.repository == "app" else said)
    with database.writing() as connection:
        connection.execute(update(tables.jobs).where(tables.jobs.c.id == held.id).values(due=0))
    assert not jobs.settle_digest(database, claim(database), child)
    done = jobs.get(database, held.id)
    assert done is not None
    assert done.state is State.DONE
    assert len(reports_of_job(database, done.id, done.content)) == 1


def test_what_is_asked_for_by_its_digest_waits_for_nothing(database: Database) -> None:
    asked = Wanted(
        image=ImageName.parse(f"r.example/app@{DIGEST}"),
        source=jobs.ASKED,
        priority=Priority.REQUEST,
        circumstances="x",
    )
    jobs.submit(database, [asked], most_waiting=9)
    held = claim(database)
    submit(database, "r.example/app:1", state="x")
    assert jobs.settle_digest(database, held, DIGEST)


def test_what_is_no_image_ends_without_a_complaint(database: Database) -> None:
    submit(database)
    jobs.leave(database, claim(database), "an artifact")
    (job,) = jobs.listed(database, states=[State.CANCELLED], most=5)
    assert job.reason == "an artifact"
