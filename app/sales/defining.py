"""The agreed definition of "ready for sales": one rule marketing and sales signed, and how soon sales answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.sales.models import Definition

ANSWER_WITHIN_MINUTES = 240  # until somebody agrees on another


def current(session: Session) -> Definition | None:
    """The definition that counts now, if one has been agreed."""
    return session.scalars(sa.select(Definition).where(Definition.is_current)).first()


def answer_within(session: Session) -> int:
    """In how many working minutes sales promised to answer."""
    minutes = session.scalar(sa.select(Definition.answer_within_minutes).where(Definition.is_current).limit(1))
    return ANSWER_WITHIN_MINUTES if minutes is None else minutes


def agree(session: Session, *, name: str, rule: dict[str, Any], answer_within_minutes: int, at: datetime) -> Definition:
    """Make this the current definition. The former ones stay, so that old reports can be read."""
    session.execute(sa.update(Definition).where(Definition.is_current).values(is_current=False))
    agreed = Definition(
        name=name, rule=rule, answer_within_minutes=answer_within_minutes, is_current=True, created_at=at
    )
    session.add(agreed)
    session.flush()
    return agreed


def history(session: Session) -> list[Definition]:
    """Every definition agreed so far, the newest first."""
    return list(session.scalars(sa.select(Definition).order_by(Definition.created_at.desc(), Definition.id.desc())))
