"""Why each lead went where: one row for every visit left, written in the transaction that moves the lead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant
from app.engine.batch import rows
from app.engine.models import Decision

_NAMES = ["enrollment_id", "visit", "version_id", "step", "port", "arrived_at", "at", "why"]
_OF_STEP = sa.and_(rows.c.version_id == sa.bindparam("of_version"), rows.c.step == sa.bindparam("of_step"))
_HAS_LEFT = rows.c.port.is_not(None)


def _insert(which: sa.ColumnElement[bool], **instead: sa.ColumnElement[Any]) -> sa.Insert:
    columns = {**dict(rows.c), "at": sa.bindparam("at", type_=Instant()), **instead}
    chosen = sa.select(*(columns[name] for name in _NAMES)).where(which)
    return sa.insert(Decision.__table__).from_select(_NAMES, chosen)


# built once: they are the same for every step
_LEFT = _insert(sa.and_(_OF_STEP, _HAS_LEFT))
_GOING = sa.and_(_OF_STEP, rows.c.state == "moving")
_PORT = sa.bindparam("by_port", type_=sa.Text())
_ALIKE = _insert(_GOING, port=_PORT, why=sa.null())


def write(
    session: Session,
    version_id: int,
    step_id: str,
    now: datetime,
    whys: Mapping[str, sa.ColumnElement[Any]] | None = None,
) -> None:
    """Journal every lead of the batch that has just left a port of this step, or ended at it; `whys` by port."""
    left = _LEFT
    if whys:
        left = _insert(sa.and_(_OF_STEP, _HAS_LEFT), why=sa.case(dict(whys), value=rows.c.port, else_=rows.c.why))
    session.execute(left, {"at": now, "of_version": version_id, "of_step": step_id})


def write_alike(
    session: Session, version_id: int, step_id: str, now: datetime, port: str, why: sa.ColumnElement[Any] | None
) -> None:
    """Journal that all leads of the batch at this step leave it by one port, which is not in their rows."""
    alike = _ALIKE if why is None else _insert(_GOING, port=_PORT, why=why)
    session.execute(alike, {"at": now, "of_version": version_id, "of_step": step_id, "by_port": port})


def write_where(session: Session, which: sa.ColumnElement[bool], now: datetime) -> None:
    """The same for leads of the batch that satisfy a condition and have a port, wherever they stand."""
    session.execute(_insert(sa.and_(which, _HAS_LEFT)), {"at": now})
