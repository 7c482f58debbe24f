"""Pausing holds everybody where they are; resuming lets them go on without a flood (SEMANTICS 25)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import Instant, shifted
from app.engine.models import Campaign, Enrollment
from app.engine.steering import freezes
from app.outbox import Message

HERE, MESSAGES = Enrollment.__table__, Message.__table__
PAUSED = "campaign_paused"
MOST_PAUSES = 50  # remembered; what happened before the first of them lets hardly anybody in now


@dataclass(frozen=True, slots=True)
class Release:
    """What a resumption lets go: leads that are due at once, mails that were held, and of these the ones too old to send."""

    due: int
    mails: int
    stale: int


def pause(session: Session, campaign_id: int, *, at: datetime, clock_runs: bool = False) -> bool:
    """Stop a live campaign: nobody enters or moves, and mail is held. Waits stand still, unless their clock runs on."""
    live = sa.update(Campaign).where(Campaign.id == campaign_id, Campaign.state == "live")
    return bool(_run(session, live.values(state="paused", paused_at=at, clock_runs=clock_runs, updated_at=at)))


def release_plan(session: Session, campaign_id: int, *, at: datetime, drop_older: timedelta | None = None) -> Release:
    """What resuming now would let go; changes nothing."""
    campaign = session.get_one(Campaign, campaign_id)
    due: sa.ColumnElement[Any] = HERE.c.due_at
    if campaign.paused_at is not None and not campaign.clock_runs:
        due = sa.case((freezes(session, campaign_id), _later(campaign, at)), else_=due)
    owed, stale = _owed(campaign_id), _stale(campaign_id, at, drop_older)
    return Release(
        due=_count(session, HERE, sa.and_(_inside(campaign_id), due <= at)),
        mails=_count(session, MESSAGES, owed) - _count(session, MESSAGES, stale),
        stale=_count(session, MESSAGES, stale),
    )


def resume(
    session: Session,
    campaign_id: int,
    *,
    at: datetime,
    spread: timedelta = timedelta(),
    drop_older: timedelta | None = None,
) -> Release | None:
    """Let a paused campaign go on: leads that are due and mails that were held leave evenly over `spread`.

    Its clock stood still, so waits of a duration end later by the length of the pause; mails older than `drop_older` are
    not sent. None if it is not paused.
    """
    campaign = session.get_one(Campaign, campaign_id)
    if campaign.state != "paused" or campaign.paused_at is None:
        return None
    done = release_plan(session, campaign_id, at=at, drop_older=drop_older)
    if not campaign.clock_runs:
        _move_waits(session, campaign, at)
        _keep_fresh(session, campaign, at)
        stood = [db.micros(campaign.paused_at), db.micros(at)]
        campaign.pauses = [*campaign.pauses, stood][-MOST_PAUSES:]
    stale = sa.update(MESSAGES).where(_stale(campaign_id, at, drop_older))
    _run(session, stale.values(state="not_sent", reason="stale", finished_at=at))
    respace(session, HERE, HERE.c.due_at, sa.and_(_inside(campaign_id), HERE.c.due_at <= at), at, spread)
    if spread:
        due = sa.and_(_owed(campaign_id), MESSAGES.c.not_before <= at)
        respace(session, MESSAGES, MESSAGES.c.not_before, due, at, spread)
    campaign.state, campaign.paused_at, campaign.clock_runs, campaign.updated_at = "live", None, False, at
    session.flush()
    return done


def late(session: Session, campaign_id: int) -> int:
    """How many mails of the campaign a long stop made late, and wait for a person (SEMANTICS 25)."""
    return _count(session, MESSAGES, _late(campaign_id))


def release_late(session: Session, campaign_id: int, *, at: datetime, spread: timedelta = timedelta()) -> int:
    """Let the late mails go after all, evenly over `spread`, however old they are: a person has decided; how many."""
    respace(session, MESSAGES, MESSAGES.c.not_before, _late(campaign_id), at, spread)
    values = {"state": "ready", "reason": None, "expires_at": None}
    return _run(session, sa.update(MESSAGES).where(_late(campaign_id)).values(values))


def drop_late(session: Session, campaign_id: int, *, at: datetime) -> int:
    """Do not send the late mails; how many."""
    values = {"state": "not_sent", "reason": "stale", "finished_at": at}
    return _run(session, sa.update(MESSAGES).where(_late(campaign_id)).values(values))


def respace(
    session: Session,
    rows: sa.Table,
    column: sa.ColumnElement[Any],
    which: sa.ColumnElement[bool],
    at: datetime,
    over: timedelta,
) -> None:
    """Give those rows times from `at` on, evenly over a span, in the order in which they were due."""
    count = _count(session, rows, which)
    gap = over // count // db.MICROSECOND if count else 0
    rank = sa.func.row_number().over(order_by=(column, rows.c.id)) - 1
    ranked = sa.select(rows.c.id, rank.label("rank")).where(which).subquery("ranked")
    time = sa.type_coerce(sa.literal(db.micros(at), sa.BigInteger) + ranked.c.rank * gap, Instant)
    if count:
        _run(session, sa.update(rows).where(rows.c.id == ranked.c.id).values({column.key: time}))


def _inside(campaign_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(HERE.c.campaign_id == campaign_id, HERE.c.state == "active", HERE.c.paused_at.is_(None))


def _owed(campaign_id: int) -> sa.ColumnElement[bool]:
    held = sa.and_(MESSAGES.c.state == "held", MESSAGES.c.reason == PAUSED)
    return sa.and_(MESSAGES.c.campaign_id == campaign_id, sa.or_(held, MESSAGES.c.state.in_(["ready", "deferred"])))


def _stale(campaign_id: int, at: datetime, older: timedelta | None) -> sa.ColumnElement[bool]:
    return sa.and_(_owed(campaign_id), MESSAGES.c.created_at < at - older if older is not None else sa.false())


def _late(campaign_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(MESSAGES.c.campaign_id == campaign_id, MESSAGES.c.state == "held", MESSAGES.c.reason == "late")


def _move_waits(session: Session, campaign: Campaign, at: datetime) -> None:
    """Waits of a duration move; "Tuesday 09:00" stays Tuesday 09:00, and an empty due time empty."""
    waiting = sa.and_(HERE.c.campaign_id == campaign.id, HERE.c.state == "active", freezes(session, campaign.id))
    moved = {"due_at": _later(campaign, at), "held": HERE.c.held + _stood(campaign, at)}
    _run(session, sa.update(HERE).where(waiting).values(moved))


def _keep_fresh(session: Session, campaign: Campaign, at: datetime) -> None:
    """A mail does not get stale by its campaign's pause."""
    assert campaign.paused_at is not None
    ends = MESSAGES.c.expires_at
    of_it = sa.and_(MESSAGES.c.campaign_id == campaign.id, MESSAGES.c.state.in_(["held", "ready", "deferred"]))
    _run(
        session,
        sa.update(MESSAGES).where(of_it, ends.is_not(None)).values(expires_at=shifted(ends, at - campaign.paused_at)),
    )


def _stood(campaign: Campaign, at: datetime) -> sa.ColumnElement[int]:
    """How long the clock of a lead stood still by this pause: since it came, if it was put there meanwhile, and until it
    was paused by itself, since that pause is counted for it alone."""
    assert campaign.paused_at is not None
    since = sa.literal(campaign.paused_at, Instant())
    start = sa.case((HERE.c.arrived_at > since, HERE.c.arrived_at), else_=since)
    end = sa.case((HERE.c.paused_at.is_(None), sa.literal(at, Instant())), else_=HERE.c.paused_at)
    span = sa.type_coerce(end, sa.BigInteger) - sa.type_coerce(start, sa.BigInteger)
    return sa.case((span > 0, span), else_=0)


def _later(campaign: Campaign, at: datetime) -> sa.ColumnElement[Any]:
    return sa.type_coerce(sa.type_coerce(HERE.c.due_at, sa.BigInteger) + _stood(campaign, at), Instant)


def _count(session: Session, rows: sa.Table, which: sa.ColumnElement[bool]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(rows).where(which)) or 0


def _run(session: Session, statement: sa.Update) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined]
