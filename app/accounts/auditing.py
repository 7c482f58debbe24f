"""Who changed what, and when: a line for every change a person makes, kept for ever."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.accounts.models import Audit


def note(
    session: Session,
    user_id: int | None,
    action: str,
    subject_kind: str,
    subject_id: int | str,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add a line: note(session, 7, "published campaign", "campaign", 3, {"version": 2}). Never put a secret into it."""
    session.add(
        Audit(
            at=clock.now(),
            user_id=user_id,
            action=action,
            subject_kind=subject_kind,
            subject_id=str(subject_id)[:200],
            detail=detail or {},
        )
    )
    session.flush()


def has_done(session: Session, user_id: int, action: str) -> bool:
    """Whether somebody has done this to themselves before: has_done(session, 7, "saw the tour")."""
    about = sa.and_(Audit.subject_kind == "user", Audit.subject_id == str(user_id))
    return bool(session.scalar(sa.select(sa.exists().where(about, Audit.user_id == user_id, Audit.action == action))))
