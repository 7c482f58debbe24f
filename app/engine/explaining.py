"""Why a lead is where it is, as a chain of plain sentences with the values each decision saw (SEMANTICS 29)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.engine import versions
from app.engine.catalog import STEPS, TRIGGERS
from app.engine.graph import Flow, TriggerSpec
from app.engine.models import Decision, Enrollment, WebhookCall
from app.kinds import parse
from app.leads.models import Lead
from app.mail import telling
from app.segments import ruling
from app.segments.ruletype import Names
from app.tracking.models import Event

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
    spec, what = door(flow, names, trigger_id)
    about = f" (for {passage.key})" if passage.key else ""
    if cause.startswith("already"):
        return f"Matched already when the campaign was published: {what}."
    reason = _asked_by(session, cause) if spec and spec.kind == "by_hand" else ""
    return f"Entered on request: {reason}{about}." if reason else f"Entered by {what}{about}."


def door(flow: Flow, names: Names, trigger_id: str) -> tuple[TriggerSpec | None, str]:
    """A trigger, and what it is called: "Form submitted: Pricing guide"; of one that is gone the id alone."""
    spec = next((each for each in flow.spec.triggers if each.id == trigger_id), None)
    kind = TRIGGERS.get(spec.kind) if spec else None
    settings = parse(kind.settings, spec.settings)[0] if kind and spec else None
    return spec, f"{kind.label}: {kind.describe(settings, names)}" if kind and settings else trigger_id


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
    values = ", ".join(f"{label} was {shown(value)}" for label, value in seen.items())
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


def shown(value: Any) -> str:
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
