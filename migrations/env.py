"""Bring a database up to the present schema, through the application's own engine and transactions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from app import layers
from app.db import Base, Database
from config import Config

layers.load_models()


def migrate(connection: sa.Connection) -> None:
    """Run the migrations, each in a transaction of its own.

    Foreign keys are off before BEGIN: a batch ALTER copies and drops the table, which would cascade to its child rows.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite:
        connection.connection.dbapi_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        transactional_ddl=True,
        transaction_per_migration=True,
        compare_type=True,
        on_version_apply=_check_children if is_sqlite else None,
    )
    try:
        with context.begin_transaction():
            if not is_sqlite:
                connection.execute(sa.text("SET lock_timeout = '3s'"))
            context.run_migrations()
    finally:
        if is_sqlite:
            connection.rollback()
            connection.connection.dbapi_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]


def _check_children(*, ctx: object, **_: object) -> None:
    orphans = ctx.connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()  # type: ignore[attr-defined]
    if orphans:
        raise RuntimeError(f"The migration would leave {len(orphans)} rows without their parent; nothing was changed.")


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    database = Database(Config.from_environment().database_url)
    with database.writer.connect() as own:
        migrate(own)
    database.dispose()
