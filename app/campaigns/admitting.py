"""Says in plain sentences what a rehearsal cannot know, of this very run, so that nobody takes it for a promise."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns.lenses import ALL
from app.campaigns.scratch import OURS
from app.campaigns.sidelines import recorded
from app.engine import graph
from app.engine.models import Enrollment
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import limits

if TYPE_CHECKING:
    from app.campaigns.catching import Caught
    from app.campaigns.lenses import Past
    from app.campaigns.performing import Wanted

POINTS = {"by_score", "change_score", "set_stage", "score_reached", "grade_crossed", "stage_changed"}
TOGETHER = {"enter_campaign", "go_to_campaign", "leave_campaign"}


def unknown(session: Session, wanted: Wanted, caught: Caught, past: Past, found: dict[str, Any]) -> list[str]:
    """What was left open, and taken for what."""
    flow = graph.trusted(wanted.flow)
    kinds = {step.kind for step in flow.steps.values()} | {trigger.kind for trigger in flow.spec.triggers}
    told = [_lens(session, wanted, past)] if flow.mails else []
    told.append(
        "What people did is what they did in earnest. Whether this flow would have brought them back, nobody knows."
    )
    told += _audience(caught, found)
    told.append(_looks(wanted))
    told.append(
        "Fields, tags, stage and consent are taken back as far as the log tells. What it does not tell is as it is today: "
        "facts about companies, and addresses. Rests from mail that people asked for are left out."
    )
    told += _others(session, wanted, found)
    told.append("Mails, segments, points and the definition of ready are those of today.")
    if kinds & {"handoff", "wait_for_outcome", "create_task"}:
        told.append(
            "Sales answers nothing here: handoffs stay open and tasks undone, so that a lead is handed over once."
        )
    if any(rep["capacity"] is None for rep in found["handoffs"]["reps"]):
        told.append(
            "How many leads a day some reps can take is not said under Sales handoff, Who takes leads; "
            "the busiest day of the year before stands for it."
        )
    if "webhook" in kinds:
        told.append("No other system was called; each call was taken as answered well.")
    if kinds & TOGETHER:
        told.append("Leads that are sent to other campaigns are not followed there.")
    return told


def _audience(caught: Caught, found: dict[str, Any]) -> list[str]:
    told = []
    if caught.asked > len(caught.leads):
        told.append(
            f"Of {caught.asked:,} leads the {len(caught.leads):,} seen most lately were copied; figures are of these alone."
        )
    if found["inside_before"]:
        count = found["inside_before"]
        were = "1 lead was" if count == 1 else f"{count:,} leads were"
        told.append(f"{were} in the campaign already when the period began, and went on as in earnest, not here.")
    told.append("Leads that were erased, or merged into others, since then are not in it.")
    return told


def _looks(wanted: Wanted) -> str:
    return (
        f"The engine looked {_often(wanted.every)}. What fell due in between happened at the next look, so that short waits "
        "came out longer than in earnest, where it looks every few seconds."
    )


def _often(every: timedelta) -> str:
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if every >= unit and not every % unit:
            count = every // unit
            return f"once a{'n' if name == 'hour' else ''} {name}" if count == 1 else f"every {count} {name}s"
    return f"every {every}"


def _others(session: Session, wanted: Wanted, found: dict[str, Any]) -> list[str]:
    told = []
    within = sa.and_(Message.finished_at >= wanted.begins_at, Message.state == "sent", Message.id <= OURS)
    if session.scalar(sa.select(sa.exists().where(within))):
        told.append(
            "Other campaigns sent what they sent in earnest. Where this one would have taken their slot, theirs left all the same."
        )
    elsewhere = sa.and_(Enrollment.campaign_id != wanted.campaign_id, Enrollment.id <= OURS)
    if session.scalar(sa.select(sa.exists().where(elsewhere))):
        told.append("Passages through other campaigns came and went as in earnest, whatever this flow did.")
    if session.scalar(sa.select(limits.exist())):
        told.append("Frequency caps and sending hours are those of today.")
    return told


def _lens(session: Session, wanted: Wanted, past: Past) -> str:
    if wanted.lens == "past":
        return _past(session, wanted, past)
    if wanted.lens == "recorded":
        return _recorded(session)
    return "Nobody opened, clicked, answered or unsubscribed: whatever hangs on that took its other way."


def _past(session: Session, wanted: Wanted, past: Past) -> str:
    if not any(rate["mail_id"] == ALL for rate in past.rates):
        return "No mail has left so far to which people reacted, so nobody reacted here."
    keys = sorted(graph.trusted(wanted.flow).mails)
    new = session.scalars(
        sa.select(Mail.name).where(Mail.key.in_(keys), Mail.id.not_in(past.own)).order_by(Mail.name)
    ).all()
    words = "Who reacts is drawn by lot, as often as people did in the past"
    if not new:
        return f"{words}; that it is these very leads is chance."
    few = f"{', '.join(f'“{name}”' for name in new[:3])}{' and others' if len(new) > 3 else ''}"
    return f"{words}. {few} left too seldom for rates of their own; those of all marketing mail stand for them."


def _recorded(session: Session) -> str:
    place = sa.func.row_number().over(partition_by=(Message.lead_id, Message.mail_id), order_by=Message.id)
    sent = sa.select(Message.lead_id, Message.mail_id, place.label("place"))
    every = sent.where(Message.id > OURS, Message.state == "sent", Message.lead_id.is_not(None)).subquery("every")
    had = sa.exists().where(
        recorded.c.lead_id == every.c.lead_id, recorded.c.mail_id == every.c.mail_id, recorded.c.place == every.c.place
    )
    total = session.scalar(sa.select(sa.func.count()).select_from(every)) or 0
    new = session.scalar(sa.select(sa.func.count()).select_from(every).where(~had)) or 0
    if not new:
        return "Every mail had been sent to the same lead in earnest; it reacted as it did then, after the same time."
    return f"{new:,} of {total:,} mails were never sent to that lead in earnest; to these nobody reacted."
