"""What the reference found the engine to do otherwise than SEMANTICS says, each as the story that showed it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.campaigns import pausing
from app.db import Database
from app.leads import merging
from app.leads.models import Lead
from app.mail import leasing
from app.preferences import consenting, limiting
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import CLICK, DAY, HOUR, MAIL, MINUTE, TAGGED, WAIT, World, split_on

BOUGHT = {"rule": "tag", "tag": "hot"}
BY_VISIT = [{"id": "t1", "kind": "event_seen", "settings": {"event": "page_viewed", "subject": "/pricing"}}]


def goal(name: str, rule: dict[str, Any], then: str = "go_on", following: str = "end") -> dict[str, Any]:
    settings = {"rule": rule, "then": then}
    return {"id": name, "kind": "goal", "settings": settings, "next": {"reached": following} if then == "go_on" else {}}


@pytest.mark.parametrize(
    ("mode", "state"), [("stay", "completed"), ("exit_on_goal", "converted"), ("either", "converted")]
)
def test_rule_11_where_leads_leave_at_the_goal_no_goal_lets_them_go_on(
    database: Database, mode: str, state: str
) -> None:
    flow = factories.flow(WAIT, audience_mode=mode)
    flow["steps"].append(goal("goal", TAGGED))
    world = World(database, flow, count=1)
    world.enter()
    world.tag(world.leads[0], NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [found for found, _ in world.where()] == [state]


def test_rule_22_who_unsubscribed_before_it_came_in_has_not_done_so_inside(database: Database) -> None:
    world = World(database, factories.flow(WAIT, topic="news"), count=1)
    who = sa.select(Lead.id).where(Lead.id == world.leads[0])
    with database.write() as session:
        consenting.withdraw(session, who, "news", source="test", at=NOW + HOUR)
    world.enter(NOW + 2 * HOUR)
    assert world.where() == [("active", "s1")]


def test_rule_10_two_goals_reached_at_once_are_counted_one_after_the_other(database: Database) -> None:
    flow = factories.flow(WAIT, MAIL)
    flow["steps"] += [goal("qualified", TAGGED, following="s2"), goal("bought", BOUGHT, then="end")]
    world = World(database, flow, count=1)
    world.enter()
    world.tag(world.leads[0], NOW + HOUR)
    world.tag(world.leads[0], NOW + HOUR, "hot")
    world.settle(NOW + HOUR)
    assert world.ports(world.leads[0]) == [("s1", "goal"), ("qualified", "reached"), ("s2", "goal"), ("bought", "end")]


@pytest.mark.parametrize("look_back", ["arrival", "entry"])
def test_rule_6_what_let_the_lead_in_is_no_answer_to_its_first_wait(database: Database, look_back: str) -> None:
    again = {"event": "page_viewed", "subject": "/pricing", "patience": 3, "look_back": look_back}
    world = World(database, factories.flow({**CLICK, "settings": again}, MAIL, triggers=BY_VISIT), count=1)
    world.does(world.leads[0], "page_viewed", "/pricing", NOW + HOUR)
    world.settle(NOW + HOUR)
    assert world.where() == [("active", "s1")]
    world.does(world.leads[0], "page_viewed", "/pricing", NOW + HOUR + MINUTE)
    world.settle(NOW + 2 * HOUR)
    assert world.ports(world.leads[0])[0] == ("s1", "happened")


def test_rule_10_what_let_the_lead_in_does_not_reach_a_goal_since_entry(database: Database) -> None:
    flow = factories.flow(WAIT, triggers=BY_VISIT)
    flow["steps"].append(goal("goal", {"rule": "visited", "path": "/pricing", "when": "entry"}, then="end"))
    world = World(database, flow, count=1)
    for time in (NOW + HOUR, NOW + 2 * HOUR):
        world.does(world.leads[0], "page_viewed", "/pricing", time)
        world.settle(time)
    assert world.ports(world.leads[0]) == [("s1", "goal"), ("goal", "end")]
    assert world.where() == [("converted", "goal")]


@pytest.mark.parametrize(("path", "is_it"), [("/pricing/plans", True), ("/Pricing/plans", False), ("/prici%", False)])
def test_rule_6_letters_of_an_awaited_path_count_alike_on_both_databases(
    database: Database, path: str, is_it: bool
) -> None:
    visit = {**CLICK, "settings": {"event": "page_viewed", "subject": "/pricing*", "patience": 3}}
    world = World(database, factories.flow(visit, MAIL), count=1)
    world.enter()
    world.does(world.leads[0], "page_viewed", path, NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [state for state, _ in world.where()] == ["completed" if is_it else "active"]


def test_rule_9_what_lies_in_the_future_has_not_happened_yet(database: Database) -> None:
    """A page whose clock is ahead, or a file with dates to come."""
    visited = {"rule": "visited", "path": "/pricing"}
    world = World(database, factories.flow(split_on(("yes", visited), **{"yes": "end", "else": "end"})), count=1)
    world.does(world.leads[0], "page_viewed", "/pricing", NOW + DAY)
    world.enter()
    assert world.ports(world.leads[0])[0] == ("s1", "else")


@pytest.mark.parametrize("learnt", ["during the pause", "after it"])
def test_rule_25_the_clock_of_a_pause_stands_still_for_those_who_came_in_during_it_too(
    database: Database, learnt: str
) -> None:
    world = World(database, factories.flow(WAIT), count=1)
    with database.write() as session:
        pausing.pause(session, world.campaign.id, at=NOW)
    if learnt == "during the pause":
        world.enter(NOW + HOUR)
    with database.write() as session:
        pausing.resume(session, world.campaign.id, at=NOW + 5 * DAY)
    if learnt == "after it":
        with database.write() as session:
            factories.request(session, world.campaign, world.leads, at=NOW + HOUR)
    world.settle(NOW + 5 * DAY)
    assert world.due() == [NOW + 7 * DAY]


def test_rule_27_what_the_other_record_did_ends_a_wait_as_soon_as_the_two_are_one(database: Database) -> None:
    awaited = {**CLICK, "settings": {**CLICK["settings"], "look_back": "entry"}}
    world = World(database, factories.flow(awaited, MAIL), count=2)
    with database.write() as session:
        factories.request(session, world.campaign, world.leads[:1])
    world.settle(NOW)
    world.does(world.leads[1], "email_clicked", "welcome", NOW + HOUR)
    world.settle(NOW + HOUR)
    with database.write() as session:
        merging.merge(session, world.leads[0], world.leads[1], user_id=None, at=NOW + 2 * HOUR)
    world.settle(NOW + 2 * HOUR)
    assert world.ports(world.leads[0])[0] == ("s1", "happened")


def test_rule_27_a_mail_one_record_is_still_owed_does_not_go_to_the_other_again(database: Database) -> None:
    world = World(database, factories.flow(WAIT, MAIL), count=2)
    one, other = world.leads
    with database.write() as session:
        factories.request(session, world.campaign, [other])
    world.settle(NOW)
    world.settle(NOW + 2 * DAY)
    with database.write() as session:
        factories.request(session, world.campaign, [one], at=NOW + 2 * DAY)
    world.settle(NOW + 2 * DAY)
    with database.write() as session:
        merging.merge(session, one, other, user_id=None, at=NOW + 3 * DAY)
    world.settle(NOW + 9 * DAY)
    assert sorted(world.messages()) == [(one, "not_sent", "duplicate"), (one, "ready", None)]


OFFER = {"kind": "send_email", "settings": {"mail": "offer"}}


def limited(database: Database, flow: dict[str, Any], *caps: tuple[int, str | None]) -> World:
    """One lead who agreed to both topics, and so many mails in seven days, of all or of one topic."""
    world = World(database, flow, count=1)
    with database.write() as session:
        factories.topic(session, "deals")
        factories.mail(session, "offer", "deals")
        consenting.give(session, sa.select(Lead.id), "deals", source="test", at=NOW)
        for most, topic in caps:
            limiting.add_cap(session, most=most, period="days", days=7, topic_key=topic, at=NOW)
    return world


def claimed(database: Database, at: datetime) -> int:
    with database.write() as session:
        return len(leasing.claim(session, now=at, limit=10, worker="w"))


def test_rule_20_a_mail_that_is_cancelled_gives_its_slot_to_the_one_that_waited(database: Database) -> None:
    """The lead leaves the topic of the mail that had the slot."""
    world = limited(database, factories.flow(MAIL, OFFER), (1, None))
    world.enter()
    assert [reason for *_, reason in world.messages()] == [None, "frequency_cap"]
    with database.write() as session:
        consenting.withdraw(session, sa.select(Lead.id), "news", source="test", at=NOW + HOUR)
    assert claimed(database, NOW + HOUR) == 1
    assert [state for _, state, _ in world.messages()] == ["cancelled", "claimed"]


def test_rule_20_a_mail_that_got_stale_gives_its_slot_to_the_one_that_waited(database: Database) -> None:
    world = limited(database, factories.flow(MAIL, WAIT, OFFER), (1, None))
    world.enter()
    world.settle(NOW + 2 * DAY)
    assert [reason for *_, reason in world.messages()] == [None, "frequency_cap"]
    assert [claimed(database, NOW + 4 * DAY) for _ in range(2)] == [0, 1]
    assert [state for _, state, _ in world.messages()] == ["not_sent", "claimed"]


def test_rule_20_a_mail_that_must_wait_itself_keeps_no_other_from_its_slot(database: Database) -> None:
    """Two of one topic, of which one may leave, and a third that was lost for want of a slot that nobody took."""
    skips = {"kind": "send_email", "settings": {"mail": "offer", "over_cap": "skip"}}
    world = limited(database, factories.flow(skips, priority=5), (1, "news"), (2, None))
    world.enter()
    for priority in (3, 2):
        with database.write() as session:
            made = factories.campaign(session, factories.flow(MAIL, priority=priority), key=f"p{priority}")
            factories.request(session, made, world.leads)
        world.settle(NOW)
    assert [state for _, state, _ in world.messages()] == ["ready"] * 3
    assert [claimed(database, NOW + MINUTE) for _ in range(2)] == [1, 1]
    assert [state for _, state, _ in world.messages()] == ["claimed", "held", "claimed"]
