"""Upgrading an old copy gives the same schema as a new one, and loses no row."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations

from app.db import Base, Database
from tests.conftest import NOW, ROOT


def test_the_migrated_schema_is_the_metadata(database: Database) -> None:
    with database.writer.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "render_as_batch": True})
        differences = [d for d in compare_metadata(context, Base.metadata) if not _is_partial_index_noise(d)]
    assert differences == []


def _is_partial_index_noise(difference: object) -> bool:
    """Whether it is alembic's own bookkeeping table."""
    return "alembic_version" in repr(difference)


def test_migrations_are_numbered_without_gaps() -> None:
    names = sorted(path.name for path in (ROOT / "migrations" / "versions").glob("*.py"))
    assert [name[:4] for name in names] == [f"{i:04d}" for i in range(1, len(names) + 1)]
    assert all(re.fullmatch(r"\d{4}_[a-z_]+\.py", name) for name in names)


def test_child_rows_survive_a_batch_alter(sqlite_database: Database) -> None:
    users = Base.metadata.tables["users"]
    sign_ins = Base.metadata.tables["sign_ins"]
    with sqlite_database.writer.begin() as connection:
        user = {"id": 1, "email": "a@example.com", "name": "A", "role": "viewer", "password_hash": "x", "zone": "UTC"}
        connection.execute(users.insert(), user | {"is_active": True, "created_at": NOW})
        row = {"token_hash": "t", "user_id": 1, "created_at": NOW, "expires_at": NOW, "address": "", "browser": ""}
        connection.execute(sign_ins.insert(), row)
    with sqlite_database.writer.connect() as connection:
        connection.connection.dbapi_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        context = MigrationContext.configure(connection, opts={"transactional_ddl": True})
        with context.begin_transaction(), Operations(context).batch_alter_table("users", recreate="always") as batch:
            batch.add_column(sa.Column("nickname", sa.Text()))
        connection.commit()
        connection.connection.dbapi_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(sign_ins)) == 1
        assert session.execute(sa.text("PRAGMA foreign_key_check")).all() == []
