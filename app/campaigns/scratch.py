"""A small copy of the database with a few leads in it, to run a flow on; it is thrown away afterwards."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Base, Database, rows_of, sqlite_driver, table

# What a passage may ask for, whoever the lead is.
_WHOLE = (
    "organisations", "lead_fields", "definitions", "score_models", "segments", "topics", "tags", "users", "reps",
    "frequency_caps", "sending_windows", "forms", "mails", "winners", "campaigns",
)  # fmt: skip
_OF_LEAD = (
    "identities", "consents", "subscriptions", "opt_outs", "mail_pauses", "lead_tags", "score_entries", "notes",
    "segment_members", "submissions", "handoffs", "tasks", "messages",
)  # fmt: skip
OURS = 10**12  # what comes to be on a copy has a higher id than any row of the database it was made from
_version_ids = itertools.count(OURS)  # flows are kept in memory by the id of their version: no two tries share one
_FOLDER = "trellis-try-"
_FORGOTTEN_AFTER = 3600.0  # seconds after which a folder belongs to a process that died

Rows = list[dict[str, Any]]
Found = dict[str, Rows]


@contextmanager
def copied(
    database: Database, *, lead_id: int, campaign_id: int, flow: dict[str, Any], at: datetime
) -> Iterator[Database]:
    """A database of its own with the lead as it is now, outside the campaign, whose published flow is this one since `at`."""
    with database.read() as session:
        found = read(session, [lead_id], at)
        found["enrollments"] = [row for row in found["enrollments"] if row["campaign_id"] != campaign_id]
        found["versions"] = versions_of(session, found["enrollments"])
    _forget_passages(found)
    publish(found, campaign_id, fresh_version_id(), flow, at)
    with filled(found) as scratch:
        yield scratch


def fresh_version_id() -> int:
    """For the flow of one copy; no other copy of this process has it."""
    return next(_version_ids)


def read(session: Session, leads: Collection[int], at: datetime) -> Found:
    """The rows to copy: what is the same for everybody, and all that is known by `at` of these leads."""
    ids = sa.select(rows_of([[lead] for lead in leads], id=sa.BigInteger()).c.id)
    found = {name: _rows(session, name) for name in _WHOLE}
    found |= {name: _rows(session, name, table(name).c.lead_id.in_(ids)) for name in _OF_LEAD}
    people, events, known = table("leads"), table("events"), table("identities")
    found["leads"] = _rows(session, "leads", people.c.id.in_(ids))
    found["companies"] = _by_id(session, "companies", {row["company_id"] for row in found["leads"]})
    hashes = sa.select(people.c.address_hash).where(people.c.id.in_(ids))
    found["suppressions"] = _rows(session, "suppressions", table("suppressions").c.address_hash.in_(hashes))
    traces = sa.select(known.c.id).where(known.c.lead_id.in_(ids))
    found["events"] = _rows(session, "events", sa.and_(events.c.identity_id.in_(traces), events.c.at <= at))
    found["enrollments"] = _rows(session, "enrollments", table("enrollments").c.lead_id.in_(ids))
    written = {row["version_id"] for row in found["mails"]} | {row["mail_version_id"] for row in found["messages"]}
    found["mail_versions"] = _by_id(session, "mail_versions", written)
    for row in found["events"]:
        row["is_new"] = False
    for row in found["users"]:
        row["password_hash"] = "-"
    return found


def versions_of(session: Session, enrollments: Rows) -> Rows:
    """The flows these passages are in."""
    return _by_id(session, "versions", {row["version_id"] for row in enrollments})


def _forget_passages(found: Found) -> None:
    """What refers to passages that are not copied forgets them."""
    kept = {row["id"] for row in found["enrollments"]}
    for row in itertools.chain(*(found[name] for name in ("handoffs", "tasks", "messages"))):
        if row["enrollment_id"] not in kept:
            row["enrollment_id"] = None


def _rows(session: Session, name: str, condition: sa.ColumnElement[bool] | None = None) -> Rows:
    query = sa.select(table(name))
    return [dict(row) for row in session.execute(query if condition is None else query.where(condition)).mappings()]


def _by_id(session: Session, name: str, ids: set[int | None]) -> Rows:
    wanted = rows_of([[id_] for id_ in ids if id_ is not None], id=sa.BigInteger())
    return _rows(session, name, table(name).c.id.in_(sa.select(wanted.c.id)))


def publish(found: Found, campaign_id: int, version_id: int, flow: dict[str, Any], at: datetime) -> None:
    """Put the flow in the campaign's place; the others stand still, but keep their names."""
    still: dict[str, Any] = {"version_id": None, "missed_from": None, "trouble": None, "try_again_at": None}
    for row in found["campaigns"]:
        row |= still | {"state": row["state"] if row["state"] == "paused" else "draft"}
        if row["id"] == campaign_id:
            row |= {"state": "live", "version_id": version_id, "paused_at": None, "pauses": []}
    found["versions"].append(
        {"id": version_id, "campaign_id": campaign_id, "number": 1, "flow": flow, "published_at": at}
        | {"published_by": None, "scenarios": []}
    )


@contextmanager
def filled(found: Found, lay: Callable[[sa.Connection], None] = lambda connection: None) -> Iterator[Database]:
    """A database of its own with these rows; `lay` may write more. It is gone at the end of the block."""
    with tempfile.TemporaryDirectory(prefix=_FOLDER, ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "try.sqlite"
        _fill(path, found, lay)
        scratch = Database(f"sqlite:///{path}")
        sa.event.listen(scratch.writer, "connect", _hurry)
        try:
            yield scratch
        finally:
            scratch.dispose()


def sweep() -> None:
    """Remove the copies of processes that died over them: they hold people's data."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > _FORGOTTEN_AFTER:
                shutil.rmtree(folder, ignore_errors=True)


def _fill(path: Path, found: Found, lay: Callable[[sa.Connection], None]) -> None:
    """Write the rows; references to what was left behind dangle, so nobody may check them here."""
    path.write_bytes(empty())
    engine = sa.create_engine(f"sqlite:///{path}", module=sqlite_driver())
    with engine.begin() as connection:
        for name, rows in found.items():
            if rows:
                connection.execute(sa.insert(table(name)), rows)
        lay(connection)
    engine.dispose()


@cache
def empty() -> bytes:
    """A database with all tables and nothing in them; making it takes longer than most tries."""
    counting = sa.MetaData()
    for each in Base.metadata.sorted_tables:
        own = each.to_metadata(counting)
        own.dialect_options["sqlite"]["autoincrement"] = own.autoincrement_column is not None
    with tempfile.TemporaryDirectory(prefix=_FOLDER) as folder:
        path = Path(folder) / "empty.sqlite"
        engine = sa.create_engine(f"sqlite:///{path}", module=sqlite_driver())
        counting.create_all(engine)
        engine.dispose()
        return path.read_bytes()


def count_from(connection: sa.Connection, first: int) -> None:
    """Let every id that is given from now on be higher than `first`."""
    counted = [name for name, each in Base.metadata.tables.items() if each.autoincrement_column is not None]
    connection.execute(sa.delete(_COUNTS).where(_COUNTS.c.name.in_(counted)))
    connection.execute(sa.insert(_COUNTS), [{"name": name, "seq": first} for name in counted])


def counted(connection: sa.Connection) -> int:
    """The highest id given."""
    return connection.scalar(sa.select(sa.func.max(_COUNTS.c.seq))) or 0


_COUNTS = sa.table("sqlite_sequence", sa.column("name"), sa.column("seq"))


def _hurry(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # nothing of it need outlive a crash
