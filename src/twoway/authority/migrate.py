"""Bring an older store up to the newest schema, by the Alembic migrations inside this package."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

SCRIPTS = Path(__file__).parent / "migrations"


def knows(version: str) -> bool:
    """Whether a migration of this name exists here."""
    return any(script.revision == version for script in _scripts().walk_revisions())


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the migrations that are missing, in the transaction that `connection` is in."""
    scripts = _scripts()
    context = EnvironmentContext(
        _config(),
        scripts,
        fn=lambda current, _: scripts._upgrade_revs(to, current),
    )
    with context:
        context.configure(connection=connection, transactional_ddl=True)
        context.run_migrations()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
