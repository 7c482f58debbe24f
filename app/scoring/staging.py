"""Moves leads from stage to stage, and tells why: by hand, by a campaign, or by the agreed score and definition."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.leads.models import STAGES, Lead
from app.scoring.model import Stages
from app.segments import ruling
from app.tracking import recording

LEADS: sa.Table = Lead.__table__
MOVED = db.temporary(
    "stage_moves",
    sa.Column("lead_id", db.Key, primary_key=True, autoincrement=False),
    sa.Column("before", sa.String, nullable=False),
)


def set_stage(
    session: Session, leads: sa.Select[Any], stage: str, *, reason: str, at: datetime, only_up: bool = False
) -> int:
    """Bring these leads to a stage, or with `only_up` those that have not come so far; how many moved."""
    if stage not in STAGES:
        raise ValueError(f"There is no stage called {stage!r}.")
    lower = STAGES[: STAGES.index(stage)] if only_up else tuple(s for s in STAGES if s != stage)
    return _move(
        session, sa.and_(LEADS.c.id.in_(sa.select(leads.subquery().c[0])), LEADS.c.stage.in_(lower)), stage, reason, at
    )


def lift(session: Session, leads: sa.Select[Any], stages: Stages, *, now: datetime) -> int:
    """Up to "lead" and to "marketing qualified" by score and the current definition of ready; never down, never further."""
    among = sa.select(leads.subquery().c[0])
    ready, why = _ready(session, stages, now, among)
    ids = sa.and_(LEADS.c.id.in_(among), LEADS.c.stage.in_(("subscriber", "lead")))
    moved = _move(session, sa.and_(ids, ready, ~_resting(now)), "mql", why, now)
    reached = sa.and_(LEADS.c.id.in_(among), LEADS.c.stage == "subscriber", LEADS.c.score >= stages.lead)
    return moved + _move(session, reached, "lead", f"Score reached {stages.lead}", now)


def _ready(
    session: Session, stages: Stages, now: datetime, among: sa.Select[Any]
) -> tuple[sa.ColumnElement[bool], str]:
    definitions = db.table("definitions")
    current = session.execute(
        sa.select(definitions.c.name, definitions.c.rule).where(definitions.c.is_current).limit(1)
    ).first()
    if current is not None:
        try:
            ctx = ruling.context(session, now, among=among)
            return ruling.predicate(current.rule, ctx), f"Meets “{current.name}”"
        except ruling.BadRule:
            pass  # its own page says so; until then the score alone decides
    return LEADS.c.score >= stages.mql, f"Score reached {stages.mql}"


def _resting(now: datetime) -> sa.ColumnElement[bool]:
    """Sales sent the lead back until a date: it does not become ready again before."""
    handoffs = db.table("handoffs").alias()
    resting = (
        sa.select(handoffs.c.lead_id)
        .where(handoffs.c.lead_id == LEADS.c.id, handoffs.c.state == "recycled", handoffs.c.come_back_at > now)
        .correlate(LEADS)
    )
    return resting.exists()


def _move(session: Session, who: sa.ColumnElement[bool], stage: str, reason: str, at: datetime) -> int:
    db.scratch(session, MOVED)
    moving = sa.select(LEADS.c.id, LEADS.c.stage).where(who, ruling.living())
    count = session.connection().execute(sa.insert(MOVED).from_select(["lead_id", "before"], moving)).rowcount
    if not count:
        return 0
    session.execute(
        sa.update(LEADS)
        .where(LEADS.c.id.in_(sa.select(MOVED.c.lead_id)))
        .values(stage=stage, stage_at=at)
        .execution_options(synchronize_session=False)
    )
    forget_leads(session)
    props = db.json_object("from", MOVED.c.before, "to", sa.literal(stage), "reason", sa.literal(reason))
    recording.record_for(session, MOVED, kind="stage_changed", subject=stage, at=at, props=props)
    return count


def forget_leads(session: Session) -> None:
    """Leads read before a set statement changed them are read again when they are looked at."""
    for thing in list(session.identity_map.values()):
        if isinstance(thing, Lead):
            session.expire(thing)
