"""Let leads into a flow, under the re-entry rule and the audience, as one INSERT..SELECT for each trigger."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import BUCKETS, Instant
from app.engine.catalog import TRIGGERS
from app.engine.models import Campaign, Enrollment
from app.engine.versions import Published
from app.kinds import parse
from app.segments import ruling
from app.tracking import recording

entrants = sa.Table(
    "entrants",
    sa.MetaData(),
    sa.Column("lead_id", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("occasion", sa.Text, nullable=False),
    prefixes=["TEMPORARY"],
)


def enter(session: Session, version: Published, matching: sa.FromClause, *, now: datetime) -> int:
    """Enroll the leads of `matching` (`lead_id, at, occasion`) that may come in; how many did.

    They arrive at the first step at the instant of what let them in (SEMANTICS 8), due at once.
    """
    if version.flow.spec.start is None:
        return 0
    session.execute(sa.schema.CreateTable(entrants, if_not_exists=True))
    session.execute(sa.delete(entrants))
    leads = db.table("leads")
    allowed = (
        sa.select(matching.c.lead_id, matching.c.at, matching.c.occasion)
        .join(leads, leads.c.id == matching.c.lead_id)
        .where(leads.c.merged_into_id.is_(None), leads.c.erased_at.is_(None), _may_come(version, leads, now))
        .order_by(matching.c.lead_id)  # in id order, so that cohorts lie together
    )
    if version.flow.spec.audience:
        allowed = allowed.where(ruling.predicate(version.flow.spec.audience, ruling.context(session, now, leads=leads)))
    session.execute(sa.insert(entrants).from_select(["lead_id", "at", "occasion"], allowed))
    count = _enroll(session, version)
    if count:
        recording.record_for(
            session,
            entrants,
            kind="campaign_entered",
            subject=version.campaign_key,
            at=entrants.c.at,
            campaign_id=version.campaign_id,
        )
    return count


def _may_come(version: Published, leads: sa.Table, now: datetime) -> sa.ColumnElement[bool]:
    """The re-entry rule (SEMANTICS 13)."""
    rule = version.flow.spec.re_entry
    before = sa.select(Enrollment.id).where(
        Enrollment.campaign_id == version.campaign_id, Enrollment.lead_id == leads.c.id
    )
    if rule.mode == "after_exit":
        before = before.where(Enrollment.state == "active")
    elif rule.mode == "after_days":
        recent = Enrollment.finished_at > now - timedelta(days=rule.days)
        before = before.where(sa.or_(Enrollment.state == "active", recent))
    return ~before.exists()


def _enroll(session: Session, version: Published) -> int:
    chosen = sa.select(
        entrants.c.lead_id,
        sa.literal(version.campaign_id),
        sa.literal(version.id),
        entrants.c.lead_id % BUCKETS,
        entrants.c.occasion,
        sa.literal(""),
        sa.literal("active"),
        sa.literal(version.flow.spec.start),
        sa.literal(1),
        entrants.c.at,
        entrants.c.at,
        entrants.c.at,
    ).order_by(entrants.c.lead_id)
    names = [
        "lead_id",
        "campaign_id",
        "version_id",
        "bucket",
        "occasion",
        "key",
        "state",
        "step",
        "visit",
        "entered_at",
        "arrived_at",
        "due_at",
    ]
    result = session.execute(sa.insert(Enrollment).from_select(names, chosen))
    return int(result.rowcount)  # type: ignore[attr-defined]


def enter_matching(session: Session, version: Published, *, now: datetime) -> int:
    """Let in, at publishing, the leads that match a trigger already, where its author asked for that (SEMANTICS 12)."""
    count = 0
    for spec in version.flow.spec.triggers:
        kind = TRIGGERS.get(spec.kind)
        settings = parse(kind.settings, spec.settings)[0] if kind else None
        if not spec.already or kind is None or kind.already is None or settings is None:
            continue
        leads = kind.already(settings).subquery()
        at, occasion = sa.literal(now, Instant()), sa.literal(f"{spec.id}:already")
        matching = sa.select(leads.c[0].label("lead_id"), at.label("at"), occasion.label("occasion")).distinct()
        count += enter(session, version, matching.subquery("matching"), now=now)
    return count


def request(session: Session, campaign_id: int, leads: sa.Select[Any], *, at: datetime, reason: str) -> int:
    """Ask that leads enter a campaign by hand, file or API; its "by hand" trigger lets them in at the next tick."""
    key = session.scalar(sa.select(Campaign.key).where(Campaign.id == campaign_id))
    if key is None:
        raise LookupError("There is no such campaign.")
    chosen = leads.subquery()
    source = sa.select(chosen.c[0].label("lead_id")).subquery()
    return recording.record_for(
        session,
        source,
        kind="campaign_requested",
        subject=key,
        at=at,
        props={"reason": reason},
        campaign_id=campaign_id,
    )
