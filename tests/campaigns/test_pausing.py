"""SEMANTICS 25: a pause stops the clock or lets it run, a resumption releases evenly, and nothing floods after downtime."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.accounts import organisation
from app.campaigns import pausing
from app.db import Database
from app.engine import steering
from app.engine.models import Campaign, Enrollment
from app.engine.ticking import tick
from app.leads.models import Lead
from app.outbox import Message
from tests import factories
from tests.campaigns.conftest import drawn
from tests.campaigns.test_migrating import END, Inside, mail, wait
from tests.conftest import NOW

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
FLOW = drawn(wait("w", "m"), mail("m", "w2"), wait("w2", "end"), END)


def messages(database: Database, *columns: Any) -> list[Any]:
    with database.read() as session:
        return [tuple(row) for row in session.execute(sa.select(*columns).order_by(Message.id))]


def test_rule_25_the_clock_of_waits_stands_still_or_runs_as_chosen(database: Database) -> None:
    inside = Inside(database, FLOW, count=1)
    for clock_runs, due in ((False, NOW + 3 * DAY), (True, NOW + 3 * DAY)):
        begin = inside.now + (2 * DAY if clock_runs else timedelta())
        with database.write() as session:
            assert pausing.pause(session, inside.id, at=begin, clock_runs=clock_runs)
        tick(database, begin + HOUR)
        with database.write() as session:
            assert pausing.resume(session, inside.id, at=begin + DAY)
        # the first pause lasted a day, by which the wait is longer; the second has run over its end
        found = inside.all(Enrollment.due_at)[0]
        assert found == (begin + DAY if clock_runs else due)


def test_rule_25_the_release_plan_says_what_a_resumption_lets_go(database: Database) -> None:
    inside = Inside(database, FLOW, count=4, apart=MINUTE)
    tick(database, NOW + 2 * DAY + MINUTE)  # two of the four have their mail queued
    with database.write() as session:
        pausing.pause(session, inside.id, at=NOW + 2 * DAY + MINUTE, clock_runs=True)
    back = NOW + 6 * DAY
    with database.read() as session:
        plan = pausing.release_plan(session, inside.id, at=back)
        assert (plan.due, plan.mails, plan.stale) == (4, 2, 0)
        plan = pausing.release_plan(session, inside.id, at=back, drop_older=3 * DAY)
        assert (plan.due, plan.mails, plan.stale) == (4, 0, 2)

    with database.write() as session:
        assert pausing.resume(session, inside.id, at=back, spread=4 * HOUR, drop_older=3 * DAY) == plan

    assert sorted(inside.all(Enrollment.due_at)) == [back + n * HOUR for n in range(4)]
    assert messages(database, Message.state, Message.reason) == [("not_sent", "stale")] * 2
    tick(database, back + 90 * MINUTE)
    assert len(messages(database, Message.id)) == 2 + 2  # two more released, an hour apart; none at once


@pytest.mark.parametrize("clock_runs", [False, True])
def test_rule_25_the_release_plan_counts_whom_somebody_let_go_meanwhile_only_when_due(
    database: Database, clock_runs: bool
) -> None:
    inside = Inside(database, FLOW, count=3, apart=timedelta(0))
    by: dict[str, Any] = {"reason": "test", "by": "Ana"}
    with database.write() as session:
        for lead in inside.leads[:2]:
            steering.pause(session, inside.id, lead, at=NOW + HOUR, **by)
        pausing.pause(session, inside.id, at=NOW + 2 * HOUR, clock_runs=clock_runs)
        steering.resume(session, inside.id, inside.leads[0], at=NOW + 3 * HOUR, **by)
    back = NOW + 4 * HOUR
    with database.write() as session:
        assert pausing.release_plan(session, inside.id, at=back).due == 0
        pausing.resume(session, inside.id, at=back, spread=8 * HOUR)
    # the first stood still until the pause of all, or, if that let the clock run, until it was let go
    ends = [2 * DAY + 2 * HOUR, 2 * DAY] if clock_runs else [2 * DAY + 3 * HOUR, 2 * DAY + 2 * HOUR]
    due = inside.all(Enrollment.due_at)
    assert [due[0], due[2]] == [NOW + end for end in ends]


def test_rule_25_held_mails_leave_evenly(database: Database) -> None:
    inside = Inside(database, FLOW, count=4, apart=MINUTE)
    tick(database, NOW + 3 * DAY)
    with database.write() as session:
        pausing.pause(session, inside.id, at=NOW + 3 * DAY)
        pausing.resume(session, inside.id, at=NOW + 4 * DAY, spread=4 * HOUR)

    assert messages(database, Message.not_before) == [(NOW + 4 * DAY + n * HOUR,) for n in range(4)]


def test_rule_25_mail_made_late_by_a_long_stop_waits_for_a_person(database: Database) -> None:
    inside = Inside(database, FLOW, count=3, apart=DAY)
    later = NOW + 4 * DAY + 2 * HOUR  # the engine stood for two days: the second of them is late, the third is not
    tick(database, later)
    assert messages(database, Message.state, Message.reason) == [("ready", None), ("held", "late"), ("ready", None)]
    with database.read() as session:
        assert pausing.late(session, inside.id) == 1

    with database.write() as session:
        assert pausing.release_late(session, inside.id, at=later, spread=2 * HOUR) == 1
    assert messages(database, Message.state, Message.not_before)[1] == ("ready", later)
    with database.write() as session:
        session.execute(sa.update(Message).values(state="held", reason="late"))
        assert pausing.drop_late(session, inside.id, at=later) == 3
    assert set(messages(database, Message.state, Message.reason)) == {("not_sent", "stale")}


def test_rule_25_how_late_mail_must_be_to_wait_for_a_person_can_be_set(database: Database) -> None:
    inside = Inside(database, FLOW, count=3, apart=DAY)
    with database.write() as session:
        organisation.update(session, late_hours="72")
    tick(database, NOW + 4 * DAY + 2 * HOUR)
    assert messages(database, Message.state)[1] == ("ready",)
    with database.write() as session:
        session.execute(sa.update(Message).values(state="sent"))
        organisation.update(session, late_hours="1")
        factories.request(
            session,
            session.get_one(Campaign, inside.id),
            factories.leads(session, 1, topic="news", email="new@example.com"),
            at=NOW + 5 * DAY,
        )
    tick(database, NOW + 5 * DAY)
    tick(database, NOW + 7 * DAY + 2 * HOUR)
    assert messages(database, Message.state, Message.reason)[3] == ("held", "late")


def test_rule_25_a_pause_of_one_lead_and_one_of_all_are_not_counted_twice(database: Database) -> None:
    for order in (("lead", "all", "end lead", "end all"), ("all", "lead", "end all", "end lead"), ("lead", "all", "end all", "end lead")):  # fmt: skip
        _passes_twice(database, order)


def _passes_twice(database: Database, order: tuple[str, ...]) -> None:
    """Each second hour something begins or ends: in all three orders the clock stood still for six hours."""
    with database.write() as session:
        made = factories.campaign(session, FLOW, key=order[0] + order[2].replace(" ", ""))
        lead = session.scalar(sa.select(Lead.id)) or factories.leads(session, 1, at=NOW)[0]
        factories.request(session, made, [lead])
        id_ = made.id
    tick(database, NOW)
    by: dict[str, Any] = {"reason": "test", "by": "Ana"}
    for place, act in enumerate(order):
        at = NOW + (1 + 2 * place) * HOUR
        with database.write() as session:
            if act == "all":
                pausing.pause(session, id_, at=at)
            elif act == "end all":
                pausing.resume(session, id_, at=at)
            else:
                (steering.pause if act == "lead" else steering.resume)(session, id_, lead, at=at, **by)
    tick(database, NOW + 7 * HOUR)
    with database.read() as session:
        held, due = session.execute(
            sa.select(Enrollment.held, Enrollment.due_at).where(Enrollment.campaign_id == id_)
        ).one()
        assert session.get_one(Campaign, id_).state == "live"
    assert held == 6 * HOUR // timedelta(microseconds=1)
    assert due == NOW + 2 * DAY + 6 * HOUR
