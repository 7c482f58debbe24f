"""Read new events, once each: score them, let leads in, wake those who waited, and find who must leave."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.db import Instant, Json
from app.engine import entering, goals, isolating, locking, occurring, settling, versions
from app.engine.catalog import TRIGGERS
from app.engine.graph import TriggerSpec
from app.engine.models import Campaign, Enrollment
from app.engine.versions import Published
from app.kinds import parse
from app.scoring import scoring
from app.segments import refreshing
from app.tracking.models import Event, Identity

IS_NEW = sa.text("events.is_new")  # word for word as the partial index has it

seen = db.temporary(
    "observed",
    sa.Column("id", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=False),
    sa.Column("lead_id", sa.BigInteger),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("agent", sa.Text, nullable=False),
    sa.Column("props", Json),
    sa.Column("message_id", sa.BigInteger),
    sa.Column("campaign_id", sa.BigInteger),
)


def observe(session: Session, *, now: datetime, limit: int) -> int:
    """Observe up to `limit` new events that happened by `now`, and what campaigns missed; how many.

    One process at a time: two that let in the same lead for two events would let it in twice.
    """
    if not locking.try_alone(session):
        return 0
    missed = _catch_up(session, now, limit)
    count = _take(session, sa.and_(IS_NEW, Event.at <= now), limit)
    if not count:
        return missed
    settling.settle(session, seen, now=now)
    scoring.score_events(session, sa.select(seen.c.id), now=now)
    refreshing.refresh(session, now=now, touched=_touched())
    for version in versions.live(session, now=now):
        isolating.attempt(session, version.campaign_id, partial(_look, session, version, now), now=now)
    isolating.note_missed(session, sa.select(sa.func.min(seen.c.id)).scalar_subquery(), now)
    session.execute(sa.update(Event).where(Event.id.in_(sa.select(seen.c.id))).values(is_new=False))
    return missed + count


def _touched() -> sa.Select[Any]:
    return sa.select(seen.c.lead_id).where(seen.c.lead_id.is_not(None)).distinct()


def _look(session: Session, version: Published, now: datetime) -> None:
    """What the events at hand mean for one version: who comes in, who goes on, who must leave."""
    if version.is_current:
        _enter(session, version, now)
    _wake(session, version, now)
    goals.look(session, version, _touched(), seen, now=now)


def _catch_up(session: Session, now: datetime, limit: int) -> int:
    """Show campaigns that paused or were in trouble, and run again, the events they have missed; how many."""
    behind = sa.select(Campaign).where(Campaign.missed_from.is_not(None), isolating.available(now))
    return sum(_show_missed(session, campaign, now, limit) for campaign in session.scalars(behind).all())


def _show_missed(session: Session, campaign: Campaign, now: datetime, limit: int) -> int:
    count = _take(session, sa.and_(Event.id >= campaign.missed_from, Event.is_new.is_(False)), limit)

    def look() -> None:
        for version in versions.of(session, campaign.id):
            _look(session, version, now)

    if isolating.attempt(session, campaign.id, look, now=now):
        last = session.scalar(sa.select(sa.func.max(seen.c.id)))
        campaign.missed_from = None if last is None or count < limit else last + 1
        session.flush()
    return count


def _take(session: Session, which: sa.ColumnElement[bool], limit: int) -> int:
    db.scratch(session, seen)
    new = (
        sa.select(
            Event.id,
            Identity.lead_id,
            Event.kind,
            Event.subject,
            Event.at,
            Event.agent,
            Event.props,
            Event.message_id,
            Event.campaign_id,
        )
        .join(Identity, Identity.id == Event.identity_id)
        .where(which)
        .order_by(Event.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=Event)
    )
    result = session.execute(sa.insert(seen).from_select([c.name for c in seen.columns], new))
    return int(result.rowcount)  # type: ignore[attr-defined]


def _enter(session: Session, version: Published, now: datetime) -> None:
    for spec in version.flow.spec.triggers:
        kind = TRIGGERS.get(spec.kind)
        settings = parse(kind.settings, spec.settings)[0] if kind else None
        if kind is None or kind.matches is None or settings is None:
            continue
        happened = (
            sa.select(seen.c.lead_id, _key(version, spec).label("key"), seen.c.at, seen.c.id)
            .where(seen.c.lead_id.is_not(None), seen.c.agent != "machine", seen.c.at >= version.since)
            .where(kind.matches(settings, seen) if spec.kind != "by_hand" else _by_hand(version))
            .subquery("happened")
        )
        first = sa.cast(sa.func.min(happened.c.id), sa.Text)
        matching = sa.select(
            happened.c.lead_id,
            happened.c.key,
            sa.func.min(happened.c.at).label("at"),
            (sa.literal(f"{spec.id}:e") + first).label("occasion"),
        ).group_by(happened.c.lead_id, happened.c.key)
        entering.enter(session, version, matching.subquery("matching"), now=now, trigger=spec)


def _key(version: Published, trigger: TriggerSpec) -> sa.ColumnElement[str]:
    """What parts parallel passages: the value the event has for it; without one they are all one (SEMANTICS 13)."""
    if trigger.key not in version.flow.keys:
        return sa.literal("")
    return occurring.key(seen, trigger.key)


def _by_hand(version: Published) -> sa.ColumnElement[bool]:
    return sa.and_(seen.c.kind == "campaign_requested", seen.c.subject == version.campaign_key)


def _wake(session: Session, version: Published, now: datetime) -> None:
    """Make enrollments due whose awaited event may have come, or whose wait must be derived again (SEMANTICS 3, 4, 6)."""
    for step in version.flow.steps.values():
        conditions: list[sa.ColumnElement[bool]] = []
        if step.type.awaits is not None:
            conditions.append(step.type.awaits(step.settings, seen))
        if step.type.waits:
            fields = ["zone", *step.type.watches(step.settings)]
            conditions.append(sa.and_(seen.c.kind == "field_changed", seen.c.subject.in_(fields)))
            conditions.append(seen.c.kind == "merged")  # the history of the other record counts from now on
        if conditions:
            leads = sa.select(seen.c.lead_id).where(sa.or_(*conditions))
            session.execute(_made_due(version.id, step.id, leads, now))


def _made_due(version_id: int, step_id: str, leads: sa.Select[Any], now: datetime) -> sa.Update:
    return (
        sa.update(Enrollment)
        .where(
            Enrollment.lead_id.in_(leads),
            Enrollment.version_id == version_id,
            Enrollment.step == step_id,
            Enrollment.state == sa.literal_column("'active'"),
            Enrollment.paused_at.is_(None),
        )
        .where(sa.or_(Enrollment.due_at.is_(None), Enrollment.due_at > now))
        .values(due_at=now)
        .execution_options(synchronize_session=False)
    )
