"""Run by alembic: the migrations on the connection that :mod:`scanner.results.database` hands over."""

from alembic import context

from scanner.results.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    transaction_per_migration=False,
)
context.run_migrations()
