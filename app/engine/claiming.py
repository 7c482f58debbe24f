"""Take the enrollments that are due into a batch, and put them back where they have come to rest."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine import isolating
from app.engine.batch import rows
from app.engine.models import Campaign, Enrollment

ACTIVE: sa.ColumnClause[str] = sa.literal_column(
    "'active'"
)  # a literal, so that both databases see the partial indexes


def claim(session: Session, *, now: datetime, limit: int, buckets: Collection[int] | None = None) -> int:
    """Move up to `limit` due enrollments of campaigns that run into the batch, longest due first; how many."""
    of_live = (Enrollment.campaign_id + 0).in_(
        sa.select(Campaign.id).where(isolating.available(now))
    )  # + 0: by the index of campaigns SQLite would read them all
    due = (
        _picked()
        .where(Enrollment.state == ACTIVE, Enrollment.due_at <= now, Enrollment.paused_at.is_(None), of_live)
        .order_by(Enrollment.due_at, Enrollment.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Enrollment)
    )
    return _take(session, due if buckets is None else due.where(Enrollment.bucket.in_(buckets)))


def claim_where(session: Session, condition: sa.ColumnElement[bool], *, locks: bool = True) -> int:
    """Move active enrollments into the batch that satisfy a condition, due or not; those already in it stay as they are.

    Without `locks` it is for looking alone: nobody waits for it, and it may not be put back.
    """
    chosen = _picked().where(
        Enrollment.state == ACTIVE, condition, Enrollment.id.not_in(sa.select(rows.c.enrollment_id))
    )
    # waits for who is on the move: a goal that passed over them would never be looked for again
    return _take(session, chosen.with_for_update(of=Enrollment) if locks else chosen)


def _picked() -> sa.Select[Any]:
    here = Enrollment
    picked: Any = sa.select(
        here.id,
        here.lead_id,
        here.campaign_id,
        here.version_id,
        here.step,
        here.visit,
        here.entered_at,
        here.arrived_at,
        here.due_at,
        here.due_at,
        here.held,
        here.tries,
        sa.literal_column("'moving'"),
        sa.false(),
        sa.literal_column("0"),
    )
    return picked  # type: ignore[no-any-return]


def _take(session: Session, chosen: sa.Select[Any]) -> int:
    names = [
        "enrollment_id",
        "lead_id",
        "campaign_id",
        "version_id",
        "step",
        "visit",
        "entered_at",
        "arrived_at",
        "due_at",
        "was_due_at",
        "held",
        "tries",
        "state",
        "skips",
        "hops",
    ]
    count = int(session.execute(sa.insert(rows).from_select(names, chosen)).rowcount)  # type: ignore[attr-defined]
    if count and session.get_bind().dialect.name == "postgresql":
        # nobody else gathers figures on a temporary table, and by guesses each row is compared with each
        session.execute(sa.text("ANALYZE batch"))
    return count


def put_back(session: Session, *, now: datetime) -> bool:
    """Write the batch back: where each one rests, or how it ended; whether any did."""
    ended, table = rows.c.state != "resting", Enrollment.__table__
    rest = {name: rows.c[name] for name in ("step", "visit", "arrived_at", "due_at", "held", "tries", "reason")}
    end = {
        **rest,
        "due_at": sa.case((ended, sa.null()), else_=rows.c.due_at),
        "state": sa.case((ended, rows.c.state), else_="active"),
        "finished_at": sa.case((ended, sa.literal(now, Enrollment.finished_at.type)), else_=sa.null()),
        "paused_at": sa.case((ended, sa.null()), else_=table.c.paused_at),
    }
    has_ended = bool(session.scalar(sa.select(sa.exists().where(ended))))
    _write_back(session, end if has_ended else rest)
    return has_ended


def _write_back(session: Session, values: dict[str, Any]) -> None:
    """In one statement, driven by the batch's ids (a join would scan the hot table on SQLite)."""
    table = Enrollment.__table__
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.update(table).values(values).where(table.c.id == rows.c.enrollment_id))
        return
    picked = sa.select(*values.values()).where(rows.c.enrollment_id == table.c.id).correlate(table).scalar_subquery()
    target = sa.tuple_(*[table.c[name] for name in values])
    session.execute(sa.update(table).values({target: picked}).where(table.c.id.in_(sa.select(rows.c.enrollment_id))))
