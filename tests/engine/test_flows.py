"""SEMANTICS 1 to 19 and 22 as stories: given leads and what they do, this flow, at these times: these decisions, these mails."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.engine import chance, graph
from app.engine.models import Campaign, Decision, Enrollment
from app.engine.ticking import TickReport, tick
from app.leads import tagging, updating
from app.leads.models import Lead
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import consenting
from app.tracking import recording
from tests import factories
from tests.conftest import NOW

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
WAIT = {"kind": "wait", "settings": {"amount": 2, "unit": "days"}}
MAIL = {"kind": "send_email", "settings": {"mail": "welcome"}}
TAGGED = {"rule": "tag", "tag": "customer"}


def split_on(*arms: tuple[str, dict[str, Any]], **targets: str) -> dict[str, Any]:
    listed = [{"port": port, "name": port, "rule": rule} for port, rule in arms]
    return {"kind": "decide", "settings": {"arms": listed}, "next": targets}


class World:
    """A database with leads who agreed to hear, and one live campaign."""

    def __init__(self, database: Database, flow: dict[str, Any], count: int = 3, **values: Any) -> None:
        self.database = database
        with database.write() as session:
            factories.topic(session)
            factories.mail(session)
            for key in ("customer", "hot"):
                tagging.ensure(session, key)
            self.leads = factories.leads(session, count, topic="news", **values)
            self.campaign = factories.campaign(session, flow)
        self.settle(NOW)

    def settle(self, now: datetime) -> TickReport:
        return tick(self.database, now)

    def enter(self, now: datetime = NOW) -> None:
        with self.database.write() as session:
            factories.request(session, self.campaign, self.leads, at=now)
        self.settle(now)

    def does(self, lead: int, kind: str, subject: str, at: datetime, agent: str = "human", **props: Any) -> None:
        with self.database.write() as session:
            recording.record(session, kind=kind, identity_id=lead, subject=subject, at=at, agent=agent, props=props)

    def tag(self, lead: int, at: datetime, key: str = "customer") -> None:
        with self.database.write() as session:
            tagging.add(session, sa.select(Lead.id).where(Lead.id == lead), key, at=at)

    def where(self) -> list[tuple[str, str]]:
        """(state, step) of each passage, in the order of leads."""
        with self.database.read() as session:
            rows = sa.select(Enrollment.state, Enrollment.step).order_by(Enrollment.lead_id, Enrollment.id)
            return [(state, step) for state, step in session.execute(rows)]

    def ports(self, lead: int) -> list[tuple[str, str]]:
        with self.database.read() as session:
            rows = sa.select(Decision.step, Decision.port).join(Enrollment, Enrollment.id == Decision.enrollment_id)
            found = rows.where(Enrollment.lead_id == lead).order_by(Enrollment.id, Decision.visit)
            return [(step, port) for step, port in session.execute(found)]

    def messages(self) -> list[tuple[int, str, str | None]]:
        with self.database.read() as session:
            rows = sa.select(Message.lead_id, Message.state, Message.reason).order_by(Message.lead_id, Message.id)
            return [tuple(row) for row in session.execute(rows)]

    def due(self) -> list[datetime | None]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(Enrollment.due_at).order_by(Enrollment.lead_id)))


def test_a_lead_waits_gets_its_mail_and_completes(database: Database) -> None:
    world = World(database, factories.flow(WAIT, MAIL))
    world.enter()
    assert world.where() == [("active", "s1")] * 3
    world.settle(NOW + 2 * DAY - MINUTE)
    assert world.messages() == []
    world.settle(NOW + 2 * DAY)
    assert world.where() == [("completed", "end")] * 3
    assert world.messages() == [(lead, "ready", None) for lead in world.leads]
    assert world.ports(world.leads[0]) == [("s1", "out"), ("s2", "out"), ("end", "end")]


def test_rule_15_entered_is_the_sum_of_states_and_a_second_tick_does_nothing(database: Database) -> None:
    world = World(database, factories.flow(MAIL, WAIT), count=20)
    world.enter()
    again = world.settle(NOW)
    assert (again.events, again.moved) == (0, 0)
    with database.read() as session:
        assert sum(factories.states(session).values()) == 20
    assert len(world.messages()) == 20


def test_rule_2_days_end_at_the_same_clock_time_where_the_lead_lives(database: Database) -> None:
    world = World(database, factories.flow(WAIT), count=1, zone="Europe/Zurich")
    before_spring = datetime.fromisoformat("2026-03-28T08:00+01:00")
    world.enter(before_spring)
    assert world.due() == [datetime.fromisoformat("2026-03-30T08:00+02:00")]


def test_rule_3_moving_house_while_waiting_derives_the_wait_again_and_mails_once(database: Database) -> None:
    window = {"kind": "wait_until", "settings": {"mode": "window", "weekdays": [2], "from_time": "09:00"}}
    world = World(database, factories.flow(window, MAIL), count=1, zone="Europe/Zurich")
    world.enter()
    with database.write() as session:
        updating.set_values(session, world.leads[0], {"zone": "America/New_York"}, at=NOW + HOUR)
    world.settle(NOW + HOUR)
    assert world.due() == [datetime.fromisoformat("2026-03-04T09:00-05:00")]
    world.settle(datetime.fromisoformat("2026-03-04T09:00-05:00"))
    assert len(world.messages()) == 1


@pytest.mark.parametrize(("setting", "end"), [("continue", 1), ("skip", 0), ("exit", 0)])
def test_rule_4_a_date_that_is_past_does_what_the_step_says(database: Database, setting: str, end: int) -> None:
    until = {"kind": "wait_until", "settings": {"mode": "date", "on_date": "2026-01-01", "if_past": setting}}
    world = World(database, factories.flow(until, MAIL), count=1)
    world.enter()
    assert len(world.messages()) == end
    assert world.where()[0][0] == ("exited" if setting == "exit" else "completed")


def test_rule_4_an_empty_field_has_its_own_way_out_and_a_change_derives_again(database: Database) -> None:
    until = {
        "kind": "wait_until",
        "settings": {"mode": "field", "field": "renewal", "offset_days": -7},
        "next": {"out": "s2", "empty": "end"},
    }
    with database.write() as session:
        factories.field(session, "renewal", "date")
    world = World(database, factories.flow(until, MAIL), count=2)
    with database.write() as session:
        updating.set_values(session, world.leads[1], {"renewal": "2026-04-10"}, at=NOW)
    world.enter()
    assert [state for state, _ in world.where()] == ["completed", "active"]
    assert world.ports(world.leads[0])[0] == ("s1", "empty")
    assert world.due()[1] == datetime.fromisoformat("2026-04-03T09:00+00:00")
    with database.write() as session:
        updating.set_values(session, world.leads[1], {"renewal": "2026-05-10"}, at=NOW + DAY)
    world.settle(NOW + DAY)
    assert world.due()[1] == datetime.fromisoformat("2026-05-03T09:00+00:00")


CLICK = {
    "kind": "wait_for_event",
    "settings": {"event": "email_clicked", "subject": "welcome", "patience": 3},
    "next": {"happened": "s2", "timeout": "end"},
}


def test_rule_6_the_event_moves_the_lead_on_at_once(database: Database) -> None:
    world = World(database, factories.flow(CLICK, MAIL))
    world.enter()
    world.does(world.leads[1], "email_clicked", "welcome", NOW + HOUR)
    world.does(world.leads[2], "email_clicked", "another", NOW + HOUR)
    world.settle(NOW + 2 * HOUR)
    assert [state for state, _ in world.where()] == ["active", "completed", "active"]
    assert [lead for lead, *_ in world.messages()] == [world.leads[1]]


def test_rule_6_event_time_decides_when_event_and_timeout_fall_in_one_tick(database: Database) -> None:
    world = World(database, factories.flow(CLICK, MAIL), count=2)
    world.enter()
    world.does(world.leads[0], "email_clicked", "welcome", NOW + 3 * DAY - MINUTE)
    world.does(world.leads[1], "email_clicked", "welcome", NOW + 3 * DAY + MINUTE)
    world.settle(NOW + 5 * DAY)
    assert [world.ports(lead)[0] for lead in world.leads] == [("s1", "happened"), ("s1", "timeout")]


@pytest.mark.parametrize(("look_back", "ports"), [("arrival", []), ("ever", [("s1", "happened")])])
def test_rule_6_what_happened_before_the_lead_came_counts_only_where_that_was_chosen(
    database: Database, look_back: str, ports: list[tuple[str, str]]
) -> None:
    click = {**CLICK, "settings": {**CLICK["settings"], "look_back": look_back}}
    world = World(database, factories.flow(click, MAIL), count=1)
    world.does(world.leads[0], "email_clicked", "welcome", NOW - DAY)
    world.enter()
    assert world.ports(world.leads[0])[:1] == ports


def test_rule_6_a_machine_that_clicks_is_not_the_lead(database: Database) -> None:
    world = World(database, factories.flow(CLICK, MAIL), count=1)
    world.enter()
    world.does(world.leads[0], "email_clicked", "welcome", NOW + HOUR, agent="machine")
    world.settle(NOW + HOUR)
    assert world.where() == [("active", "s1")]


def test_rule_7_chance_is_sticky_and_the_same_in_python_and_sql(database: Database) -> None:
    shares = [{"port": "a", "percent": 30}, {"port": "b", "percent": 70}]
    flow = factories.flow({"kind": "split", "settings": {"shares": shares}, "next": {"a": "end", "b": "end"}})
    world = World(database, flow, count=400)
    world.enter()
    taken = {lead: world.ports(lead)[0][1] for lead in world.leads[:50]}
    assert taken == {lead: "a" if chance.draw(lead, "nurture", "s1") < 3000 else "b" for lead in world.leads[:50]}
    with database.read() as session:
        a = session.scalar(sa.select(sa.func.count()).select_from(Decision).where(Decision.port == "a"))
    assert 80 <= (a or 0) <= 160


def test_rule_8_the_entry_instant_is_the_events_own_and_later_arrivals_are_the_ticks(database: Database) -> None:
    flow = factories.flow(WAIT, WAIT, triggers=[{"id": "t1", "kind": "event_seen", "settings": {"event": "custom"}}])
    world = World(database, flow, count=1)
    world.does(world.leads[0], "custom", "demo", NOW + HOUR)
    world.settle(NOW + 5 * HOUR)
    assert world.due() == [NOW + HOUR + 2 * DAY]
    world.settle(NOW + 7 * DAY)  # late: the next wait counts from here, nothing floods
    assert world.due() == [NOW + 9 * DAY]


def test_rule_9_the_first_arm_that_matches_wins_and_there_is_always_an_else(database: Database) -> None:
    decide = split_on(("gold", TAGGED), ("all", {}), **{"gold": "end", "all": "end", "else": "end"})
    decide["settings"]["arms"][1]["rule"] = {"rule": "tag", "tag": "hot"}
    world = World(database, factories.flow(decide))
    world.tag(world.leads[0], NOW)
    world.tag(world.leads[0], NOW, "hot")
    world.tag(world.leads[1], NOW, "hot")
    world.enter()
    assert [world.ports(lead)[0][1] for lead in world.leads] == ["gold", "all", "else"]


def test_rule_9_the_journal_keeps_what_the_decision_saw(database: Database) -> None:
    rule = {"rule": "score", "dimension": "total", "op": "at_least", "value": 50}
    world = World(database, factories.flow(split_on(("a", rule), **{"a": "end", "else": "end"})), count=1)
    world.enter()
    with database.read() as session:
        why = session.scalar(sa.select(Decision.why).where(Decision.step == "s1"))
    assert why is not None
    assert list(why["seen"].values()) == [0]


GOAL = {"id": "goal", "kind": "goal", "settings": {"rule": TAGGED, "then": "end"}, "next": {}}


def test_rule_10_a_goal_pulls_leads_forward_from_anywhere_once(database: Database) -> None:
    flow = factories.flow(WAIT, MAIL)
    flow["steps"].append(GOAL)
    world = World(database, flow, count=2)
    world.enter()
    world.tag(world.leads[0], NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [state for state, _ in world.where()] == ["converted", "active"]
    assert world.ports(world.leads[0]) == [("s1", "goal"), ("goal", "end")]
    world.settle(NOW + 3 * DAY)
    assert [lead for lead, *_ in world.messages()] == [world.leads[1]]


def test_rule_10_an_exit_holds_wherever_the_lead_stands_and_withdraws_its_unsent_mail(database: Database) -> None:
    world = World(database, factories.flow(MAIL, WAIT, exits=[{"rule": TAGGED, "reason": "is a customer"}]), count=2)
    world.enter()
    world.tag(world.leads[1], NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [state for state, _ in world.where()] == ["active", "exited"]
    assert [state for _, state, _ in world.messages()] == ["ready", "cancelled"]


@pytest.mark.parametrize(("mode", "state"), [("stay", "active"), ("exit", "exited"), ("either", "exited")])
def test_rule_11_leaving_the_audience_ends_the_passage_only_where_that_was_chosen(
    database: Database, mode: str, state: str
) -> None:
    world = World(database, factories.flow(WAIT, audience={"none": [TAGGED]}, audience_mode=mode), count=2)
    world.enter()
    world.tag(world.leads[0], NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [found for found, _ in world.where()] == [state, "active"]


def test_rule_12_who_is_not_in_the_audience_does_not_come_in(database: Database) -> None:
    world = World(database, factories.flow(WAIT, audience=TAGGED))
    world.tag(world.leads[1], NOW)
    world.enter()
    with database.read() as session:
        assert list(session.scalars(sa.select(Enrollment.lead_id))) == [world.leads[1]]


@pytest.mark.parametrize(("mode", "passages"), [("never", 1), ("after_exit", 2), ("after_days", 1)])
def test_rule_13_who_may_come_again(database: Database, mode: str, passages: int) -> None:
    flow = factories.flow(MAIL, re_entry={"mode": mode, "days": 30})
    world = World(database, flow, count=1)
    world.enter()
    world.enter(NOW + DAY)
    assert len(world.where()) == passages
    world.enter(NOW + 40 * DAY)
    assert len(world.where()) == {"never": 1, "after_exit": 3, "after_days": 2}[mode]


def test_rule_14_a_loop_without_a_wait_cannot_be_published() -> None:
    flow = factories.flow({"kind": "add_tag", "settings": {"tag": "hot"}, "next": {"out": "s2"}}, MAIL)
    flow["steps"][1]["next"] = {"out": "s1"}
    read, problems = graph.read(flow)
    assert read is None
    assert any("wait" in problem.sentence for problem in problems)


@pytest.mark.parametrize(
    ("settings", "holds"),
    [
        ({"from_time": "09:00"}, True),
        ({"from_time": "09:00", "to_time": "17:00"}, False),
        ({"mode": "date", "on_date": "2026-04-01"}, False),
    ],
)
def test_rule_14_a_loop_needs_a_wait_that_holds_a_lead_each_time_it_comes_round(
    settings: dict[str, Any], holds: bool
) -> None:
    until = {"kind": "wait_until", "settings": settings}
    repeat = {"kind": "repeat", "next": {"again": "s1", "done": "end"}}
    read, problems = graph.read(factories.flow(until, repeat))
    assert (read is not None, problems == []) == (holds, holds)
    assert graph.read(factories.flow(until, WAIT, {**repeat}))[1] == []


def test_rule_14_paths_join_and_a_loop_with_a_wait_goes_round(database: Database) -> None:
    flow = factories.flow(WAIT, split_on(("done", TAGGED), **{"done": "end", "else": "s1"}))
    world = World(database, flow, count=1)
    world.enter()
    for day in (2, 4, 6):
        world.settle(NOW + day * DAY)
    assert world.where() == [("active", "s1")]
    world.tag(world.leads[0], NOW + 7 * DAY)
    world.settle(NOW + 8 * DAY)
    assert world.where() == [("completed", "end")]


def test_rule_14_a_lead_that_runs_in_circles_is_parked_with_a_reason(database: Database) -> None:
    flow = factories.flow({"kind": "add_tag", "settings": {"tag": "hot"}, "next": {"out": "s2"}}, MAIL)
    flow["steps"][1] |= {"kind": "remove_tag", "settings": {"tag": "hot"}, "next": {"out": "s1"}}
    world = World(database, flow, count=1)
    world.enter()
    assert world.where()[0][0] == "failed"
    with database.read() as session:
        assert "100 steps" in (session.scalar(sa.select(Enrollment.reason)) or "")


def test_rule_19_not_sent_is_an_outcome_with_a_reason_and_a_way_out(database: Database) -> None:
    mail = {**MAIL, "next": {"out": "end", "not_sent": "s2"}}
    world = World(database, factories.flow(mail, {"kind": "add_tag", "settings": {"tag": "hot"}}), count=2)
    with database.write() as session:
        who = sa.select(Lead.id).where(Lead.id == world.leads[0])
        consenting.withdraw(session, who, "news", source="test", at=NOW)
    world.settle(NOW)
    world.enter()
    assert [(state, reason) for _, state, reason in world.messages()] == [("not_sent", "unsubscribed"), ("ready", None)]
    assert world.ports(world.leads[0])[0] == ("s1", "not_sent")
    assert world.ports(world.leads[1])[0] == ("s1", "out")


@pytest.mark.parametrize(("choice", "state"), [("exit", "exited"), ("stay", "active")])
@pytest.mark.parametrize("topic", ["news", None])
def test_rule_22_unsubscribing_mid_flow_cancels_mail_and_ends_or_stays(
    database: Database, choice: str, state: str, topic: str | None
) -> None:
    world = World(database, factories.flow(MAIL, WAIT, topic=topic, on_unsubscribe=choice), count=2)
    world.enter()
    with database.write() as session:
        who = sa.select(Lead.id).where(Lead.id == world.leads[0])
        consenting.withdraw(session, who, "news", source="test", at=NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [s for s, _ in world.where()] == [state, "active"]
    assert [s for _, s, _ in world.messages()] == ["cancelled", "ready"]


@pytest.mark.parametrize(
    ("topic", "purpose", "ends"),
    [(None, "marketing", True), ("deals", "marketing", False), (None, "operational", False)],
)
def test_rule_22_a_flow_without_a_topic_is_about_those_of_its_marketing_mails(
    database: Database, topic: str | None, purpose: str, ends: bool
) -> None:
    with database.write() as session:
        factories.topic(session, "deals")
        factories.topic(session, "weather")
    world = World(database, factories.flow(MAIL, WAIT, topic=topic), count=1)
    with database.write() as session:
        session.execute(sa.update(Mail).values(purpose=purpose))
    world.enter()
    for place, left in enumerate(["weather", "news"], 1):
        with database.write() as session:
            consenting.withdraw(session, sa.select(Lead.id), left, source="test", at=NOW + place * HOUR)
        world.settle(NOW + place * HOUR)
        assert world.where()[0][0] == ("exited" if ends and left == "news" else "active")


def test_a_paused_campaign_moves_nobody(database: Database) -> None:
    world = World(database, factories.flow(WAIT, MAIL), count=1)
    world.enter()
    with database.write() as session:
        session.execute(sa.update(Campaign).values(state="paused"))
    world.settle(NOW + 3 * DAY)
    assert world.where() == [("active", "s1")]


def test_a_campaign_can_send_leads_on_to_another(database: Database) -> None:
    world = World(database, factories.flow({"kind": "go_to_campaign", "settings": {"campaign": "second"}, "next": {}}))
    with database.write() as session:
        factories.campaign(session, factories.flow(WAIT), key="second")
    world.enter()
    assert world.where() == [("completed", "s1"), ("active", "s1")] * 3
