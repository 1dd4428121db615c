"""Where Alembic looks for its environment when a migration is being written (`alembic revision`).

Stores are migrated by twoway.authority.migrate, which brings its own connection.
"""

from alembic import context

from twoway.authority import schema

if context.is_offline_mode():
    context.configure(dialect_name="sqlite", target_metadata=schema.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
