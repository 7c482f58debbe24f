"""Brings the passages of two records together when they turn out to be one person, and apart when they do not (SEMANTICS 27)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import BUCKETS
from app.engine import goals
from app.engine.models import Campaign, Enrollment, MergedPassage
from app.tracking import recording

PASSAGES: sa.Table = Enrollment.__table__
KEPT: sa.Table = MergedPassage.__table__


def settle(session: Session, seen: sa.Table, *, now: datetime) -> int:
    """The survivors of the merges at hand take over every passage; of two in one campaign the furthest lives on.

    Who was taken apart gets back what it brought. How many passages closed as merged.
    """
    kinds = set(session.scalars(sa.select(seen.c.kind).where(seen.c.kind.in_(["merged", "unmerged"])).distinct()))
    if "unmerged" in kinds:
        _give_back(session, seen, now)
    if "merged" not in kinds:
        return 0
    pairs = _pairs(seen)
    _hand_over(session, pairs, now)
    _keep(session, pairs, Enrollment.id.in_(_superfluous(pairs)), has_ended=True, now=now)
    return goals.end(session, Enrollment.id.in_(_superfluous(pairs)), "merged", "merged", now)


def _keep(
    session: Session, pairs: sa.Subquery, which: sa.ColumnElement[bool], *, has_ended: bool, now: datetime
) -> None:
    """Remember whose each of those passages is now, and when it is due, before that changes."""
    here = PASSAGES
    whose = sa.or_(pairs.c.merged == here.c.lead_id, pairs.c.survivor == here.c.lead_id)
    one = sa.select(sa.func.min(pairs.c.merged)).where(whose).correlate(here).scalar_subquery()
    survivor = sa.select(sa.func.min(pairs.c.survivor)).where(whose).correlate(here).scalar_subquery()
    kept = sa.select(
        here.c.id, here.c.lead_id, one, survivor, sa.literal(has_ended), here.c.due_at, sa.literal(now, KEPT.c.at.type)
    ).where(which)
    names = ["enrollment_id", "lead_id", "merged_id", "survivor_id", "has_ended", "due_at", "at"]
    session.execute(sa.insert(KEPT).from_select(names, kept))


def _give_back(session: Session, seen: sa.Table, now: datetime) -> None:
    """Every passage goes back to whose it was, if the survivor still has it; what closed by the merge goes on where it stood."""
    apart = seen.c.props["lead"].as_integer()
    each = KEPT.alias("each")
    undone = sa.select(each.c.id).where(
        each.c.given_back_at.is_(None), each.c.merged_id.in_(sa.select(apart).where(seen.c.kind == "unmerged"))
    )
    mine = sa.and_(KEPT.c.enrollment_id == PASSAGES.c.id, KEPT.c.id.in_(undone))
    given = sa.and_(mine, KEPT.c.has_ended.is_(False), PASSAGES.c.lead_id == KEPT.c.survivor_id)
    back = {"lead_id": KEPT.c.lead_id, "bucket": KEPT.c.lead_id % BUCKETS}
    _run(session, sa.update(PASSAGES).where(given).values(back))
    closed = sa.and_(mine, KEPT.c.has_ended.is_(True), PASSAGES.c.state == "merged", PASSAGES.c.reason == "merged")
    # a new visit of the step where it stood, as of when it came there: the journal keeps that it was closed
    living = {"state": "active", "visit": PASSAGES.c.visit + 1, "due_at": KEPT.c.due_at, "finished_at": None}
    _run(session, sa.update(PASSAGES).where(closed).values({**living, "reason": None}))
    reopened = (
        sa.select(PASSAGES.c.lead_id, PASSAGES.c.campaign_id, Campaign.key)
        .join(KEPT, KEPT.c.enrollment_id == PASSAGES.c.id)
        .join(Campaign, Campaign.id == PASSAGES.c.campaign_id)
        .where(KEPT.c.id.in_(undone), KEPT.c.has_ended, PASSAGES.c.state == "active")
        .subquery()
    )
    recording.record_for(
        session,
        reopened,
        kind="campaign_entered",
        subject=reopened.c.key,
        at=now,
        props={"reason": "taken apart again"},
        campaign_id=reopened.c.campaign_id,
    )
    _run(session, sa.update(KEPT).where(KEPT.c.id.in_(undone)).values(given_back_at=now))


def _run(session: Session, statement: sa.Update) -> None:
    session.execute(statement.execution_options(synchronize_session=False))


def _pairs(seen: sa.Table) -> sa.Subquery:
    """(merged, survivor): the survivor is who the event's identity belongs to now, so chains of merges end at its end."""
    leads, merged = db.table("leads"), seen.c.props["lead"].as_integer()
    return (
        sa.select(merged.label("merged"), sa.func.max(seen.c.lead_id).label("survivor"))
        .join(leads, leads.c.id == merged)
        .where(seen.c.kind == "merged", leads.c.merged_into_id.is_not(None))
        .group_by(merged)
        .subquery("pairs")
    )


def _hand_over(session: Session, pairs: sa.Subquery, now: datetime) -> None:
    """Each passage changes hands, but for one that the survivor had on the very same occasion."""
    survivor = sa.select(pairs.c.survivor).where(pairs.c.merged == PASSAGES.c.lead_id).correlate(PASSAGES)
    owner = sa.func.coalesce(survivor.scalar_subquery(), PASSAGES.c.lead_id)
    place = sa.func.row_number().over(
        partition_by=(PASSAGES.c.campaign_id, PASSAGES.c.occasion, owner),
        order_by=(sa.case((PASSAGES.c.lead_id == owner, 0), else_=1), PASSAGES.c.id),
    )
    ranked = (
        sa.select(PASSAGES.c.id, PASSAGES.c.lead_id, owner.label("owner"), place.label("place"))
        .where(PASSAGES.c.lead_id.in_(_either(pairs)))
        .subquery("ranked")
    )
    free = sa.select(ranked.c.id).where(ranked.c.place == 1, ranked.c.lead_id != ranked.c.owner)
    _keep(session, pairs, PASSAGES.c.id.in_(free), has_ended=False, now=now)
    session.execute(
        sa.update(PASSAGES)
        .where(PASSAGES.c.id.in_(free))
        .values(lead_id=survivor.scalar_subquery(), bucket=survivor.scalar_subquery() % BUCKETS)
    )


def _either(pairs: sa.Subquery) -> Any:
    return sa.select(pairs.c.merged).union(sa.select(pairs.c.survivor))


def _superfluous(pairs: sa.Subquery) -> sa.Select[Any]:
    """Live passages that stayed with a merged record, and those of a survivor that are not its furthest in the campaign."""
    here = Enrollment.__table__.alias()
    place = sa.func.row_number().over(
        partition_by=(here.c.campaign_id, here.c.lead_id, here.c.key),
        order_by=(here.c.visit.desc(), here.c.entered_at, here.c.id),
    )
    living = sa.select(here.c.id, here.c.lead_id, place.label("place")).where(
        here.c.lead_id.in_(_either(pairs)), here.c.state == "active"
    )
    ranked = living.subquery("living")
    return sa.select(ranked.c.id).where(sa.or_(ranked.c.place > 1, ranked.c.lead_id.in_(sa.select(pairs.c.merged))))
