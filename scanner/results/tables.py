"""The tables. Times are seconds since 1970 by the database's clock, digests are ``sha256:<hex>``.

``jobs`` is the queue's truth, ``reports`` has every result in full. ``distributions`` and ``findings`` are the
reports' lines again, for questions across images; ``images`` says which report is a name's newest, ``history`` which it
has ever had. A name is (registry, repository, tag, platform); an image that was named by its digest has the tag ``''``.
``remembered`` and ``claims`` are what workers share of their scans.
``index_states`` is what indexes last listed of the projects that reports rest on (``rests``), and under which serial of
``counters`` that was new.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
_Number: Final = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up only what is an INTEGER."""

jobs: Final = Table(
    "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("key", String(64), unique=True),  # None where the same may be asked for again
    Column("circumstances", String(64), nullable=False),  # the state of the indexes and the settings
    Column("content", String(64)),  # of the digest and of all that else decides the result
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("registry", String(255), nullable=False),
    Column("repository", String(255), nullable=False),
    Column("tag", String(128), nullable=False),
    Column("digest", String(160)),
    Column("source", String(80), nullable=False),
    Column("submitted", Float, nullable=False),
    Column("seen", Float, nullable=False),  # when the name was said to mean this
    Column("due", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("attempts", Integer, nullable=False),
    Column("lease", Integer, nullable=False),
    Column("lease_until", Float),
    Column("worker", String(120)),
    Column("reason", Text),
    Index(None, "state", "priority", "due"),
    Index(None, "content", "state"),
    Index(None, "digest"),
    Index(None, "submitted", "id"),
    Index(None, "registry", "repository", "tag"),
)

reports: Final = Table(
    "reports",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("content", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(160)),
    Column("asked", String(160), nullable=False),  # the digest that was scanned, which may be an index's
    Column("terms", String(64), nullable=False),  # the fingerprint of the settings
    Column("serial", BigInteger, nullable=False),  # of the state of the indexes that it rests on
    Column("unchecked", Integer, nullable=False),  # lines for which an index was out of reach
    Column("platform", String(80), nullable=False),
    Column("scanned", Float, nullable=False),
    Column("coverage", Float),
    Column("applicable", Integer, nullable=False),
    Column("verified", Integer, nullable=False),
    Column("upgradable", Integer, nullable=False),
    Column("distributions", Integer, nullable=False),
    Column("findings", Integer, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("document", LargeBinary, nullable=False),  # the report as JSON, compressed by zstd
    UniqueConstraint("content", "number"),  # one result of one digest and one state of the indexes
    Index(None, "digest"),
    Index(None, "asked", "terms"),
)


def _of_report() -> list[Column[int]]:
    key = ForeignKey("reports.id", ondelete="CASCADE")
    return [
        Column("report_id", _Number, key, primary_key=True, autoincrement=False),
        Column("number", Integer, primary_key=True, autoincrement=False),
    ]


distributions: Final = Table(
    "distributions",
    metadata,
    *_of_report(),
    Column("name", Text, nullable=False),
    Column("version", Text),
    Column("kind", String(16), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("integrity", String(16), nullable=False),
    Column("evidence", String(16)),
    Column("location", Text, nullable=False),
    Column("layer", Integer),
    Column("hidden", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Index(None, "name", "version"),
)

findings: Final = Table(
    "findings",
    metadata,
    *_of_report(),
    Column("kind", String(32), nullable=False),
    Column("path", Text, nullable=False),
    Column("layer", Integer),
    Column("detail", Text, nullable=False),
    Index(None, "kind"),
)


def _name() -> list[Column[str]]:
    widths = {"registry": 255, "repository": 255, "tag": 128, "platform": 80}
    return [Column(name, String(width), nullable=False) for name, width in widths.items()]


images: Final = Table(
    "images",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    *_name(),
    Column("report_id", _Number, ForeignKey("reports.id"), nullable=False, index=True),
    Column("said", Float, nullable=False),  # when it was said to mean this: what was said earlier never takes its place
    Column("seen", Float, nullable=False),
    Column("gone", Float),  # since when its registry does not have it any more
    UniqueConstraint("registry", "repository", "tag", "platform"),
)

history: Final = Table(
    "history",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    *_name(),
    Column("report_id", _Number, ForeignKey("reports.id"), nullable=False, index=True),
    Column("job_id", String(32), nullable=False),
    Column("seen", Float, nullable=False),
    UniqueConstraint("job_id", "report_id"),
    Index(None, "repository", "tag", "seen"),
)

outbox: Final = Table(
    "outbox",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),  # made of what is told and to whom: told once
    Column("kind", String(16), nullable=False),
    Column("receiver", String(255), nullable=False),
    Column("events", String(80), nullable=False),
    *_name()[:3],
    Column("digest", String(160)),
    Column("job_id", String(32), nullable=False),
    Column("about", Text, nullable=False),  # JSON: which reports, and which they are compared with
    Column("document", LargeBinary),  # what was signed and is to be attached, compressed by zstd
    Column("state", String(16), nullable=False),
    Column("created", Float, nullable=False),
    Column("due", Float, nullable=False),
    Column("ended", Float),
    Column("attempts", Integer, nullable=False),
    Column("lease", Integer, nullable=False),
    Column("lease_until", Float),
    Column("reason", Text),
    Index(None, "state", "receiver", "due"),
    Index(None, "registry", "repository", "tag"),
)

remembered: Final = Table(
    "remembered",
    metadata,
    Column("kind", String(16), primary_key=True),
    Column("key", String(64), primary_key=True),  # the sha256 of the kind and of what it is remembered under
    Column("data", LargeBinary, nullable=False),  # behind a checksum
    Column("size", Integer, nullable=False),  # bytes, of the row
    Column("used", Float, nullable=False),
    Index(None, "used"),
)

claims: Final = Table(
    "claims",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("owner", String(32), nullable=False),  # a scan
    Column("until", Float, nullable=False),
)

secrets: Final = Table(
    "secrets",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),  # made by the first process that needs it, and known to no file
)

rests: Final = Table(
    "rests",
    metadata,
    Column("report_id", _Number, ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("project", Text, primary_key=True),
    Index(None, "project"),
)

counters: Final = Table(
    "counters",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

index_states: Final = Table(
    "index_states",
    metadata,
    Column("project", Text, primary_key=True),
    Column("index_name", Text, primary_key=True),
    Column("fingerprint", String(64), nullable=False),  # empty where a scan was answered otherwise
    Column("serial", BigInteger, nullable=False),  # when it changed last; 0 where it never has
    Column("asked", Float, nullable=False),
    Index(None, "serial"),
)

index_rounds: Final = Table(
    "index_rounds",
    metadata,
    Column("index_name", Text, primary_key=True),
    Column("ended", Float, nullable=False),
    Column("answered", Integer, nullable=False),
    Column("unanswered", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("problem", Text),
)

turns: Final = Table(
    "turns",
    metadata,
    Column("name", String(300), primary_key=True),
    Column("holder", String(120), nullable=False),
    Column("number", Integer, nullable=False),  # grows with each turn
    Column("until", Float),  # None where nobody is at it
    Column("due", Float, nullable=False),
)

crawls: Final = Table(
    "crawls",
    metadata,
    Column("registry", String(255), primary_key=True),
    Column("begun", Float, nullable=False),
    Column("ended", Float),
    Column("position", Text, nullable=False),  # the last repository that was done
    Column("repositories", Integer, nullable=False),
    Column("images", Integer, nullable=False),
    Column("queued", Integer, nullable=False),
    Column("gone", Integer, nullable=False),
    Column("problem", Text),
)
