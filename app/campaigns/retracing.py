"""Tells the way of one lead through a rehearsal, stop by stop with its reasons, as it would be told of a passage in earnest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.campaigns import treading
from app.campaigns.models import Rehearsal, RehearsedPassage
from app.campaigns.retelling import Said
from app.campaigns.treading import Trodden
from app.db import EPOCH, MICROSECOND
from app.engine import explaining, graph
from app.engine.explaining import Line, Passage
from app.engine.graph import Flow
from app.engine.models import Decision
from app.leads.models import Lead
from app.outbox import NOT_SENT_REASONS
from app.segments import ruling
from app.segments.ruletype import Names

DID = {
    "email_opened": "opened {}",
    "email_clicked": "clicked in {}",
    "email_replied": "answered {}",
    "email_bounced": "could not be reached by {}",
    "email_complained": "complained about {}",
    "consent_withdrawn": "unsubscribed from {}",
    "handoff": "was given to {}",
}
_WAITING = {"held": "Held back; it had not left at the end", "ready": "Had not left at the end"}


def _instant(stored: int) -> datetime:
    return EPOCH + stored * MICROSECOND


def follow(session: Session, row: RehearsedPassage, rehearsal: Rehearsal, said: Said) -> Trodden:
    """The passage laid over the flow that was rehearsed."""
    flow, names, told = graph.trusted(rehearsal.flow), ruling.names(session), row.told
    mails = {mail[0]: _mail(mail, said) for mail in told["mails"]}
    lines = [_line(flow, names, visit, mails, said) for visit in told["visits"]]
    if row.state == "active":
        lines.append(_standing(flow, names, row, said))
    finished = _instant(told["finished"]) if told["finished"] else None
    entry = _entry(flow, names, told["occasion"])
    entered = _instant(told["entered"])
    passage = Passage(row.number, 0, row.state, told["reason"], entered, finished, entry, lines)
    trodden = Trodden(passage, session.get_one(Lead, row.lead_id), rehearsal.flow, rehearsal.number or 0)
    return treading.lay(trodden, told["occasion"])


def did(row: RehearsedPassage) -> list[tuple[datetime, str]]:
    """What the lens let the lead do, and whom it was given to, as sentences."""
    return [(_instant(at), DID[kind].format(subject or "nobody")) for kind, subject, at in row.told["did"]]


def _line(flow: Flow, names: Names, visit: list[Any], mails: dict[int, str], said: Said) -> Line:
    number, step, port, arrived, at, why = visit
    values = {"arrived_at": _instant(arrived), "at": _instant(at)}
    decision = Decision(enrollment_id=0, version_id=0, visit=number, step=step, port=port, why=why, **values)
    return explaining.line(flow, names, decision, mails.get(number), said)


def _mail(mail: list[Any], said: Said) -> str:
    _, name, state, reason, at, had = mail
    slot = f" “{had}” had the slot." if had else ""
    if state == "sent":
        return f"“{name}” would have left {said(_instant(at))}." + (f" Before,{slot}" if slot else "")
    if state in ("not_sent", "cancelled", "failed"):
        return f"“{name}” would not have been sent: {NOT_SENT_REASONS.get(reason, reason or state)}.{slot}"
    return f"“{name}”: {_WAITING.get(state, _WAITING['ready'])}.{slot}"


def _standing(flow: Flow, names: Names, row: RehearsedPassage, said: Said) -> Line:
    called, kind = explaining.title(flow, row.step, names)
    due = row.told["due"]
    sentence = (
        f"Still here at the end, until {said(_instant(due))}."
        if due
        else "Still here at the end; only something that happens lets it go."
    )
    return Line(row.told["visit"], row.step, called, kind, None, _instant(row.told["arrived"]), None, sentence, {})


def _entry(flow: Flow, names: Names, occasion: str) -> str:
    trigger, _, cause = occasion.partition(":")
    _, what = explaining.door(flow, names, trigger)
    return f"Matched already when the period began: {what}." if cause.startswith("already") else f"Entered by {what}."
