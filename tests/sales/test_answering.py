"""Answers of sales: accept, reject, send back until a date, and take any of them back."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads.models import Lead
from app.sales import answering, escalating, recycling
from app.sales.handing import hand_over
from app.sales.models import Alert, Handoff, Task
from app.tracking.models import Event
from tests.sales.salesfloor import arrivals, lead, rep, user


def handed(session: Session, now: datetime, **values: Any) -> tuple[int, int, int]:
    """(handoff, rep, lead)"""
    ana = rep(session, "Ana", at=now, zone="Europe/Zurich")
    maria = lead(session, at=now, first_name="Maria", stage="mql", **values)
    hand_over(session, arrivals([maria.id]), route="round_robin", answer_within_minutes=240, at=now)
    return session.scalars(sa.select(Handoff.id)).one(), ana.id, maria.id


def stage(session: Session, lead_id: int) -> str:
    return session.scalars(sa.select(Lead.stage).where(Lead.id == lead_id)).one()


def kinds(session: Session) -> list[str]:
    return list(session.scalars(sa.select(Event.kind).where(Event.kind.startswith("handoff")).order_by(Event.id)))


def test_accepting_makes_the_lead_sales_qualified_and_stops_the_clock(session: Session, now: datetime) -> None:
    number, ana, maria = handed(session, now)
    later = now + timedelta(minutes=90)
    handoff = answering.accept(session, number, ana, at=later)
    task = session.scalars(sa.select(Task)).one()
    assert (handoff.state, handoff.answered_at, handoff.reply_minutes) == ("accepted", later, 90)
    assert (task.done_at, task.outcome) == (later, "Accepted")
    assert stage(session, maria) == "sql"
    assert kinds(session) == ["handoff_created", "handoff_accepted"]


def test_a_lead_is_answered_once_and_the_second_is_told_what_the_first_said(session: Session, now: datetime) -> None:
    number, ana, _ = handed(session, now)
    answering.accept(session, number, ana, at=now)
    with pytest.raises(answering.BadAnswer, match="Somebody was faster: this lead is accepted already"):
        answering.accept(session, number, ana, at=now)


def test_another_rep_who_accepts_becomes_the_owner(session: Session, now: datetime) -> None:
    number, _, maria = handed(session, now)
    ben = rep(session, "Ben", at=now)
    answering.accept(session, number, ben.id, at=now)
    assert session.scalars(sa.select(Handoff.owner_id)).one() == ben.id
    assert session.scalars(sa.select(Lead.owner_id).where(Lead.id == maria)).one() == ben.id


def test_rejecting_needs_a_reason_and_keeps_it(session: Session, now: datetime) -> None:
    number, ana, maria = handed(session, now)
    with pytest.raises(answering.BadAnswer, match="Say why"):
        answering.reject(session, number, ana, reason="  ", at=now)
    handoff = answering.reject(session, number, ana, reason="No budget", at=now)
    told = session.scalars(sa.select(Event).where(Event.kind == "handoff_rejected")).one()
    assert (handoff.state, handoff.reason) == ("rejected", "No budget")
    assert told.props["reason"] == "No budget"
    assert stage(session, maria) == "mql"


def test_a_recycled_lead_comes_back_once_on_its_date(session: Session, now: datetime) -> None:
    number, ana, maria = handed(session, now)
    date = now + timedelta(days=90)
    answering.recycle(session, number, ana, reason="Not the right time", come_back_at=date, at=now)
    assert recycling.run_once(session, now + timedelta(days=89)) == 0
    assert recycling.run_once(session, now + timedelta(days=91)) == 1
    assert recycling.run_once(session, now + timedelta(days=92)) == 0
    back = session.scalars(sa.select(Event).where(Event.kind == "lead_came_back")).one()
    assert (back.identity_id, back.at, back.is_new) == (maria, date, True)


@pytest.mark.parametrize("days", [0, -1, None])
def test_recycling_needs_a_date_in_the_future(session: Session, now: datetime, days: int | None) -> None:
    number, ana, _ = handed(session, now)
    date = None if days is None else now + timedelta(days=days)
    with pytest.raises(answering.BadAnswer, match="come-back date in the future"):
        answering.recycle(session, number, ana, reason="Later", come_back_at=date, at=now)
    assert session.scalars(sa.select(Handoff.state)).one() == "open"


def test_a_lead_that_was_accepted_can_still_be_sent_back_and_is_marketings_again(
    session: Session, now: datetime
) -> None:
    number, ana, maria = handed(session, now)
    answering.accept(session, number, ana, at=now + timedelta(minutes=10))
    later = now + timedelta(days=3)
    answering.recycle(session, number, ana, reason="Later", come_back_at=later + timedelta(days=30), at=later)
    handoff = answering.get(session, number)
    assert (handoff.state, handoff.reply_minutes) == ("recycled", 10)
    assert stage(session, maria) == "mql"
    back = answering.undo(session, number, ana, at=later)
    assert (back.state, back.come_back_at, back.reply_minutes) == ("accepted", None, 10)
    assert stage(session, maria) == "sql"


def test_taking_an_acceptance_back_restores_the_stage_the_task_and_the_clock(session: Session, now: datetime) -> None:
    number, ana, maria = handed(session, now)
    answering.accept(session, number, ana, at=now + timedelta(minutes=10))
    handoff = answering.undo(session, number, ana, at=now + timedelta(minutes=11))
    assert (handoff.state, handoff.answered_at, handoff.reply_minutes) == ("open", None, None)
    assert stage(session, maria) == "mql"
    assert session.scalars(sa.select(Task.done_at)).one() is None
    assert kinds(session)[-1] == "handoff_reopened"


def test_a_lead_that_came_back_cannot_be_taken_back(session: Session, now: datetime) -> None:
    number, ana, _ = handed(session, now)
    answering.recycle(session, number, ana, reason="Later", come_back_at=now + timedelta(days=1), at=now)
    recycling.run_once(session, now + timedelta(days=2))
    with pytest.raises(answering.BadAnswer, match="come back already"):
        answering.undo(session, number, ana, at=now + timedelta(days=2))


def test_an_overdue_lead_is_escalated_once_to_its_rep_and_the_administrators(session: Session, now: datetime) -> None:
    boss = user(session, "Boss", at=now, role="administrator")
    number, ana, _ = handed(session, now)
    session.execute(sa.delete(Alert))
    assert escalating.run_once(session, now + timedelta(hours=4)) == 0
    assert escalating.run_once(session, now + timedelta(hours=5)) == 1
    assert escalating.run_once(session, now + timedelta(hours=6)) == 0
    told = dict(session.execute(sa.select(Alert.user_id, Alert.text)).all())
    assert told == {
        ana: "Maria still waits for your first reply.",
        boss.id: "Maria still waits for a first reply from Ana.",
    }
    assert answering.get(session, number).escalated_at == now + timedelta(hours=5)


def test_a_waiting_lead_can_be_given_to_somebody_else_with_its_task(session: Session, now: datetime) -> None:
    number, _, maria = handed(session, now)
    ben = rep(session, "Ben", at=now)
    handoff = answering.give(session, number, ben.id, ben.id, at=now)
    assert (handoff.owner_id, handoff.is_alerted) == (ben.id, False)
    assert session.scalars(sa.select(Task.owner_id)).one() == ben.id
    assert session.scalars(sa.select(Lead.owner_id).where(Lead.id == maria)).one() == ben.id
