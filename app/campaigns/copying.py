"""Copies an audience with all its history into a throwaway database, by whole sets: nothing done to the copy is done to leads."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from app.campaigns import scratch, sidelines
from app.db import Database, Instant, rows_of, sqlite_driver, table

try:
    import fcntl
except ImportError:  # no such locks on Windows, where the age of the folder has to do
    fcntl = None  # type: ignore[assignment]

_FOLDER = "trellis-rehearsal-"
_OLD = 86_400.0  # seconds after which a folder is taken for a dead process's, where there are no locks
_BATCH = 5_000
_LIVE = sa.MetaData()  # the tables of the database that is copied, where it is attached to the copy


@dataclass(frozen=True, slots=True)
class Copy:
    """The leads that are copied, and over which time: all that is known by its end."""

    campaign_id: int
    leads: Sequence[int]
    begins_at: datetime
    ends_at: datetime
    makes: Sequence[tuple[int, str, str]] = ()  # version, step, and the kind of event that tells what it does


@contextmanager
def copied(database: Database, whole: scratch.Found, copy: Copy) -> Iterator[Database]:
    """A SQLite database with `whole` (what is the same for everybody) and everything of these leads; gone at the end."""
    sweep()
    with _folder() as folder:
        path = folder / "rehearsal.sqlite"
        path.write_bytes(scratch.empty())
        _fill(database, path, whole, copy)
        made = Database(f"sqlite:///{path}")
        for engine in (made.writer, made.reader):
            sa.event.listen(engine, "connect", _hurry)
        try:
            yield made
        finally:
            made.dispose()


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of our own; the lock on a file in it says that we live, and goes with us however we end."""
    made = tempfile.TemporaryDirectory(prefix=_FOLDER, ignore_cleanup_errors=True)
    with made as name, open(Path(name) / "alive", "w") as alive:
        if fcntl:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Path(name)


def sweep() -> int:
    """Remove the copies of processes that died over them: they hold people's data; how many there were."""
    count = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        with suppress(OSError):
            if _is_dead(folder):
                shutil.rmtree(folder, ignore_errors=True)
                count += 1
    return count


def _is_dead(folder: Path) -> bool:
    age = time.time() - folder.stat().st_mtime
    alive = folder / "alive"
    if not fcntl or not alive.exists():
        return age > _OLD if not fcntl else age > 60  # one that is just being made has no lock yet
    with open(alive) as file:
        return _takes(file)


def _takes(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _hurry(connection: Any, _record: Any) -> None:
    # nothing of it need outlive a crash, and it refers to rows that were left behind
    for pragma in ("synchronous=OFF", "foreign_keys=OFF", "cache_size=-131072"):
        connection.execute(f"PRAGMA {pragma}")


def _fill(database: Database, path: Path, whole: scratch.Found, copy: Copy) -> None:
    engine = sa.create_engine(f"sqlite:///{path}", module=sqlite_driver())
    file = str(Path(database.url.database or "").resolve()) if database.is_sqlite else None

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=OFF")
        _hurry(connection, _record)
        if file is not None:
            connection.execute("ATTACH DATABASE ? AS live", (f"{file}",))

    try:
        with engine.begin() as connection:
            sidelines.create(connection)
            for name, rows in whole.items():
                if rows:
                    connection.execute(sa.insert(table(name)), rows)
            scratch.count_from(connection, scratch.OURS)
            if file is not None:
                _pour_all(_Jug(connection), copy)
            else:
                # one moment for all tables
                with database.reader.connect().execution_options(isolation_level="REPEATABLE READ") as live:
                    _pour_all(_Jug(connection, live), copy)
    finally:
        engine.dispose()


@dataclass(frozen=True, slots=True)
class _Jug:
    """Pours what a query finds in earnest into a table of the copy."""

    copy: sa.Connection
    live: sa.Connection | None = None  # None: attached to the copy, so that the rows never leave SQLite

    def of(self, name: str) -> sa.Table:
        if self.live is not None:
            return table(name)
        found = _LIVE.tables.get(f"live.{name}")
        return table(name).to_metadata(_LIVE, schema="live") if found is None else found

    def pour(self, into: sa.Table, query: sa.Select[Any]) -> None:
        names = [column.name for column in query.selected_columns]
        if self.live is None:
            self.copy.execute(sa.insert(into).from_select(names, query, include_defaults=False))
            return
        plain = query.with_only_columns(*(_plain(column).label(column.name) for column in query.selected_columns))
        target = sa.table(into.name, *(sa.column(name) for name in names))
        found = self.live.execution_options(yield_per=_BATCH).execute(plain)
        for rows in found.mappings().partitions():
            self.copy.execute(sa.insert(target), [dict(row) for row in rows])

    def rows(self, name: str, where: sa.ColumnElement[bool], **instead: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """All columns of a table, but for those that are written otherwise."""
        columns = [instead.get(column.name, column).label(column.name) for column in self.of(name).columns]
        return sa.select(*columns).where(where)


def _plain(column: Any) -> Any:
    """As SQLite holds it."""
    kind = column.type
    if isinstance(kind, Instant):
        return sa.type_coerce(column, sa.BigInteger)
    return sa.cast(column, sa.Text) if isinstance(kind, sa.JSON) else column


def _pour_all(jug: _Jug, copy: Copy) -> None:
    ids = sa.select(rows_of([[lead] for lead in copy.leads], id=sa.BigInteger()).c.id)
    people, traces, events = jug.of("leads"), jug.of("identities"), jug.of("events")
    jug.pour(table("leads"), jug.rows("leads", people.c.id.in_(ids)))
    jug.pour(table("identities"), jug.rows("identities", traces.c.lead_id.in_(ids)))
    companies = jug.of("companies")
    theirs = sa.select(people.c.company_id).where(people.c.id.in_(ids), people.c.company_id.is_not(None))
    jug.pour(table("companies"), jug.rows("companies", companies.c.id.in_(theirs)))
    mine = events.c.identity_id.in_(sa.select(traces.c.id).where(traces.c.lead_id.in_(ids)))
    begin, end = sa.literal(copy.begins_at, Instant), sa.literal(copy.ends_at, Instant)
    known: dict[str, Any] = {
        "is_new": sa.false(),
        "evidence": sa.cast(sa.null(), sa.Text),
        "key": sa.cast(sa.null(), sa.Text),
    }
    jug.pour(table("events"), jug.rows("events", sa.and_(mine, events.c.at <= begin), **known))
    ahead = jug.rows("events", sa.and_(mine, events.c.at > begin, events.c.at <= end), **known | {"is_new": sa.true()})
    jug.pour(sidelines.later("events"), ahead.add_columns(events.c.at.label("due")))
    _pour_dues(jug, ids)
    _pour_deeds(jug, ids, copy)


def _pour_dues(jug: _Jug, ids: Any) -> None:
    """What is known of the leads in other tables; it is put back to the beginning afterwards."""
    for name in ("score_entries", "subscriptions", "opt_outs", "lead_tags", "enrollments", "handoffs"):
        jug.pour(table(name), jug.rows(name, jug.of(name).c.lead_id.in_(ids)))
    owed, nothing = jug.of("messages"), sa.cast(sa.null(), sa.Text)
    blank = {"inputs": nothing, "reply": nothing, "key": nothing}
    jug.pour(table("messages"), jug.rows("messages", owed.c.lead_id.in_(ids), **blank))
    given = jug.of("consents")
    names = [given.c[name] for name in ("lead_id", "topic_id", "state", "at")]
    jug.pour(sidelines.consents, sa.select(*names).where(given.c.lead_id.in_(ids)))
    people, kept = jug.of("leads"), jug.of("suppressions")
    hashes = sa.select(people.c.address_hash).where(people.c.id.in_(ids), people.c.address_hash.is_not(None))
    jug.pour(table("suppressions"), jug.rows("suppressions", kept.c.address_hash.in_(hashes)))


def _pour_deeds(jug: _Jug, ids: Any, copy: Copy) -> None:
    """What the campaign itself did to a lead within the period, and when."""
    if not copy.makes:
        return
    passages, decisions = jug.of("enrollments"), jug.of("decisions")
    since = passages.c.entered_at >= sa.literal(copy.begins_at, Instant)
    mine = sa.and_(passages.c.campaign_id == copy.campaign_id, since, passages.c.lead_id.in_(ids))
    makes = rows_of(copy.makes, version_id=sa.BigInteger(), step=sa.Text(), kind=sa.Text())
    by_it = sa.and_(makes.c.version_id == decisions.c.version_id, makes.c.step == decisions.c.step)
    done = sa.select(passages.c.lead_id, decisions.c.at, makes.c.kind)
    joined = done.join_from(decisions, passages, passages.c.id == decisions.c.enrollment_id).join(makes, by_it)
    jug.pour(sidelines.doings, joined.where(mine))
