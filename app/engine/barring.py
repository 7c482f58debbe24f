"""Why a lead is not in a campaign: what keeps it out, and which trigger did not let it in, with the values it has (SEMANTICS 29)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock, db
from app.engine import rationing, spans, versions
from app.engine.catalog import TRIGGERS
from app.engine.explaining import shown
from app.engine.graph import TriggerSpec
from app.engine.models import Campaign, Enrollment
from app.engine.triggertype import TriggerType
from app.engine.versions import Published
from app.kinds import parse
from app.leads.models import Lead
from app.segments import ruling
from app.segments.models import Segment
from app.segments.ruletype import Names, name_of
from app.tracking.queries import lead_events

SEGMENTS = ("joined_segment", "schedule")  # triggers that ask whether a lead is in a segment


def why_not(session: Session, lead_id: int, campaign_id: int) -> list[str]:
    """What kept a lead out of a campaign, the nearest reasons first; empty when nothing does."""
    campaign = session.get_one(Campaign, campaign_id)
    lead = session.get_one(Lead, lead_id)
    if lead.merged_into_id is not None:
        return ["This lead was merged into another; ask about that one."]
    if lead.erased_at is not None:
        return ["This person's data was erased."]
    if campaign.version_id is None:
        return ["The campaign has never been published."]
    version = versions.get(session, campaign.version_id)
    reasons = [] if campaign.state == "live" else [f"The campaign is {campaign.state}."]
    return reasons + _kept_out(session, version, lead_id) + _not_triggered(session, version, lead_id)


def _kept_out(session: Session, version: Published, lead_id: int) -> list[str]:
    spec, reasons = version.flow.spec, []
    if spec.audience:
        reasons += [f"Not in the audience: {s}" for s in _unmet(session, spec.audience, lead_id)]
    inside = sa.select(Enrollment.state, Enrollment.finished_at).where(
        Enrollment.campaign_id == version.campaign_id, Enrollment.lead_id == lead_id
    )
    been = session.execute(inside.order_by(Enrollment.id.desc())).first()
    if been is not None and been.state == "active" and spec.re_entry.mode != "per_key":
        reasons.append("It is in the campaign already.")
    elif been is not None and spec.re_entry.mode == "never":
        reasons.append("It has been through the campaign, and nobody may come twice.")
    elif been is not None and spec.re_entry.mode == "after_days":
        reasons.append(f"It may come again {spec.re_entry.days} days after {been.finished_at:%-d %B %Y}.")
    return reasons


def _unmet(session: Session, rule: dict[str, Any], lead_id: int) -> list[str]:
    """The conditions of a rule that the lead fails, each as a sentence with the value it has."""
    names, leads = ruling.names(session), db.table("leads")
    ctx = ruling.context(session, clock.now())
    parts = rule["all"] if set(rule) == {"all"} else [rule]
    unmet = []
    for part in parts:
        seen = ruling.operands(part, ctx)
        columns = [ruling.predicate(part, ctx).label("met"), *(v.label(f"v{i}") for i, v in enumerate(seen.values()))]
        row = session.execute(sa.select(*columns).where(leads.c.id == lead_id)).one()
        if not row.met:
            told = [ruling.called(label, [part], names) for label in seen]
            values = ", ".join(f"{label} is {shown(row[i + 1])}" for i, label in enumerate(told))
            unmet.append(f"{ruling.sentence(part, names)}; {values}." if values else f"{ruling.sentence(part, names)}.")
    return unmet


def _not_triggered(session: Session, version: Published, lead_id: int) -> list[str]:
    names = ruling.names(session)
    found = [_at_trigger(session, version, spec, lead_id, names) for spec in version.flow.spec.triggers]
    return [reason for reasons in found for reason in reasons]


def _at_trigger(session: Session, version: Published, spec: TriggerSpec, lead_id: int, names: Names) -> list[str]:
    """Why one trigger did not let the lead in: nothing happened, its filter, or its daily limit."""
    kind = TRIGGERS.get(spec.kind)
    settings = parse(kind.settings, spec.settings)[0] if kind else None
    if kind is None or settings is None:
        return []
    place = rationing.place_in_queue(session, version, spec, lead_id)
    if place is not None:
        return [f"It waits as number {place}: {kind.label} lets in at most {spec.most_per_day} leads a day."]
    what = f"{kind.label} “{kind.describe(settings, names)}”"
    if not _happened(session, version, spec, kind, settings, lead_id):
        return _not_happened(session, spec, kind, settings, lead_id, what, names)
    unmet = _unmet(session, spec.filter, lead_id) if spec.filter else []
    return [f"{what} lets a lead in only if {sentence}" for sentence in unmet]


def _not_happened(
    session: Session, spec: TriggerSpec, kind: TriggerType, settings: Any, lead_id: int, what: str, names: Names
) -> list[str]:
    """What the lead lacks of the segment, if it is a segment that counts; or that all of it was so before."""
    for key in [key for of, key in kind.keys(settings) if of == "segment" and spec.kind in SEGMENTS]:
        rule = session.scalar(sa.select(Segment.rule).where(Segment.key == key))
        unmet = _unmet(session, rule, lead_id) if rule else []
        if unmet:
            called = name_of(names, "segment", key)
            return [f"It is not in the segment {called}: {sentence}" for sentence in unmet]
    if kind.already is not None and not spec.already and kind.matches is not None and spec.kind != "by_hand":
        before = kind.already(settings).subquery()
        if session.scalar(sa.select(sa.exists().where(before.c[0] == lead_id))):
            return [
                f"{what} was true before the campaign was published; only what happens from then on lets a lead in."
            ]
    return [f"{what} has not happened since it was published."]


def _happened(
    session: Session, version: Published, spec: TriggerSpec, kind: TriggerType, settings: Any, lead_id: int
) -> bool:
    if kind.matches is None:
        return _fell_due(session, version, kind, settings, lead_id)
    events = lead_events().subquery()
    found = sa.select(events.c.id).where(
        events.c.lead_id == lead_id, events.c.at >= version.since, kind.matches(settings, events)
    )
    if spec.kind == "by_hand":
        found = found.where(events.c.subject == version.campaign_key)
    return session.scalar(found.limit(1)) is not None


def _fell_due(session: Session, version: Published, kind: TriggerType, settings: Any, lead_id: int) -> bool:
    assert kind.due is not None
    only = sa.select(sa.literal(lead_id, sa.BigInteger))
    house = rationing.house_zone(session, version.flow)
    span = spans.between(session, version.published_at, clock.now(), house=house, among=only)
    found = kind.due(settings, span)
    return found is not None and session.execute(found.limit(1)).first() is not None
