"""Notes people write about a lead."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import json_object, rows_of
from app.leads.models import Lead, Note
from app.leads.values import LONG, BadValue, clean, limited
from app.tracking import recording


def add(session: Session, lead_id: int, user_id: int | None, text: str, *, at: datetime) -> Note:
    """Keep a note. Raises BadValue when it is empty or very long."""
    text = limited("The note", clean(text, lines=True), LONG * 5)
    if not text:
        raise BadValue("The note is empty; write something first.")
    note = Note(lead_id=lead_id, user_id=user_id, text=text, at=at)
    session.add(note)
    session.flush()
    recording.record(
        session, kind="note_added", identity_id=lead_id, at=at, props={"note_id": note.id, "user_id": user_id}
    )
    return note


def add_for(session: Session, leads: sa.Select[Any], text: sa.ColumnElement[str], *, at: datetime) -> int:
    """Keep a note, written by nobody, about each of these leads; `text` is SQL over leads. How many."""
    table = Lead.__table__
    written = sa.select(
        table.c.id, sa.cast(sa.null(), sa.BigInteger), sa.func.substr(text, 1, LONG * 5), sa.literal(at, Note.at.type)
    ).where(table.c.id.in_(leads), table.c.merged_into_id.is_(None), table.c.erased_at.is_(None))
    statement = sa.insert(Note.__table__).from_select(["lead_id", "user_id", "text", "at"], written)
    made = session.execute(statement.returning(Note.__table__.c.id, Note.__table__.c.lead_id)).all()
    source = rows_of([tuple(row) for row in made], note_id=sa.BigInteger(), lead_id=sa.BigInteger())
    nobody = sa.cast(sa.null(), sa.BigInteger)
    props = json_object("note_id", source.c.note_id, "user_id", nobody)
    return recording.record_for(session, source, kind="note_added", at=at, props=props)


def remove(session: Session, lead_id: int, note_id: int) -> Note | None:
    """Delete a note; what it was, so that it can be put back."""
    note = session.scalar(sa.select(Note).where(Note.id == note_id, Note.lead_id == lead_id))
    if note is not None:
        session.delete(note)
        session.flush()
    return note


def put_back(session: Session, lead_id: int, note_id: int, user_id: int | None, text: str, *, at: datetime) -> None:
    """Undo a deletion: the same note under its old number, so that the timeline finds it again."""
    text = limited("The note", clean(text, lines=True), LONG * 5)
    if text and session.get(Note, note_id) is None:
        session.add(Note(id=note_id, lead_id=lead_id, user_id=user_id, text=text, at=at))
