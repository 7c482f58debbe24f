"""The one switch that stops all mail of the organisation from leaving, and lets it go on; nothing is lost meanwhile."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.mail.models import Sending

_ROW = 1


def is_halted() -> sa.ColumnElement[bool]:
    """Whether all sending is paused, as a condition."""
    return sa.exists(sa.select(1).select_from(Sending).where(Sending.paused_at.is_not(None)).correlate_except(Sending))


def found(session: Session) -> Sending | None:
    """Since when sending is paused and by whom; None: mail leaves."""
    row = session.get(Sending, _ROW)
    return row if row is not None and row.paused_at is not None else None


def pause(session: Session, *, by: str, at: datetime) -> bool:
    """Let nothing more leave; False when it was paused already. What a server is taking just now still arrives."""
    row = session.get(Sending, _ROW)
    if row is not None and row.paused_at is not None:
        return False
    if row is None:
        row = Sending(id=_ROW)
        session.add(row)
    row.paused_at, row.paused_by = at, by[:200]
    session.flush()
    return True


def resume(session: Session) -> bool:
    """Let mail leave again; False when it was not paused."""
    row = session.get(Sending, _ROW)
    if row is None or row.paused_at is None:
        return False
    row.paused_at = row.paused_by = None
    session.flush()
    return True
