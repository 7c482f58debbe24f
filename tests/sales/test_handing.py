"""Handing leads over: fairly, once, with everything a rep needs, in as many statements for 5,000 as for none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from app.leads.models import Company, Lead
from app.sales.handing import by_hand, hand_over
from app.sales.models import Alert, Handoff, Rep, Task
from app.tracking.models import Event
from tests.sales.salesfloor import arrivals, lead, leads, rep, user


def given(session: Session) -> Counter[int | None]:
    return Counter(session.scalars(sa.select(Handoff.owner_id)))


@contextmanager
def statements(session: Session) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_each_lead_gets_an_owner_a_task_an_alert_a_clock_and_an_event(session: Session, now: datetime) -> None:
    ana = rep(session, "Ana", at=now, zone="Europe/Zurich")
    maria = lead(session, at=now, first_name="Maria", last_name="Keller", company_name="Nordhafen AG")
    made = hand_over(session, arrivals([maria.id]), route="round_robin", answer_within_minutes=240, note="Call", at=now)
    handoff = session.scalars(sa.select(Handoff)).one()
    task = session.scalars(sa.select(Task)).one()
    alert = session.scalars(sa.select(Alert)).one()
    told = session.scalars(sa.select(Event).where(Event.kind == "handoff_created")).one()
    session.refresh(maria)
    assert made == 1
    assert (handoff.lead_id, handoff.owner_id, handoff.state) == (maria.id, ana.id, "open")
    assert handoff.due_at == now + timedelta(hours=4)
    assert maria.owner_id == ana.id
    assert (task.title, task.note, task.owner_id) == ("First reply to Maria Keller", "Call", ana.id)
    assert (task.due_at, task.handoff_id) == (handoff.due_at, handoff.id)
    assert (alert.user_id, alert.text) == (ana.id, "Maria Keller, Nordhafen AG is ready for you.")
    assert (told.identity_id, told.subject, told.campaign_id) == (maria.id, "round_robin", 1)
    assert told.props == {"handoff": handoff.id, "owner": ana.id}


def test_run_twice_is_done_once_even_after_the_answer(session: Session, now: datetime) -> None:
    rep(session, "Ana", at=now)
    source = arrivals(leads(session, 3, at=now))
    assert hand_over(session, source, route="round_robin", answer_within_minutes=60, at=now) == 3
    assert hand_over(session, source, route="round_robin", answer_within_minutes=60, at=now) == 0
    session.execute(sa.update(Handoff).values(state="rejected"))
    assert hand_over(session, source, route="round_robin", answer_within_minutes=60, at=now) == 0
    assert session.scalar(sa.select(sa.func.count()).select_from(Task)) == 3


def test_a_lead_that_waits_for_sales_is_not_handed_over_by_another_campaign(session: Session, now: datetime) -> None:
    rep(session, "Ana", at=now)
    ids = leads(session, 2, at=now)
    hand_over(session, arrivals(ids[:1]), route="round_robin", answer_within_minutes=60, at=now)
    later = arrivals(ids, visit=9, campaign_id=2)
    assert hand_over(session, later, route="round_robin", answer_within_minutes=60, at=now) == 1
    assert hand_over(session, by_hand(sa.select(Lead.id)), route="round_robin", answer_within_minutes=60, at=now) == 0


def test_shares_are_fair_to_the_lead_whatever_the_sizes_of_the_batches(session: Session, now: datetime) -> None:
    ana, ben, cem = (rep(session, name, at=now, weight=w) for name, w in (("Ana", 1), ("Ben", 2), ("Cem", 1)))
    ids = leads(session, 400, at=now)
    for start, end in ((0, 1), (1, 2), (2, 9), (9, 150), (150, 151), (151, 400)):
        hand_over(session, arrivals(ids[start:end]), route="round_robin", answer_within_minutes=60, at=now)
        counts, total = given(session), end
        for who, weight in ((ana, 1), (ben, 2), (cem, 1)):
            assert abs(counts[who.id] - total * weight / 4) <= 1
    assert given(session) == {ana.id: 100, ben.id: 200, cem.id: 100}


def test_neighbouring_leads_go_to_different_reps(session: Session, now: datetime) -> None:
    ana, ben = rep(session, "Ana", at=now), rep(session, "Ben", at=now)
    hand_over(session, arrivals(leads(session, 6, at=now)), route="round_robin", answer_within_minutes=60, at=now)
    owners = list(session.scalars(sa.select(Handoff.owner_id).order_by(Handoff.lead_id)))
    assert owners == [ana.id, ben.id] * 3


def test_who_is_absent_gets_nothing_and_no_flood_on_return(session: Session, now: datetime) -> None:
    ana, ben = rep(session, "Ana", at=now), rep(session, "Ben", at=now, absent_until=now + timedelta(days=7))
    ids = leads(session, 110, at=now)
    hand_over(session, arrivals(ids[:100]), route="round_robin", answer_within_minutes=60, at=now)
    assert given(session) == {ana.id: 100}
    back = now + timedelta(days=8)
    hand_over(session, arrivals(ids[100:]), route="round_robin", answer_within_minutes=60, at=back)
    assert given(session) == {ana.id: 105, ben.id: 5}


def test_only_the_team_asked_for_takes_part(session: Session, now: datetime) -> None:
    rep(session, "Ana", at=now, team="north")
    ben = rep(session, "Ben", at=now, team="south")
    hand_over(
        session,
        arrivals(leads(session, 4, at=now)),
        route="round_robin",
        team="south",
        answer_within_minutes=60,
        at=now,
    )
    assert given(session) == {ben.id: 4}


def test_an_account_owner_takes_the_leads_of_the_account_and_the_rest_goes_in_turn(
    session: Session, now: datetime
) -> None:
    ana, ben = rep(session, "Ana", at=now), rep(session, "Ben", at=now)
    company = Company(name="Nordhafen", owner_id=ben.id, created_at=now)
    session.add(company)
    session.flush()
    own = [lead(session, at=now, company_id=company.id).id for _ in range(3)]
    others = leads(session, 2, at=now)
    hand_over(session, arrivals(own + others), route="account_owner", answer_within_minutes=60, at=now)
    by_lead = dict(session.execute(sa.select(Handoff.lead_id, Handoff.owner_id)).all())
    assert {by_lead[i] for i in own} == {ben.id}
    assert {by_lead[i] for i in others} == {ana.id, ben.id}
    assert set(session.scalars(sa.select(Handoff.route))) == {"account_owner", "round_robin"}
    assert set(session.scalars(sa.select(Rep.given_count))) == {1}


def test_an_absent_owner_is_replaced_in_turn(session: Session, now: datetime) -> None:
    ana = rep(session, "Ana", at=now)
    ben = rep(session, "Ben", at=now, absent_until=now + timedelta(days=3))
    mine = lead(session, at=now, owner_id=ben.id)
    hand_over(session, arrivals([mine.id]), route="lead_owner", answer_within_minutes=60, at=now)
    assert given(session) == {ana.id: 1}


def test_a_lead_nobody_can_take_is_kept_and_the_administrators_hear_of_it(session: Session, now: datetime) -> None:
    boss = user(session, "Boss", at=now, role="administrator")
    alone = lead(session, at=now, first_name="Lea")
    assert hand_over(session, arrivals([alone.id]), route="round_robin", answer_within_minutes=60, at=now) == 1
    alert = session.scalars(sa.select(Alert)).one()
    assert given(session) == {None: 1}
    assert alert.user_id == boss.id
    assert alert.text == "Lea is ready for sales, but nobody is there to take the lead."
    assert alert.wants_mail


def test_each_answer_is_due_in_the_working_hours_of_its_own_rep(session: Session, now: datetime) -> None:
    ana, ben = rep(session, "Ana", at=now, zone="Europe/Zurich"), rep(session, "Ben", at=now, zone="America/New_York")
    hand_over(session, arrivals(leads(session, 2, at=now)), route="round_robin", answer_within_minutes=60, at=now)
    due = dict(session.execute(sa.select(Handoff.owner_id, Handoff.due_at)).all())
    assert due == {ana.id: now + timedelta(hours=1), ben.id: now + timedelta(hours=6)}


def test_erased_and_merged_leads_are_never_handed_over(session: Session, now: datetime) -> None:
    rep(session, "Ana", at=now)
    kept = lead(session, at=now)
    gone, merged = lead(session, at=now, erased_at=now), lead(session, at=now, merged_into_id=kept.id)
    source = arrivals([kept.id, gone.id, merged.id])
    assert hand_over(session, source, route="round_robin", answer_within_minutes=60, at=now) == 1


def test_a_route_nobody_knows_is_refused_with_the_ones_there_are(session: Session, now: datetime) -> None:
    with pytest.raises(ValueError, match="No route is called 'lottery'; there are round_robin"):
        hand_over(session, arrivals([]), route="lottery", answer_within_minutes=60, at=now)


def test_the_number_of_statements_does_not_depend_on_the_number_of_leads(session: Session, now: datetime) -> None:
    for name in ("Ana", "Ben", "Cem"):
        rep(session, name, at=now)
    ids = leads(session, 5010, at=now)
    counts = []
    for part in ([], ids[:10], ids[10:]):
        source = arrivals(part)
        with statements(session) as seen:
            made = hand_over(session, source, route="account_owner", at=now)
        assert made == len(part)
        counts.append(len(seen))
    assert len(set(counts)) == 1
    assert set(given(session).values()) == {1670}
