"""URL -> a database. Every transaction that writes is serial where it matters.

SQLite: write-ahead log, and transactions that write begin as such, so that none fails half way for another's lock.
Those of one process take turns before that: SQLite's own waiting is sleep, up to a tenth of a second, without order.
PostgreSQL: rows are locked by who changes them. The clock is the database's where several machines share it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from scanner.errors import CgscanError, ConfigError, DatabaseFailed

_PATIENCE: Final = 30.0
"""Seconds that SQLite waits for another's transaction."""
_LOCK: Final = 0x63677363
"""Of PostgreSQL's advisory locks: who migrates."""


class Database:
    """An open database. :meth:`reading` and :meth:`writing` are a transaction each."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(_parsed(url))
        self._turn: AbstractContextManager[object] = (
            threading.Lock() if self._engine.dialect.name == "sqlite" else nullcontext()
        )

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's."""
        return self._engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that writes nothing."""
        with _mapped(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block, unless it raises."""
        with (
            _mapped(),
            self._turn,
            self._engine.connect().execution_options(cgscan_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    def migrate(self) -> None:
        """Bring the tables up to this version. Several processes may do it at once: one does, the others wait."""
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def clock(connection: Connection) -> float:
    """Seconds since 1970: of this machine where the database is on it, else of the database."""
    if connection.dialect.name == "sqlite":
        return time.time()
    return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def inserting(connection: Connection, table: Table) -> Any:
    """An INSERT that may say what happens on a conflict, which the two databases write alike."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415

        return insert(table)
    from sqlalchemy.dialects.sqlite import insert as other  # noqa: PLC0415

    return other(table)


def _parsed(url: str) -> URL:
    """What is wrong with a URL is told without it: it may hold a password."""
    try:
        parsed = make_url(url)
    except ArgumentError as problem:
        raise ConfigError("the URL of the database is none", hint="write postgresql://HOST/NAME") from problem
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ConfigError(f"no database of kind {ascii(parsed.drivername)[:40]}", hint="sqlite:// or postgresql://")
    return parsed


def _engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        return create_engine(
            url, pool_pre_ping=True, pool_size=8, max_overflow=16, connect_args={"connect_timeout": 10}
        )
    if not url.database:
        raise ConfigError("a database in memory keeps nothing", hint="write sqlite:///PATH")
    folder = Path(url.database).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise CgscanError(f"cannot make the folder {folder}: {problem.strerror or problem}") from problem
    engine = create_engine(url, connect_args={"timeout": _PATIENCE, "check_same_thread": False}, pool_size=8)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; see _begin_sqlite
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={int(_PATIENCE * 1000)}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("cgscan_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _mapped() -> Iterator[None]:
    """What the database could not do, as one of ours, without the URL and without values."""
    try:
        yield
    except SQLAlchemyError as problem:
        why = type(problem).__name__
        if isinstance(problem, DBAPIError) and problem.orig is not None:
            why = " ".join(str(problem.orig).split())[:300]
        raise DatabaseFailed(f"the database: {why}", hint="is it running, and is its disk full?") from problem
