"""Whom a rehearsal is about: the leads of a segment, or everybody whom the triggers of a flow could let in."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns.following import some
from app.db import table
from app.engine import graph
from app.engine.catalog import TRIGGERS
from app.engine.graph import FlowSpec
from app.engine.models import Campaign
from app.kinds import parse
from app.leads.finding import is_living
from app.leads.models import Lead
from app.segments.models import Segment, SegmentMember
from app.segments.refreshing import asks
from app.tracking.models import Event, Identity

MOST_LEADS = 100_000
# Triggers by what people do or ask for: nothing that a flow does itself can set them off.
BY_HAND = "by_hand"
OUTSIDE = ("form_submitted", "page_visited", "custom_event", BY_HAND)


class NobodyThere(ValueError):
    """Why there is nobody to rehearse with, in one sentence."""


@dataclass(frozen=True, slots=True)
class Caught:
    """The leads that are copied, out of how many."""

    leads: list[int]
    asked: int


def catch(
    session: Session, flow: dict[str, Any], campaign_id: int, segment: str, begins_at: datetime, ends_at: datetime
) -> Caught:
    """Those who are copied: of more than can be, the ones seen most lately. Raises NobodyThere."""
    spec = graph.trusted(flow).spec
    who = _members(session, segment) if segment else _concerned(session, spec, campaign_id, begins_at, ends_at)
    living = sa.and_(is_living(), _known_by(ends_at) if who is None else Lead.id.in_(who))
    asked = session.scalar(sa.select(sa.func.count()).select_from(Lead).where(living)) or 0
    if not asked:
        words = (
            "The segment is empty." if segment else "No trigger of the flow would have concerned anybody in that time."
        )
        raise NobodyThere(f"{words} Choose another audience, or another period.")
    order = (sa.func.coalesce(Lead.last_seen_at, Lead.created_at).desc(), Lead.id)
    leads = session.scalars(sa.select(Lead.id).where(living).order_by(*order).limit(MOST_LEADS))
    return Caught(sorted(leads), asked)


def _known_by(at: datetime) -> sa.ColumnElement[bool]:
    """Made by then, or brought in later with a history that goes back to then."""
    told = sa.select(Event.id).join(Identity, Identity.id == Event.identity_id)
    told = told.where(Identity.lead_id == Lead.id, Event.at <= at).correlate(Lead)
    return sa.or_(Lead.created_at <= at, told.exists())


def _members(session: Session, key: str) -> sa.Select[Any]:
    found = session.scalar(sa.select(Segment.id).where(Segment.key == key))
    if found is None:
        raise NobodyThere(f"There is no segment with the key {key}; choose another audience.")
    return sa.select(SegmentMember.lead_id).where(SegmentMember.segment_id == found)


def _concerned(
    session: Session, spec: FlowSpec, campaign_id: int, begins_at: datetime, ends_at: datetime
) -> sa.Select[Any] | None:
    """Whom the triggers concern by what was recorded; None: anybody, since what happens in the flow may set them off."""
    if not spec.triggers:
        raise NobodyThere("The flow has no trigger, so nobody would come in.")
    if any(trigger.kind not in OUTSIDE or trigger.already for trigger in spec.triggers):
        return None
    key = session.get_one(Campaign, campaign_id).key
    within = sa.and_(Event.at >= begins_at, Event.at <= ends_at, Event.agent != "machine")
    query = sa.select(Event, Identity.lead_id).join(Identity, Identity.id == Event.identity_id).where(within)
    happened = query.subquery("happened")
    found: list[sa.ColumnElement[bool]] = []
    for trigger in spec.triggers:
        kind = TRIGGERS.get(trigger.kind)
        settings = parse(kind.settings, trigger.settings)[0] if kind else None
        if kind is None or settings is None or kind.matches is None:
            continue
        by_hand = sa.and_(happened.c.kind == "campaign_requested", happened.c.subject == key)
        found.append(by_hand if trigger.kind == BY_HAND else kind.matches(settings, happened))
    return sa.select(happened.c.lead_id).where(sa.or_(sa.false(), *found), happened.c.lead_id.is_not(None))


def segments(session: Session, flow: dict[str, Any]) -> set[str]:
    """The keys of the segments that a flow, the definition of ready or the points could have to do with, and those these ask."""
    rules: dict[str, Any] = dict(session.execute(sa.select(Segment.key, Segment.rule)).all())
    definitions, models = table("definitions"), table("score_models")
    named = [flow, *session.scalars(sa.select(definitions.c.rule)), *session.scalars(sa.select(models.c.rules))]
    found = set(rules) & set(_texts(json.loads(json.dumps(named))))
    while more := {other for key in found for other in asks(rules[key]) if other in rules} - found:
        found |= more
    return found


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict | list):
        for each in part.values() if isinstance(part, dict) else part:
            yield from _texts(each)


def gone(session: Session, leads: Collection[int]) -> set[int]:
    """Those of the leads that were erased meanwhile."""
    return set(session.scalars(sa.select(Lead.id).where(Lead.id.in_(some(leads)), Lead.erased_at.is_not(None))))
