"""What must not go wrong when rules break, people are merged, dates are odd, or two things fall together."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.engine import entering, versions
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.engine.ticking import tick
from app.leads import updating
from app.outbox import Message
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import DAY, GOAL, HOUR, MAIL, TAGGED, WAIT, World


def states_of_mail(world: World) -> list[str]:
    return [state for _, state, _ in world.messages()]


@pytest.mark.parametrize("outcome", ["completed", "converted", "exited"])
def test_rule_18_a_mail_before_the_end_of_its_path_leaves_whatever_the_end_is_called(
    database: Database, outcome: str
) -> None:
    flow = factories.flow(MAIL)
    flow["steps"][-1]["settings"] = {"outcome": outcome}
    world = World(database, flow, count=1)
    world.enter()
    assert world.where() == [(outcome, "end")]
    assert states_of_mail(world) == ["ready"]


def test_rule_22_a_mail_that_a_sender_holds_but_has_not_begun_is_withdrawn_too(database: Database) -> None:
    world = World(database, factories.flow(MAIL, WAIT, exits=[{"rule": TAGGED, "reason": "is a customer"}]), count=1)
    world.enter()
    with database.write() as session:
        session.execute(sa.update(Message).values(state="claimed", claimed_by="a sender", lease_until=NOW + DAY))
    world.tag(world.leads[0], NOW + HOUR)
    world.settle(NOW + HOUR)
    assert states_of_mail(world) == ["cancelled"]


def test_rule_10_a_goal_that_was_missed_once_can_still_be_reached(database: Database) -> None:
    goal = {"id": "s1", "kind": "goal", "settings": {"rule": TAGGED, "otherwise": "go_on"}, "next": {"missed": "s2"}}
    world = World(database, factories.flow(goal, WAIT), count=2)
    world.enter()
    assert world.where() == [("active", "s2")] * 2
    world.tag(world.leads[0], NOW + HOUR)
    world.settle(NOW + HOUR)
    assert [state for state, _ in world.where()] == ["converted", "active"]


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "1961-05-03"])
def test_rule_4_a_date_that_is_very_far_away_stops_nobody(database: Database, day: str) -> None:
    until = {
        "kind": "wait_until",
        "settings": {"mode": "field", "field": "renewal", "offset_days": 30, "from_time": "23:30"},
        "next": {"out": "s2", "empty": "end"},
    }
    with database.write() as session:
        factories.field(session, "renewal", "date")
    world = World(database, factories.flow(until, WAIT), count=2, zone="America/New_York")
    with database.write() as session:
        updating.set_values(session, world.leads[0], {"renewal": day}, at=NOW)
    world.enter()
    assert world.where() == [("active", "s1" if day > "2026" else "s2"), ("completed", "end")]


def test_rule_13_publishing_again_lets_those_who_match_already_come_again(database: Database) -> None:
    trigger = {"id": "t1", "kind": "score_reached", "already": True, "settings": {"points": 0}}
    flow = factories.flow(MAIL, triggers=[trigger], re_entry={"mode": "after_exit"})
    world = World(database, flow, count=1)
    for number in (2, 3):
        with database.write() as session:
            version = Version(campaign_id=world.campaign.id, number=number, flow=flow, published_at=NOW)
            session.add(version)
            session.flush()
            session.execute(sa.update(Campaign).values(version_id=version.id))
            entering.enter_matching(session, versions.get(session, version.id), now=NOW + number * DAY)
        world.settle(NOW + number * DAY)
    assert world.where() == [("completed", "end")] * 2


def test_two_campaigns_that_send_leads_to_each_other_do_so_once_a_tick(database: Database) -> None:
    def to(campaign: str) -> dict[str, Any]:
        step = {"kind": "go_to_campaign", "settings": {"campaign": campaign}, "next": {}}
        return factories.flow(step, re_entry={"mode": "after_exit"})

    world = World(database, to("second"), count=1)
    with database.write() as session:
        factories.campaign(session, to("nurture"), key="second")
    world.enter()
    assert world.where() == [("completed", "s1")] * 2
