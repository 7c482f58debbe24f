"""Notes people write about a lead."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads.models import Note
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
