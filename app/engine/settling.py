"""Brings the passages of two records together when they turn out to be one person (SEMANTICS 27)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import BUCKETS
from app.engine import goals
from app.engine.models import Enrollment

PASSAGES: sa.Table = Enrollment.__table__


def settle(session: Session, seen: sa.Table, *, now: datetime) -> int:
    """The survivors of the merges at hand take over every passage; of two in one campaign the furthest lives on.

    How many passages closed as merged.
    """
    if not session.scalar(sa.select(sa.exists().where(seen.c.kind == "merged"))):
        return 0
    pairs = _pairs(seen)
    _hand_over(session, pairs)
    return goals.end(session, Enrollment.id.in_(_superfluous(pairs)), "merged", "merged", now)


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


def _hand_over(session: Session, pairs: sa.Subquery) -> None:
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
