"""A small copy of the database with one lead in it, to try a flow on; it is thrown away afterwards."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Base, Database, sqlite_driver, table

# What a passage may ask for, whoever the lead is.
_WHOLE = (
    "organisations", "lead_fields", "definitions", "score_models", "segments", "topics", "tags", "users", "reps",
    "frequency_caps", "sending_windows", "forms", "mails", "winners", "campaigns",
)  # fmt: skip
_OF_LEAD = (
    "identities", "consents", "subscriptions", "opt_outs", "mail_pauses", "lead_tags", "score_entries", "notes",
    "segment_members", "submissions", "handoffs", "tasks", "messages",
)  # fmt: skip
_version_ids = itertools.count(10**12)  # flows are kept in memory by the id of their version: no two tries share one

Rows = list[dict[str, Any]]


@contextmanager
def copied(
    database: Database, *, lead_id: int, campaign_id: int, flow: dict[str, Any], at: datetime
) -> Iterator[Database]:
    """A database of its own with the lead as it is now, outside the campaign, whose published flow is this one since `at`."""
    with tempfile.TemporaryDirectory(prefix="trellis-try-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "try.sqlite"
        with database.read() as session:
            found = _read(session, lead_id, campaign_id, at)
        version_id = next(_version_ids)
        _publish(found, campaign_id, version_id, flow, at)
        _fill(path, found)
        scratch = Database(f"sqlite:///{path}")
        sa.event.listen(scratch.writer, "connect", _hurry)
        try:
            yield scratch
        finally:
            scratch.dispose()


def _read(session: Session, lead_id: int, campaign_id: int, at: datetime) -> dict[str, Rows]:
    """The rows to copy. What refers to passages that are not copied forgets them."""
    found = {name: _rows(session, name) for name in _WHOLE}
    found |= {name: _rows(session, name, table(name).c.lead_id == lead_id) for name in _OF_LEAD}
    leads, events, passages = table("leads"), table("events"), table("enrollments")
    found["leads"] = _rows(session, "leads", leads.c.id == lead_id)
    lead = found["leads"][0]
    found["companies"] = _rows(session, "companies", table("companies").c.id == lead["company_id"])
    found["suppressions"] = _rows(session, "suppressions", table("suppressions").c.address_hash == lead["address_hash"])
    known = [row["id"] for row in found["identities"]]
    found["events"] = _rows(session, "events", sa.and_(events.c.identity_id.in_(known), events.c.at <= at))
    elsewhere = sa.and_(passages.c.lead_id == lead_id, passages.c.campaign_id != campaign_id)
    found["enrollments"] = _rows(session, "enrollments", elsewhere)
    found["versions"] = _by_id(session, "versions", {row["version_id"] for row in found["enrollments"]})
    written = {row["version_id"] for row in found["mails"]} | {row["mail_version_id"] for row in found["messages"]}
    found["mail_versions"] = _by_id(session, "mail_versions", written)
    kept = {row["id"] for row in found["enrollments"]}
    for row in itertools.chain(*(found[name] for name in ("handoffs", "tasks", "messages"))):
        if row["enrollment_id"] not in kept:
            row["enrollment_id"] = None
    for row in found["events"]:
        row["is_new"] = False
    for row in found["users"]:
        row["password_hash"] = "-"
    return found


def _rows(session: Session, name: str, condition: sa.ColumnElement[bool] | None = None) -> Rows:
    query = sa.select(table(name))
    return [dict(row) for row in session.execute(query if condition is None else query.where(condition)).mappings()]


def _by_id(session: Session, name: str, ids: set[int | None]) -> Rows:
    return _rows(session, name, table(name).c.id.in_(ids - {None}))


def _publish(found: dict[str, Rows], campaign_id: int, version_id: int, flow: dict[str, Any], at: datetime) -> None:
    """Put the flow in the campaign's place; the others stand still, but keep their names."""
    still: dict[str, Any] = {"version_id": None, "missed_from": None, "trouble": None, "try_again_at": None}
    for row in found["campaigns"]:
        row |= still | {"state": row["state"] if row["state"] == "paused" else "draft"}
        if row["id"] == campaign_id:
            row |= {"state": "live", "version_id": version_id, "paused_at": None, "pauses": []}
    found["versions"].append(
        {"id": version_id, "campaign_id": campaign_id, "number": 1, "flow": flow, "published_at": at}
        | {"published_by": None}
    )


def _fill(path: Path, found: dict[str, Rows]) -> None:
    """Write the rows; references to what was left behind dangle, so nobody may check them here."""
    path.write_bytes(_empty())
    engine = sa.create_engine(f"sqlite:///{path}", module=sqlite_driver())
    with engine.begin() as connection:
        for name, rows in found.items():
            if rows:
                connection.execute(sa.insert(table(name)), rows)
    engine.dispose()


@cache
def _empty() -> bytes:
    """A database with all tables and nothing in them; making it takes longer than most tries."""
    with tempfile.TemporaryDirectory(prefix="trellis-try-") as folder:
        path = Path(folder) / "empty.sqlite"
        engine = sa.create_engine(f"sqlite:///{path}", module=sqlite_driver())
        Base.metadata.create_all(engine)
        engine.dispose()
        return path.read_bytes()


def _hurry(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")  # nothing of it need outlive a crash
