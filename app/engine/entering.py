"""Let leads into a flow, under the re-entry rule and the audience, as one INSERT..SELECT for each trigger."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import BUCKETS, Instant
from app.engine import locking, rationing
from app.engine.catalog import TRIGGERS
from app.engine.graph import TriggerSpec
from app.engine.models import Campaign, Enrollment, Version
from app.engine.versions import Published
from app.kinds import parse
from app.leads import importing
from app.segments import ruling
from app.tracking import recording

entrants = db.temporary(
    "entrants",
    sa.Column("lead_id", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("occasion", sa.Text, nullable=False),
)


def enter(
    session: Session,
    version: Published,
    matching: sa.FromClause,
    *,
    now: datetime,
    trigger: TriggerSpec | None = None,
    by_time: bool = False,
) -> int:
    """Enroll the leads of `matching` (`lead_id, at, occasion`, and `key` if there is one) that may come in; how many did.

    They arrive at the first step at the instant of what let them in, or now if nothing but time did (SEMANTICS 8), due at
    once. The trigger's filter holds, and beyond its daily limit they wait at the door.
    """
    if version.flow.spec.start is None:
        return 0
    db.scratch(session, entrants)
    key = matching.c.key if "key" in matching.c else sa.literal("")
    given = sa.select(matching.c.lead_id, key, matching.c.at, matching.c.occasion)
    asked = session.execute(sa.insert(entrants).from_select(["lead_id", "key", "at", "occasion"], given))
    if not asked.rowcount:  # type: ignore[attr-defined]
        return 0  # which is the rule: each trigger is asked about all that happens
    # those who may not are taken out again, one index look-up each: as a join, both planners scanned every lead
    session.execute(sa.delete(entrants).where(~_allowed(session, version, trigger, now).exists()))
    if trigger is not None and trigger.most_per_day is not None:
        rationing.hold_back(session, version, trigger, entrants, now=now)
    at = sa.literal(now, Instant()) if by_time else entrants.c.at
    count = _enroll(session, version, at)
    if count:
        recording.record_for(
            session,
            entrants,
            kind="campaign_entered",
            subject=version.campaign_key,
            at=at,
            campaign_id=version.campaign_id,
        )
    return count


def _allowed(session: Session, version: Published, trigger: TriggerSpec | None, now: datetime) -> sa.Select[Any]:
    """The entrant as a living lead of the audience and the filter that the re-entry rule lets in (SEMANTICS 13)."""
    leads, spec = db.table("leads"), version.flow.spec
    before = _before(version, now).correlate(entrants)
    allowed = sa.select(leads.c.id).where(
        leads.c.id == entrants.c.lead_id,
        leads.c.merged_into_id.is_(None),
        leads.c.erased_at.is_(None),
        ~before.exists(),
    )
    for rule in (spec.audience, trigger.filter if trigger else None):
        if rule:
            among = sa.select(entrants.c.lead_id)
            allowed = allowed.where(ruling.predicate(rule, ruling.context(session, now, leads=leads, among=among)))
    return allowed.correlate(entrants)


def _before(version: Published, now: datetime) -> sa.Select[Any]:
    """What the lead has been through that keeps it from coming again."""
    again = version.flow.spec.re_entry
    before = sa.select(Enrollment.id).where(
        Enrollment.campaign_id == version.campaign_id, Enrollment.lead_id == entrants.c.lead_id
    )
    # one occasion lets in once, whatever the rule; whoever left at this very instant waits for the next: two campaigns
    # may send leads to each other for ever
    hindering = {
        "after_exit": sa.or_(Enrollment.state == "active", Enrollment.finished_at >= now),
        "after_days": sa.or_(Enrollment.state == "active", Enrollment.finished_at > now - timedelta(days=again.days)),
        "per_key": sa.and_(
            Enrollment.key == entrants.c.key, sa.or_(Enrollment.state == "active", Enrollment.finished_at >= now)
        ),
    }
    if again.mode in hindering:
        before = before.where(sa.or_(hindering[again.mode], Enrollment.occasion == entrants.c.occasion))
    return before


def _enroll(session: Session, version: Published, at: sa.ColumnElement[Any]) -> int:
    chosen = sa.select(
        entrants.c.lead_id,
        sa.literal(version.campaign_id),
        sa.literal(version.id),
        entrants.c.lead_id % BUCKETS,
        entrants.c.occasion,
        entrants.c.key,
        sa.literal("active"),
        sa.literal(version.flow.spec.start),
        sa.literal(1),
        at,
        at,
        at,
        _stood_still(version, at),
    ).order_by(entrants.c.lead_id)  # so that cohorts lie together: 1.4 to 2.3 times faster later
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
        "held",
    ]
    result = session.execute(sa.insert(Enrollment).from_select(names, chosen))
    return int(result.rowcount)  # type: ignore[attr-defined]


def _stood_still(version: Published, since: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """How long the campaign's clock has stood still since each entry, which may lie within a pause (SEMANTICS 8, 25)."""
    if not version.pauses:
        return sa.literal(0)
    pause = db.rows_of(version.pauses, start=sa.BigInteger(), end=sa.BigInteger())
    entry = sa.cast(since, sa.BigInteger)
    span = pause.c.end - sa.case((pause.c.start > entry, pause.c.start), else_=entry)
    total = sa.func.coalesce(sa.func.sum(span), 0)
    return sa.cast(sa.select(total).where(pause.c.end > entry).correlate(entrants).scalar_subquery(), sa.BigInteger)


def enter_matching(session: Session, version: Published, *, now: datetime) -> int:
    """Let in, at publishing, the leads that match a trigger already, where its author asked for that (SEMANTICS 12)."""
    locking.alone(session)
    count = 0
    for spec in version.flow.spec.triggers:
        kind = TRIGGERS.get(spec.kind)
        settings = parse(kind.settings, spec.settings)[0] if kind else None
        if not spec.already or kind is None or kind.already is None or settings is None:
            continue
        leads = kind.already(settings).subquery()
        at, occasion = sa.literal(now, Instant()), sa.literal(f"{spec.id}:already:{version.id}")
        matching = sa.select(leads.c[0].label("lead_id"), at.label("at"), occasion.label("occasion")).distinct()
        count += enter(session, version, matching.subquery("matching"), now=now, trigger=spec)
    return count


def open_by_hand(session: Session) -> list[sa.Row[Any]]:
    """Live campaigns that leads can be added to by hand, from a file or by the API, with `id, key, name`."""
    found = session.execute(
        sa.select(Campaign.id, Campaign.key, Campaign.name, Version.flow)
        .join(Version, Version.id == Campaign.version_id)
        .where(Campaign.state == "live")
        .order_by(sa.func.lower(Campaign.name))
    )
    return [row for row in found if any(t["kind"] == "by_hand" for t in row.flow["triggers"])]


importing.campaigns_by(lambda session: {row.key: row.name for row in open_by_hand(session)})


def request(
    session: Session,
    campaign_id: int,
    leads: sa.Select[Any],
    *,
    at: datetime,
    reason: str,
    props: dict[str, Any] | None = None,
) -> int:
    """Ask that leads enter a campaign by hand, file or API; its "by hand" trigger lets them in at the next tick.

    `props` say what it is about, such as the order that is the passage's key.
    """
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
        props={**(props or {}), "reason": reason},
        campaign_id=campaign_id,
    )
