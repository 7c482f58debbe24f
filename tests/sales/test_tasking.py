"""Tasks and alerts made by a flow: once for each visit, for the right people."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.sales import alerting, staffing, tasking
from app.sales.models import Alert, Rep, Task
from app.tracking.models import Event
from tests.sales.salesfloor import arrivals, lead, leads, rep, user


def test_each_lead_gets_one_task_for_its_owner(session: Session, now: datetime) -> None:
    ana = rep(session, "Ana", at=now)
    mine, free = lead(session, at=now, owner_id=ana.id), lead(session, at=now)
    for _ in range(2):
        tasking.create(
            session,
            arrivals([mine.id, free.id]),
            title="Send a quote",
            note="",
            due_in=timedelta(days=1),
            owner="lead_owner",
            at=now,
        )
    owners = dict(session.execute(sa.select(Task.lead_id, Task.owner_id)).all())
    assert owners == {mine.id: ana.id, free.id: None}
    assert set(session.scalars(sa.select(Task.due_at))) == {now + timedelta(days=1)}


def test_a_task_can_be_for_a_named_person(session: Session, now: datetime) -> None:
    ben = rep(session, "Ben", at=now)
    given = arrivals(leads(session, 3, at=now))
    made = tasking.create(
        session, given, title="Call", note="", due_in=timedelta(0), owner="BEN@nordhafen.example", at=now
    )
    assert made == 3
    assert set(session.scalars(sa.select(Task.owner_id))) == {ben.id}


def test_a_task_is_ticked_off_once_told_and_can_be_reopened(session: Session, now: datetime) -> None:
    someone = lead(session, at=now)
    task = tasking.add(session, someone.id, title="Call", owner_id=None, due_at=now, at=now)
    assert tasking.finish(session, task.id, outcome="Reached", at=now)
    assert not tasking.finish(session, task.id, outcome="Again", at=now)
    assert session.scalars(sa.select(Event).where(Event.kind == "task_done")).one().props == {"outcome": "Reached"}
    assert tasking.reopen(session, task.id)
    assert not tasking.reopen(session, task.id)


def test_an_alert_reaches_the_owner_the_team_or_the_named_one_once(session: Session, now: datetime) -> None:
    boss = user(session, "Boss", at=now, role="administrator")
    ana, ben = rep(session, "Ana", at=now, team="north"), rep(session, "Ben", at=now, team="north")
    mine, free = lead(session, at=now, owner_id=ana.id), lead(session, at=now)
    source = arrivals([mine.id, free.id])
    assert alerting.notify(session, source, text="Hello", to="owner", at=now, by_mail=True) == 2
    assert alerting.notify(session, source, text="Hello", to="owner", at=now, by_mail=True) == 0
    reached = session.execute(sa.select(Alert.lead_id, Alert.user_id).order_by(Alert.lead_id)).all()
    assert [tuple(row) for row in reached] == [(mine.id, ana.id), (free.id, boss.id)]
    assert alerting.notify(session, source, text="Hi", to="ben@nordhafen.example", at=now, by_mail=False) == 2
    team = arrivals([mine.id], visit=2)
    assert alerting.notify(session, team, text="Team", to="north", at=now, by_mail=False) == 2
    assert alerting.read(session, ben.id, at=now) == 3
    assert alerting.read(session, ben.id, at=now) == 0


def test_a_new_rep_starts_level_with_the_team(session: Session, now: datetime) -> None:
    ana = rep(session, "Ana", at=now)
    session.execute(sa.update(Rep).where(Rep.user_id == ana.id).values(given_count=50))
    ben = user(session, "Ben", at=now)
    assert staffing.enlist(session, ben.id, weight=2).given_count == 100
