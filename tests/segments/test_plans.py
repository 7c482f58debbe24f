"""The SQL of rules stays on its indexes, whatever becomes of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database
from app.leads.models import Lead
from app.segments import refreshing, ruling
from app.segments.models import Segment
from tests.segments import people
from tests.segments.people import NOW

VISITED = {"rule": "visited", "path": "/pricing*", "times": 2, "when": "within", "days": 7}
NOT_SUBMITTED = {"rule": "submitted", "did": "has_not", "form": "guide"}


def plan(session: Session, query: sa.Select[Any]) -> str:
    """What SQLite means to do."""
    compiled = query.compile(session.get_bind(), compile_kwargs={"render_postcompile": True})
    processors = compiled._bind_processors
    values = [
        processors[name](compiled.params[name]) if name in processors else compiled.params[name]
        for name in compiled.positiontup or ()
    ]
    cursor = session.connection().connection.cursor()
    return "\n".join(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {compiled}", values))


def test_pages_are_found_by_the_index_on_kind_and_path(sqlite_database: Database) -> None:
    with sqlite_database.read() as session:
        query = sa.select(Lead.id).where(
            ruling.predicate({"all": [VISITED, NOT_SUBMITTED]}, ruling.context(session, NOW))
        )
        steps = plan(session, query)
    assert "ix_events_kind_subject_at (kind=? AND subject>? AND subject<?)" in steps
    assert "ix_events_kind_subject_at (kind=? AND subject=?" in steps
    assert "SCAN events" not in steps


def test_of_the_touched_only_their_own_rows_are_read(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        for number in range(50):
            people.event(session, people.lead(session, f"L{number}"), "page_viewed", "/pricing/x")
        segment = Segment(key="s", name="S", rule={"all": [VISITED, NOT_SUBMITTED]}, created_at=NOW, updated_at=NOW)
        session.add(segment)
        session.flush()
        touched = sa.select(Lead.id).where(Lead.id <= 3)
        steps = plan(session, refreshing._difference(session, segment, NOW, touched))
    for table in ("leads", "events", "identities", "segment_members"):
        assert f"SCAN {table}" not in steps, steps
