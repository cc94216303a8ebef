"""Tables and migrations say the same on both databases, and what cannot be opened is told without its password."""

from __future__ import annotations

import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from scanner.errors import CgscanError, ConfigError, DatabaseFailed
from scanner.results.database import Database
from scanner.results.tables import metadata


def test_migrations_make_the_tables_that_the_program_knows(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.migrate()


def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    problems: list[Exception] = []

    def migrate() -> None:
        mine = Database(database_url)
        try:
            mine.migrate()
        except CgscanError as problem:
            problems.append(problem)
        finally:
            mine.close()

    threads = [threading.Thread(target=migrate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hunter2@127.0.0.1:1/x", "mysql://u:hunter2@h/x", "hunter2", "sqlite://", "sqlite:////proc/no/x"],
)
def test_a_database_that_is_none_is_one_line_without_a_password(url: str) -> None:
    with pytest.raises(CgscanError) as caught:
        Database(url).migrate()
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ConfigError | DatabaseFailed | CgscanError)
