"""What a rep does with a lead it was given: take it, refuse it with a reason, or send it back until a date."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.leads.models import Lead
from app.sales import clocking, tasking
from app.sales.models import Handoff, Rep
from app.scoring import staging
from app.tracking.models import Event
from app.tracking.recording import record

HANDOFF: sa.Table = Handoff.__table__
ANSWERS = {"accepted": "accepted", "rejected": "rejected", "recycled": "sent back to nurturing"}
REASONS = (
    "Not the right time",
    "No budget",
    "Not a fit",
    "Cannot be reached",
    "Wrong contact data",
    "Works with a competitor",
)


class BadAnswer(ValueError):
    """An answer that cannot be given; its text is one sentence that says what to do."""


def accept(session: Session, handoff_id: int, user_id: int, *, at: datetime) -> Handoff:
    """Take the lead: it becomes sales qualified, and the first-reply clock stops. A rep who takes it owns it."""
    handoff = _answer(session, handoff_id, user_id, "accepted", ("open",), "", None, at)
    if session.get(Rep, user_id) and handoff.owner_id != user_id:
        handoff.owner_id = user_id
        session.execute(sa.update(Lead).where(Lead.id == handoff.lead_id).values(owner_id=user_id, updated_at=at))
        session.flush()
    staging.set_stage(session, _lead(handoff), "sql", reason="Accepted by sales", at=at, only_up=True)
    return handoff


def reject(session: Session, handoff_id: int, user_id: int, *, reason: str, at: datetime) -> Handoff:
    """Refuse the lead for good; marketing sees the reason."""
    if not reason.strip():
        raise BadAnswer("Say why you reject this lead, so that marketing can learn from it.")
    handoff = _answer(session, handoff_id, user_id, "rejected", ("open", "accepted"), reason, None, at)
    _step_down(session, handoff, f"Rejected by sales: {handoff.reason}", at)
    return handoff


def recycle(
    session: Session, handoff_id: int, user_id: int, *, reason: str, come_back_at: datetime | None, at: datetime
) -> Handoff:
    """Send the lead back to nurturing until a date, on which it may enter campaigns again."""
    if not reason.strip():
        raise BadAnswer("Say why you send this lead back, so that marketing knows how to go on with it.")
    if come_back_at is None or come_back_at <= at:
        raise BadAnswer("Choose a come-back date in the future.")
    handoff = _answer(session, handoff_id, user_id, "recycled", ("open", "accepted"), reason, come_back_at, at)
    _step_down(session, handoff, f"Sent back by sales: {handoff.reason}", at)
    return handoff


def undo(session: Session, handoff_id: int, user_id: int, *, at: datetime) -> Handoff:
    """Take the last answer back, with what it did to the lead's stage."""
    handoff = get(session, handoff_id)
    if handoff.state == "open":
        raise BadAnswer("This handoff has no answer to take back.")
    if handoff.came_back_at:
        raise BadAnswer("The lead has come back already; it is too late to take this back.")
    answered = _last_answer_at(session, handoff)
    _undo_stage(session, handoff, answered, at)
    if answered is None or answered == handoff.answered_at:
        handoff.state, handoff.answered_at, handoff.reply_minutes = "open", None, None
        tasking.reopen_for_handoff(session, handoff_id)
    else:
        handoff.state = "accepted"  # it was taken first, then given back: the first reply stands
    handoff.reason, handoff.come_back_at = "", None
    session.flush()
    _note(session, handoff, "handoff_reopened", user_id, at)
    return handoff


def give(session: Session, handoff_id: int, owner_id: int, user_id: int, *, at: datetime) -> Handoff:
    """Give a lead that waits to somebody else; the clock does not start again."""
    handoff = get(session, handoff_id)
    if handoff.state != "open":
        raise BadAnswer("This lead is answered already; only a waiting one can be given to somebody else.")
    if not session.scalar(sa.select(User.id).where(User.id == owner_id, User.is_active)):
        raise BadAnswer("Choose somebody who works here.")
    handoff.owner_id, handoff.route, handoff.is_alerted = owner_id, "person", False
    session.execute(sa.update(Lead).where(Lead.id == handoff.lead_id).values(owner_id=owner_id, updated_at=at))
    tasking.give_for_handoff(session, handoff_id, owner_id)
    session.flush()
    return handoff


def get(session: Session, handoff_id: int) -> Handoff:
    """The handoff, or a sentence that there is none."""
    handoff = session.get(Handoff, handoff_id, populate_existing=True)
    if handoff is None:
        raise BadAnswer(f"There is no handoff number {handoff_id}.")
    return handoff


def _answer(
    session: Session,
    handoff_id: int,
    user_id: int,
    state: str,
    seen: tuple[str, ...],
    reason: str,
    come_back_at: datetime | None,
    at: datetime,
) -> Handoff:
    """Check and set: only the state the rep saw is answered, so two answers at once cannot both win."""
    handoff = get(session, handoff_id)
    zone = session.scalar(sa.select(User.zone).where(User.id == (handoff.owner_id or user_id)))
    minutes = clocking.minutes_between(handoff.created_at, at, zone)
    changed = session.execute(
        sa.update(HANDOFF)
        .where(HANDOFF.c.id == handoff_id, HANDOFF.c.state.in_(seen))
        .values(
            state=state,
            reason=" ".join(reason.split())[:500],
            come_back_at=come_back_at,
            answered_at=sa.func.coalesce(HANDOFF.c.answered_at, sa.literal(at, HANDOFF.c.answered_at.type)),
            reply_minutes=sa.func.coalesce(HANDOFF.c.reply_minutes, minutes),
        )
        .returning(HANDOFF.c.id)
    ).first()
    if changed is None:
        raise BadAnswer(f"Somebody was faster: this lead is {ANSWERS.get(handoff.state, handoff.state)} already.")
    handoff = get(session, handoff_id)
    tasking.finish_for_handoff(session, handoff_id, outcome=state.capitalize(), at=at)
    _note(session, handoff, f"handoff_{state}", user_id, at)
    return handoff


def _note(session: Session, handoff: Handoff, kind: str, user_id: int, at: datetime) -> None:
    props: dict[str, Any] = {"handoff": handoff.id, "user_id": user_id}
    if handoff.reason:
        props["reason"] = handoff.reason
    if handoff.come_back_at:
        props["come_back_at"] = handoff.come_back_at.isoformat()
    record(
        session,
        kind=kind,
        identity_id=handoff.lead_id,
        subject=handoff.route,
        at=at,
        props=props,
        campaign_id=handoff.campaign_id,
    )


def _step_down(session: Session, handoff: Handoff, reason: str, at: datetime) -> None:
    """A lead that sales gives back is marketing's again; one that went further (a customer) stays what it is."""
    taken = _lead(handoff).where(Lead.stage == "sql")
    staging.set_stage(session, taken, "mql", reason=reason, at=at)


def _lead(handoff: Handoff) -> sa.Select[Any]:
    return sa.select(Lead.id).where(Lead.id == handoff.lead_id)


def _last_answer_at(session: Session, handoff: Handoff) -> datetime | None:
    return session.scalar(
        sa.select(sa.func.max(Event.at)).where(
            Event.identity_id == handoff.lead_id,
            Event.kind.in_([f"handoff_{state}" for state in ANSWERS]),
            Event.props["handoff"].as_integer() == handoff.id,
        )
    )


def _undo_stage(session: Session, handoff: Handoff, answered: datetime | None, at: datetime) -> None:
    changed = session.execute(
        sa.select(Event.subject, Event.props["from"].as_string().label("before"))
        .where(Event.identity_id == handoff.lead_id, Event.kind == "stage_changed", Event.at == answered)
        .order_by(Event.id.desc())
        .limit(1)
    ).one_or_none()
    if changed and changed.before:
        still = _lead(handoff).where(Lead.stage == changed.subject)
        staging.set_stage(session, still, changed.before, reason="The answer of sales was taken back", at=at)
