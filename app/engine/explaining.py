"""Why a lead is where it is, as a chain of plain sentences; and why not, for one that never came in (SEMANTICS 29)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock, db
from app.engine import rationing, spans, versions
from app.engine.catalog import STEPS, TRIGGERS
from app.engine.graph import Flow, TriggerSpec
from app.engine.models import Campaign, Decision, Enrollment, WebhookCall
from app.engine.triggertype import TriggerType
from app.engine.versions import Published
from app.kinds import parse
from app.leads.models import Lead
from app.mail import telling
from app.segments import ruling
from app.segments.models import Segment
from app.segments.ruletype import Names, name_of
from app.tracking.models import Event
from app.tracking.queries import lead_events

SEGMENTS = ("joined_segment", "schedule")  # triggers that ask whether a lead is in a segment
NOTES = {"not sent": "The mail was not sent", "happened": "It happened", "goal reached": "The goal was reached"}


@dataclass(frozen=True, slots=True)
class Line:
    """One visit: when the lead came and left, at which step, by which port, and the sentence that says why."""

    visit: int
    step: str
    title: str
    kind: str
    port: str | None
    arrived_at: datetime
    left_at: datetime | None
    sentence: str
    seen: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Passage:
    """One enrollment told from its entry to now."""

    enrollment_id: int
    version_id: int
    state: str
    reason: str | None
    entered_at: datetime
    finished_at: datetime | None
    entry: str
    lines: list[Line]


@dataclass(frozen=True, slots=True)
class Standing:
    """A lead at a step now, and why it is still there."""

    lead_id: int
    email: str | None
    arrived_at: datetime
    due_at: datetime | None
    why: str


Said = Callable[[datetime], str]
MOST_STANDING = 100


def why(session: Session, lead_id: int, campaign_id: int, *, said: Said = telling.in_utc) -> list[Passage]:
    """Every passage of the lead through the campaign, newest first; empty when it never came in.

    `said` writes the instants within its sentences, so that a page can say them by its reader's clock.
    """
    passages = session.scalars(
        sa.select(Enrollment)
        .where(Enrollment.lead_id == lead_id, Enrollment.campaign_id == campaign_id)
        .order_by(Enrollment.entered_at.desc(), Enrollment.id.desc())
    ).all()
    names = ruling.names(session)
    return [_passage(session, passage, names, said) for passage in passages]


def _passage(session: Session, passage: Enrollment, names: Names, said: Said) -> Passage:
    decisions = session.scalars(
        sa.select(Decision)
        .where(Decision.enrollment_id == passage.id)
        .order_by(Decision.visit < 0, sa.func.abs(Decision.visit))  # below zero: done afterwards, for who had passed
    ).all()
    sent = telling.of_passage(session, passage.id, said)
    lines = []
    for decision in decisions:
        flow = versions.get(session, decision.version_id).flow
        lines.append(line(flow, names, decision, sent.get(decision.visit), said))
    flow = versions.get(session, passage.version_id).flow
    if passage.state == "active":
        lines.append(_standing(session, flow, names, passage, said))
    return Passage(
        passage.id,
        passage.version_id,
        passage.state,
        passage.reason,
        passage.entered_at,
        passage.finished_at,
        _entry(session, flow, passage, names),
        lines,
    )


def _entry(session: Session, flow: Flow, passage: Enrollment, names: Names) -> str:
    trigger_id, _, cause = passage.occasion.partition(":")
    spec = next((t for t in flow.spec.triggers if t.id == trigger_id), None)
    kind = TRIGGERS.get(spec.kind) if spec else None
    settings = parse(kind.settings, spec.settings)[0] if kind and spec else None
    what = f"{kind.label}: {kind.describe(settings, names)}" if kind and settings else trigger_id
    about = f" (for {passage.key})" if passage.key else ""
    if cause.startswith("already"):
        return f"Matched already when the campaign was published: {what}."
    reason = _asked_by(session, cause) if spec and spec.kind == "by_hand" else ""
    return f"Entered on request: {reason}{about}." if reason else f"Entered by {what}{about}."


def _asked_by(session: Session, cause: str) -> str:
    """Who or what asked that the lead come in: the event that did, "e512", says so."""
    number = cause.removeprefix("e")
    event = session.get(Event, int(number)) if number.isdigit() else None
    return str((event.props or {}).get("reason") or "") if event else ""


def line(flow: Flow, names: Names, decision: Decision, mail: str | None, said: Said) -> Line:
    """One decision told; `mail` is what became of the mail it owed, if it did."""
    step = flow.steps.get(decision.step)
    called, kind = title(flow, decision.step, names)
    found = decision.why or {}
    seen = dict(found.get("seen") or {})
    label = next((p.label for p in step.ports if p.name == decision.port), "") if step else ""
    rules = step.type.rules(step.settings) if step else []
    told = {ruling.called(name, rules, names): value for name, value in seen.items()}
    sentence = _sentence(kind, label or decision.port, found, told, mail, said)
    return Line(
        decision.visit, decision.step, called, kind, decision.port, decision.arrived_at, decision.at, sentence, seen
    )


def _sentence(kind: str, port: str, found: dict[str, Any], seen: dict[str, Any], mail: str | None, said: Said) -> str:
    if mail is not None:
        return mail
    values = ", ".join(f"{label} was {_shown(value)}" for label, value in seen.items())
    note = found.get("note") or ""
    if kind in {"decide", "split"}:
        return f"Took “{port}”" + (f", because {values}." if values else ".")
    if port == "end":
        return f"Ended here{': ' + note if note else ''}."
    if port == "goal":
        return "Was brought forward to the goal, which it had reached."
    words = NOTES.get(note, note) or (f"Took “{port}”" if port != "out" else "")
    if note == "happened" and found.get("at") is not None:
        words = f"Took “{port}”: it happened at {said(db.EPOCH + int(found['at']) * db.MICROSECOND)}"
    if not words:
        step = STEPS.get(kind)
        words = "The wait was over" if step is not None and step.waits else "Done"
    return ". ".join(part for part in (words, values) if part).strip(". ") + "."


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "empty"
    return "yes" if value is True else "no" if value is False else str(value)


def titles(session: Session, enrollment_id: int, names: Names) -> dict[str, str]:
    """Step -> what a person calls it, for the steps that this passage has left."""
    left = sa.select(Decision.version_id, Decision.step).where(Decision.enrollment_id == enrollment_id).distinct()
    return {
        row.step: title(versions.get(session, row.version_id).flow, row.step, names)[0] for row in session.execute(left)
    }


def title(flow: Flow, step_id: str, names: Names) -> tuple[str, str]:
    step = flow.steps.get(step_id)
    if step is None:
        return step_id, ""
    return step.name or step.type.describe(step.settings, names), step.kind


def _standing(session: Session, flow: Flow, names: Names, passage: Enrollment, said: Said) -> Line:
    called, kind = title(flow, passage.step, names)
    step = flow.steps.get(passage.step)
    until = f" until {said(passage.due_at)}" if passage.due_at else " for an event"
    sentence = f"Waits here{until}."
    if step is not None and step.type.rests:
        sentence = _answer_awaited(session, passage, said)
    elif passage.paused_at is not None:
        sentence = f"Is paused here by hand since {said(passage.paused_at)}."
    elif passage.tries and passage.reason:
        sentence = f"Could not be done: {passage.reason.rstrip('.')}. It is tried again{until.replace('until', 'at')}."
    return Line(passage.visit, passage.step, called, kind, None, passage.arrived_at, None, sentence, {})


def at_step(
    session: Session, campaign_id: int, step: str, *, said: Said = telling.in_utc
) -> tuple[int, list[Standing]]:
    """How many stand at a step of the campaign, whatever their version, and the first hundred, each with a sentence."""
    here = sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.step == step, Enrollment.state == "active")
    total = session.scalar(sa.select(sa.func.count()).where(here)) or 0
    found = sa.select(Enrollment, Lead.email).join(Lead, Lead.id == Enrollment.lead_id).where(here)
    first = found.order_by(Enrollment.due_at.is_(None), Enrollment.due_at, Enrollment.id).limit(MOST_STANDING)
    names, told = ruling.names(session), []
    for passage, email in session.execute(first):
        line = _standing(session, versions.get(session, passage.version_id).flow, names, passage, said)
        told.append(Standing(passage.lead_id, email, passage.arrived_at, passage.due_at, line.sentence))
    return total, told


def _answer_awaited(session: Session, passage: Enrollment, said: Said) -> str:
    """How it stands with the call that the lead waits for."""
    mine = (WebhookCall.enrollment_id == passage.id, WebhookCall.visit == passage.visit)
    call = session.scalar(sa.select(WebhookCall).where(*mine))
    if call is None or call.state != "ready" or not call.reason:
        return "Waits here for the other system's answer."
    reason = call.reason.rstrip(".")
    return f"Waits here for an answer: {reason}. It is asked again at {said(call.not_before)}."


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
            values = ", ".join(f"{label} is {_shown(row[i + 1])}" for i, label in enumerate(told))
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
