"""What happens to a step that could not be done: it is tried again, ever later, and at last a person decides (SEMANTICS 16)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant
from app.engine.models import Decision, Enrollment

FIRST_DELAY = timedelta(minutes=5)
MOST_TRIES = 6  # after 5, 10, 20, 40 and 80 minutes: two and a half hours in all
OTHER = Enrollment.__table__.alias("other")


def delay(tries: int) -> timedelta:
    """How long to wait after so many tries before this one: doubled each time."""
    return FIRST_DELAY * (1 << min(tries, MOST_TRIES))


def next_try(tries: sa.ColumnElement[Any], now: datetime) -> sa.ColumnElement[datetime]:
    """The same as SQL: when those that have been tried `tries` times before are tried again."""
    later = {n: sa.literal(now + delay(n), Instant()) for n in range(MOST_TRIES)}
    return sa.case(later, value=tries, else_=sa.literal(now + delay(MOST_TRIES), Instant()))


def has_another(*more: sa.ColumnElement[bool]) -> sa.Exists:
    """Whether the lead is in the campaign for the same thing by another passage too, or (`more`, over it) nearly so."""
    same = [OTHER.c[name] == Enrollment.__table__.c[name] for name in ("campaign_id", "lead_id", "key")]
    is_inside = sa.or_(OTHER.c.state == "active", *more)
    return sa.exists().where(*same, is_inside).correlate(Enrollment.__table__)


def retry(session: Session, which: sa.ColumnElement[bool], *, now: datetime) -> int:
    """Let failed passages that satisfy a condition over `Enrollment` try their step once more, from now; how many.

    It is a new visit of the step, since what was tried stays in the journal. A lead that is in the campaign again for
    another reason is left out: nobody is in one campaign twice for the same thing.
    """
    here = Enrollment.__table__
    is_journalled = sa.exists().where(Decision.enrollment_id == here.c.id, Decision.visit == here.c.visit)
    newest = sa.func.row_number().over(
        partition_by=(here.c.campaign_id, here.c.lead_id, here.c.key), order_by=here.c.id.desc()
    )
    ranked = (
        sa.select(here.c.id, newest.label("place")).where(which, here.c.state == "failed", ~has_another()).subquery()
    )
    values = {
        "state": "active",
        "visit": here.c.visit + sa.case((is_journalled.correlate(here), 1), else_=0),
        "arrived_at": now,
        "due_at": now,
        "held": 0,
        "tries": 0,
        "finished_at": None,
        "reason": None,
    }
    statement = sa.update(here).where(here.c.id.in_(sa.select(ranked.c.id).where(ranked.c.place == 1))).values(values)
    return session.connection().execute(statement).rowcount
