"""Brings the database to the schema this version of Trellis needs, once, however many processes start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as Alembic
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.db import Database

ROOT = Path(__file__).resolve().parent.parent
_LOCK = 7_214_001  # any number; all Trellis processes on a PostgreSQL agree on it


class NewerSchema(RuntimeError):
    """The database was made by a newer Trellis than this one."""

    def __init__(self) -> None:
        super().__init__(
            "The database belongs to a newer version of Trellis; start that version, or restore a backup made before it."
        )


def wanted() -> str:
    """The revision this code needs."""
    return str(_scripts().get_current_head())


def present(database: Database) -> str | None:
    """The revision the database has; None: it is empty."""
    with database.reader.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return MigrationContext.configure(connection).get_current_revision()


def is_current(database: Database) -> bool:
    """Whether nothing is left to do; raises NewerSchema if this code is too old for the database."""
    found = present(database)
    if found is not None and found not in {script.revision for script in _scripts().walk_revisions()}:
        raise NewerSchema
    return found == wanted()


def upgrade(database: Database) -> bool:
    """Run what migrations are missing; whether there were any."""
    with _alone(database):
        if is_current(database):
            return False
        config = _alembic()
        with database.writer.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return True


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """One process at a time. On SQLite the migration's own write lock does it."""
    if database.is_sqlite:
        yield
        return
    with database.writer.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK)))
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK)))


def _alembic() -> Alembic:
    config = Alembic(ROOT / "alembic.ini")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_alembic())
