"""Where Trellis keeps everything: SQLite on one machine, PostgreSQL on many, with one schema and one way to ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column
from sqlalchemy.util import LRUCache

from app.turns import Turns

BUCKETS = 64  # every hot row carries lead_id % 64, so that workers can share the work by ranges
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# SQLite below these has the WAL-reset corruption bug (https://sqlite.org/wal.html); these carry the fix.
_FIXED_SQLITE = ((3, 51, 3), (3, 50, 7), (3, 44, 6))

COMPILED = 1500  # statements that are kept put together
BUSY = 10  # seconds a writer of SQLite waits for the others

# A database that is gone without a word is noticed within a minute, not after the system's two hours.
_KEEPALIVE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class Instant(sa.TypeDecorator[datetime]):
    """An aware UTC datetime, stored as microseconds since 1970 so that both databases add, compare and index it alike."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else micros(value)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)

    def process_literal_param(self, value: datetime | None, dialect: sa.Dialect) -> str:
        return "NULL" if value is None else str(micros(value))


def micros(instant: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    if instant.tzinfo is None:
        raise ValueError("An instant needs a time zone.")
    return (instant - EPOCH) // MICROSECOND


def shifted(column: sa.ColumnElement[Any], by: timedelta) -> sa.ColumnElement[datetime]:
    """The instant in `column`, moved by a fixed duration, computed by the database."""
    return sa.type_coerce(sa.type_coerce(column, sa.BigInteger) + (by // MICROSECOND), Instant)


Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Key = sa.BigInteger().with_variant(sa.Integer, "sqlite")

Id = Annotated[int, mapped_column(Key, primary_key=True)]
Ref = Annotated[int, mapped_column(Key)]
Name = Annotated[str, mapped_column(sa.String(200))]
Kind = Annotated[str, mapped_column(sa.String(40))]


class Base(DeclarativeBase):
    if TYPE_CHECKING:
        __table__: ClassVar[sa.Table]  # declared tables are tables, not any selectable

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Instant, dict[str, Any]: Json, list[Any]: Json, str: sa.Text, int: sa.BigInteger}


def table(name: str) -> sa.Table:
    """A table by name, for SQL that must look at a later package's rows without importing it."""
    return Base.metadata.tables[name]


@lru_cache(maxsize=64)
def alias(name: str) -> sa.FromClause:
    """The same under another name, made once: naming all its columns anew for each batch took longer than asking the question."""
    return table(name).alias()


class json_object(sa.sql.functions.GenericFunction[Any]):
    """`json_object('key', value, …)` on SQLite, `jsonb_build_object` on PostgreSQL."""

    type = Json
    inherit_cache = True


@compiles(json_object, "sqlite")
def _json_object_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    """What is true is said so, not 1."""
    parts = [(compiler.process(each, **kw), isinstance(each.type, sa.Boolean)) for each in element.clauses]
    said = "json(CASE {} WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END)"
    return f"json_object({', '.join(said.format(sql) if is_so else sql for sql, is_so in parts)})"


@compiles(json_object, "postgresql")
def _json_object_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"jsonb_build_object({compiler.process(element.clauses, **kw)})"


class casefolded(sa.sql.functions.GenericFunction[str]):
    """Text in lower case, of any alphabet on both databases: SQLite's own `lower` knows ASCII alone."""

    type = sa.Text()
    inherit_cache = True


@compiles(casefolded, "sqlite")
def _casefolded_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"casefolded({compiler.process(element.clauses, **kw)})"


@compiles(casefolded, "postgresql")
def _casefolded_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"lower({compiler.process(element.clauses, **kw)})"


class database_now(sa.sql.functions.GenericFunction[datetime]):
    """The time by the database's clock, which all processes share, whatever their own say."""

    type = Instant()
    inherit_cache = True


@compiles(database_now, "sqlite")
def _database_now_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"


@compiles(database_now, "postgresql")
def _database_now_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"


def _lower(text: Any) -> Any:
    return text.lower() if isinstance(text, str) else text


class _json_rows(sa.sql.functions.GenericFunction[Any]):
    inherit_cache = True


@compiles(_json_rows, "sqlite")
def _json_rows_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **kw)})"


@compiles(_json_rows, "postgresql")
def _json_rows_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"jsonb_array_elements({compiler.process(element.clauses, **kw)})"


def temporary(name: str, *columns: sa.Column[Any], is_rewritten: bool = False) -> sa.Table:
    """A table for one transaction on this connection, made empty by `scratch`.

    PostgreSQL empties it at each commit: by DELETE alone it would grow for as long as the connection lives, since nobody
    vacuums it, and every look at it would read all that ever stood there. One whose rows `is_rewritten` again and again has
    no key there: each version of a row would need a place in it, which took two thirds of the time.
    """
    info = {"is_rewritten": is_rewritten}
    return sa.Table(
        name, sa.MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DELETE ROWS", info=info
    )


def scratch(session: Session, table: sa.Table) -> None:
    """A temporary table, empty, on this connection."""
    session.execute(_creation(table, session.get_bind().dialect.name))
    session.execute(sa.delete(table))


@lru_cache
def _creation(table: sa.Table, dialect: str) -> sa.TextClause:
    """As text, since of a schema nothing is kept compiled, and a tick does this often."""
    speaks = (sqlite if dialect == "sqlite" else postgresql).dialect()
    if dialect != "sqlite" and table.info["is_rewritten"]:
        table = temporary(
            table.name, *(sa.Column(each.name, each.type, nullable=each.nullable) for each in table.columns)
        )
    return sa.text(str(sa.schema.CreateTable(table, if_not_exists=True).compile(dialect=speaks)))


def rows_of(values: Sequence[Sequence[Any]], **columns: sa.types.TypeEngine[Any]) -> sa.Subquery:
    """Plain values as a selectable of the named columns: one bound parameter, whatever the number of rows."""
    encoded = [[micros(v) if isinstance(v, datetime) else v for v in row] for row in values]
    return rows_in(sa.bindparam(None, encoded, type_=Json), **columns)


def rows_in(given: sa.BindParameter[Any], /, **columns: sa.types.TypeEngine[Any]) -> sa.Subquery:
    """The same, of values that are given when the statement is run: it can be built once."""
    rows = _json_rows(given).table_valued(sa.column("value", Json), name="given")
    picked = [_picked(rows.c.value, i, kind).label(name) for i, (name, kind) in enumerate(columns.items())]
    return sa.select(*picked).subquery()


def _picked(value: sa.ColumnElement[Any], index: int, kind: sa.types.TypeEngine[Any]) -> sa.ColumnElement[Any]:
    item = value[index]
    if kind is Json:
        return item
    if isinstance(kind, (Instant, sa.Integer, sa.BigInteger)):
        return sa.type_coerce(sa.cast(item.as_string(), sa.BigInteger), kind)
    return sa.type_coerce(item.as_string(), kind)


def sqlite_driver() -> ModuleType | None:
    """The bundled, fixed SQLite, or None to use a standard library that is fixed; refuses a broken one."""
    try:
        import pysqlite3.dbapi2 as driver

        return driver  # type: ignore[no-any-return]
    except ImportError:
        import sqlite3

        found = sqlite3.sqlite_version_info
        if found >= _FIXED_SQLITE[0] or any(found[:2] == fixed[:2] and found >= fixed for fixed in _FIXED_SQLITE):
            return None
        raise RuntimeError(
            f"SQLite {sqlite3.sqlite_version} can corrupt data; install pysqlite3, or set TRELLIS_DATABASE_URL to PostgreSQL."
        ) from None


class Database:
    """One writing and one read-only way to the same database; closed by `dispose()`."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.writer = self._engine(read_only=False)
        self.reader = self._engine(read_only=True)

    def _engine(self, *, read_only: bool) -> sa.Engine:
        if not self.is_sqlite:
            engine = _alike(
                sa.create_engine(self.url, pool_pre_ping=True, pool_size=10, max_overflow=10, connect_args=_KEEPALIVE),
                preserve_rowcount=True,  # else psycopg forgets it for INSERT … SELECT
            )
            return engine.execution_options(postgresql_readonly=True) if read_only else engine
        if self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = _alike(
            sa.create_engine(self.url, module=sqlite_driver(), pool_size=10, max_overflow=20, pool_use_lifo=True)
        )  # the one last used has the warmest cache
        if not read_only:
            _take_turns(engine)  # before it says BEGIN
        _prepare_sqlite(engine, read_only=read_only)
        return engine

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose work is committed once at the end of the block, or not at all."""
        with Session(self.writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that the database itself refuses to let write."""
        with Session(self.reader, expire_on_commit=False) as session:
            yield session

    def dispose(self) -> None:
        self.writer.dispose()
        self.reader.dispose()


_known: dict[sa.URL, tuple[sa.Dialect, LRUCache[Any, Any]]] = {}


def _alike(made: sa.Engine, **options: Any) -> sa.Engine:
    """The same engine with what another to the same server, or to any SQLite file, has found out and compiled before.

    A try, a scenario and a rehearsal run on a database of their own, and putting their statements together took longer than
    running them on a few leads.
    """
    server = made.url.set(database=None) if made.url.get_backend_name() != "sqlite" else sa.make_url("sqlite://")
    if server in _known:
        dialect, compiled = _known[server]
        return sa.Engine(made.pool, dialect, made.url, execution_options={"compiled_cache": compiled, **options})
    compiled = LRUCache(COMPILED)
    made.update_execution_options(compiled_cache=compiled, **options)

    @event.listens_for(made, "connect")
    def connected(_connection: Any, _record: Any) -> None:  # by now the dialect knows what it speaks to
        _known.setdefault(server, (made.dialect, compiled))

    return made


def _prepare_sqlite(engine: sa.Engine, *, read_only: bool) -> None:
    pragmas = [
        f"busy_timeout={BUSY * 1000}",
        "journal_mode=WAL",
        "foreign_keys=ON",
        "synchronous=FULL",
        "trusted_schema=OFF",
        "journal_size_limit=67108864",
        "temp_store=MEMORY",
        "cache_size=-49152",
        "soft_heap_limit=67108864",  # of the process: else each of its connections comes to keep the whole database
    ]
    if read_only:
        pragmas = [pragmas[0], "query_only=ON", "trusted_schema=OFF", "cache_size=-16384"]

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.create_function("casefolded", 1, _lower, deterministic=True)
        connection.isolation_level = None  # we say BEGIN ourselves: the driver's own lost 1,351 of 2,000 updates
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _take_turns(engine: sa.Engine) -> None:
    """Let the writers of this process wait for each other in a queue, from BEGIN until the connection goes back.

    SQLite lets the luckiest of those who wait have the lock: of twelve that wrote all the time four waited ten seconds in vain.
    It still decides: whoever has waited too long for its turn asks it all the same.
    """
    turns = Turns()

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        mine = connection.connection.record_info
        if mine is not None and not mine.get("turn"):
            mine["turn"] = turns.take(BUSY)

    @event.listens_for(engine, "checkin")
    def checkin(_connection: Any, record: Any) -> None:
        if record.record_info.pop("turn", False):
            turns.give()
