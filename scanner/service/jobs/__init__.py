"""The queue's truth: what a job is, and every change of its state as one transaction.

::

    queued ──claim──▶ running ──finish──▶ done
      ▲                 │  │
      │ claim when due  │  └─give up──▶ dead ──requeue──▶ queued
    failed ◀───retry────┘
    queued, failed, running ──cancel──▶ cancelled

``failed`` waits to be tried again. A ``running`` job whose lease has run out is claimed like a queued one.

::

    job         a job as a value, and what is wanted of one
    queueing    what is wanted is queued, or found to be there
    leased      what a worker does with a job under its lease, and how jobs end
    asked       what others ask of jobs, and change of them without a lease
"""

from scanner.service.jobs.asked import cancel, counted, due, get, listed, requeue
from scanner.service.jobs.job import (
    ASKED,
    CRAWL,
    INDEXES,
    MOST_SHOWN,
    SETTLING,
    Ending,
    Full,
    Job,
    LeaseLost,
    Priority,
    State,
    Tell,
    Wanted,
    content_of,
)
from scanner.service.jobs.leased import BACKOFF, claim, finish, give_up, hand_back, leave, renew, retry, settle_digest
from scanner.service.jobs.queueing import room, submit

__all__ = [
    "ASKED",
    "BACKOFF",
    "CRAWL",
    "INDEXES",
    "MOST_SHOWN",
    "SETTLING",
    "Ending",
    "Full",
    "Job",
    "LeaseLost",
    "Priority",
    "State",
    "Tell",
    "Wanted",
    "cancel",
    "claim",
    "content_of",
    "counted",
    "due",
    "finish",
    "get",
    "give_up",
    "hand_back",
    "leave",
    "listed",
    "renew",
    "requeue",
    "retry",
    "room",
    "settle_digest",
    "submit",
]
