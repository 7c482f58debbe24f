"""Why each lead went where: one row for every visit left, written in the transaction that moves the lead."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant
from app.engine.batch import rows
from app.engine.models import Decision

_NAMES = ["enrollment_id", "visit", "version_id", "step", "port", "arrived_at", "at", "why"]
_LEFT = sa.insert(Decision.__table__).from_select(
    _NAMES,
    sa.select(*(rows.c[name] if name != "at" else sa.bindparam("at", type_=Instant()) for name in _NAMES)).where(
        rows.c.version_id == sa.bindparam("of_version"),
        rows.c.step == sa.bindparam("of_step"),
        rows.c.port.is_not(None),
    ),
)  # built once: it is the same for every step


def write(session: Session, version_id: int, step_id: str, now: datetime) -> None:
    """Journal every lead of the batch that has just left a port of this step, or ended at it."""
    session.execute(_LEFT, {"at": now, "of_version": version_id, "of_step": step_id})


def write_where(session: Session, which: sa.ColumnElement[bool], now: datetime) -> None:
    """The same for leads of the batch that satisfy a condition and have a port, wherever they stand."""
    columns = [rows.c[name] if name != "at" else sa.literal(now, Instant()) for name in _NAMES]
    left = sa.select(*columns).where(which, rows.c.port.is_not(None))
    session.execute(sa.insert(Decision.__table__).from_select(_NAMES, left))
