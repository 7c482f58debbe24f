"""Why each lead went where: one row for every visit left, written in the transaction that moves the lead."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant
from app.engine.batch import rows
from app.engine.models import Decision


def write(session: Session, version_id: int, step_id: str, now: datetime) -> None:
    """Journal every lead of the batch that has just left a port of this step, or ended at it."""
    chosen = sa.select(
        rows.c.enrollment_id,
        rows.c.visit,
        rows.c.version_id,
        rows.c.step,
        rows.c.port,
        rows.c.arrived_at,
        sa.literal(now, Instant()),
        rows.c.why,
    ).where(rows.c.version_id == version_id, rows.c.step == step_id, rows.c.port.is_not(None))
    names = ["enrollment_id", "visit", "version_id", "step", "port", "arrived_at", "at", "why"]
    session.execute(sa.insert(Decision).from_select(names, chosen))
