"""Whom a shadow must look at: leads whose turn it is, leads to whom something happened, and those who would come in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.campaigns.models import Shadow, ShadowRow
from app.db import rows_of
from app.engine import graph, spans
from app.engine.catalog import TRIGGERS
from app.engine.graph import TriggerSpec
from app.engine.models import Campaign
from app.engine.triggertype import TriggerType
from app.kinds import parse
from app.leads.finding import is_living
from app.leads.models import Lead
from app.tracking.models import Event, Identity

MOST_LEADS = 2_000  # in one shadow: beyond that the shares of its paths do not change, only the work
ALL_EVERY = timedelta(hours=1)
_LATE = timedelta(minutes=10)  # what commits later than this after it was recorded is not seen
_MARGIN = timedelta(minutes=15)  # a trigger by time may have looked last so long before the shadow did


@dataclass(frozen=True, slots=True)
class Seen:
    """The events that are new to the shadow, and how it remembers that it saw them."""

    ids: frozenset[int]
    leads: frozenset[int]
    until: int
    later: list[int]


@dataclass(frozen=True, slots=True)
class Followed:
    """The leads to look at now."""

    leads: list[int]
    seen: Seen
    is_all: bool  # everybody inside is among them
    is_full: bool


def whom(session: Session, shadow: Shadow, now: datetime) -> Followed:
    """Everybody for whom something may come out otherwise than at the last look."""
    seen = _seen(session, shadow, now)
    inside = set(_leads(session, shadow, ShadowRow.name == "enrollments"))
    is_all = shadow.all_seen_at is None or now - shadow.all_seen_at >= ALL_EVERY
    known = inside if is_all else inside & seen.leads
    known |= set(_leads(session, shadow, sa.or_(ShadowRow.due_at <= now, ShadowRow.name == "waiting")))
    new = sorted(_coming(session, shadow, seen, now) - inside)
    room = max(0, MOST_LEADS - len(inside))
    chosen = some(sorted(known | set(new[:room])))
    leads = list(session.scalars(sa.select(Lead.id).where(Lead.id.in_(chosen), is_living()).order_by(Lead.id)))
    return Followed(leads, seen, is_all, shadow.is_full or len(new) > room)


def some(ids: Iterable[int]) -> sa.Select[Any]:
    """Ids as a selection."""
    return sa.select(rows_of([[id_] for id_ in ids], id=sa.BigInteger()).c.id)


def _leads(session: Session, shadow: Shadow, which: sa.ColumnElement[bool]) -> Iterable[int]:
    mine = sa.and_(ShadowRow.campaign_id == shadow.campaign_id, ShadowRow.lead_id.is_not(None), which)
    return session.scalars(sa.select(ShadowRow.lead_id).where(mine).distinct())


def _is_later(shadow: Shadow, now: datetime) -> sa.ColumnElement[bool]:
    """Observed in earnest, so that points and segments stand as they should, and perhaps not yet seen by the shadow."""
    return sa.and_(Event.id > shadow.seen_until, Event.is_new.is_(False), Event.at <= now)


def _seen(session: Session, shadow: Shadow, now: datetime) -> Seen:
    query = sa.select(Event.id, Event.recorded_at, Identity.lead_id).join(Identity, Identity.id == Event.identity_id)
    before = set(shadow.seen)
    new = [row for row in session.execute(query.where(_is_later(shadow, now))) if row.id not in before]
    settled = session.scalar(
        sa.select(sa.func.max(Event.id)).where(_is_later(shadow, now), Event.recorded_at < now - _LATE)
    )
    unobserved = session.scalar(sa.select(sa.func.min(Event.id)).where(sa.text("events.is_new"), Event.at <= now))
    until = settled or shadow.seen_until
    until = max(shadow.seen_until, until if unobserved is None else min(until, unobserved - 1))
    later = sorted(id_ for id_ in before.union(row.id for row in new) if id_ > until)
    return Seen(frozenset(r.id for r in new), frozenset(r.lead_id for r in new if r.lead_id), until, later)


def _coming(session: Session, shadow: Shadow, seen: Seen, now: datetime) -> set[int]:
    """Whom a trigger concerns; whether they may come in, the engine says."""
    spec = graph.trusted(shadow.flow).spec
    campaign = session.get_one(Campaign, shadow.campaign_id)
    happened = (
        sa.select(Event, Identity.lead_id)
        .join(Identity, Identity.id == Event.identity_id)
        .where(_is_later(shadow, now), Event.at >= shadow.started_at, Event.agent != "machine")
        .subquery("happened")
    )
    found: set[int] = set()
    for trigger in spec.triggers:
        kind = TRIGGERS.get(trigger.kind)
        settings = parse(kind.settings, trigger.settings)[0] if kind else None
        if kind is None or settings is None:
            continue
        lets_in = kind.matches(settings, happened) if kind.matches is not None else None
        if trigger.kind == "by_hand":
            lets_in = sa.and_(happened.c.kind == "campaign_requested", happened.c.subject == campaign.key)
        if lets_in is not None and seen.ids:
            rows = session.execute(sa.select(happened.c.id, happened.c.lead_id).where(lets_in))
            found |= {lead for id_, lead in rows if id_ in seen.ids and lead is not None}
        found |= _by_time(session, shadow, kind, settings, spec.zone, now)
        found |= _already(session, shadow, kind, settings, trigger)
    return found


def _by_time(
    session: Session, shadow: Shadow, kind: TriggerType, settings: Any, zone: str | None, now: datetime
) -> set[int]:
    after = max(shadow.started_at, (shadow.ran_until or now) - _MARGIN)
    if kind.due is None or after >= now:
        return set()
    house = zone or organisation.get(session).zone
    due = kind.due(settings, spans.between(session, after, now, house=house))
    return set() if due is None else _those(session, sa.select(due.subquery().c.lead_id))


def _already(session: Session, shadow: Shadow, kind: TriggerType, settings: Any, trigger: TriggerSpec) -> set[int]:
    """Those whom its publication would let in at once."""
    if shadow.ran_until is not None or not trigger.already or kind.already is None:
        return set()
    return _those(session, kind.already(settings))


def _those(session: Session, leads: sa.Select[Any]) -> set[int]:
    return {lead for lead in session.scalars(leads) if lead is not None}
