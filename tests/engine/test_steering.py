"""SEMANTICS 26: one lead is paused, goes on, is moved or taken out by hand, with a reason that stays in its story."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.campaigns import pausing
from app.db import Database
from app.engine import explaining, steering
from app.engine.models import Decision, Enrollment
from app.tracking.models import Event
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import CLICK, GOAL, MAIL, WAIT, World

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
BY: dict[str, Any] = {"reason": "asked for a break", "by": "Ana"}


def steer(world: World, act: Any, lead: int, *more: str, at: Any) -> int:
    with world.database.write() as session:
        return int(act(session, world.campaign.id, world.leads[lead], *more, at=at, **BY))


def test_rule_26_a_paused_lead_stands_still_and_its_wait_ends_later_by_as_long(database: Database) -> None:
    world = World(database, factories.flow(WAIT, MAIL), count=2)
    world.enter()
    steer(world, steering.pause, 0, at=NOW + DAY)
    world.settle(NOW + 3 * DAY)
    assert world.where() == [("active", "s1"), ("completed", "end")]
    steer(world, steering.resume, 0, at=NOW + 4 * DAY)
    world.settle(NOW + 4 * DAY)
    assert world.due()[0] == NOW + 5 * DAY
    world.settle(NOW + 5 * DAY)
    assert [lead for lead, *_ in world.messages()] == world.leads


def test_rule_26_what_a_paused_lead_does_moves_it_on_only_afterwards(database: Database) -> None:
    world = World(database, factories.flow(CLICK, MAIL), count=1)
    world.enter()
    steer(world, steering.pause, 0, at=NOW + HOUR)
    world.does(world.leads[0], "email_clicked", "welcome", NOW + 2 * HOUR)
    world.settle(NOW + 3 * HOUR)
    assert world.where() == [("active", "s1")]
    steer(world, steering.resume, 0, at=NOW + 4 * HOUR)
    world.settle(NOW + 4 * HOUR)
    assert world.ports(world.leads[0])[0] == ("s1", "happened")


def test_rule_26_what_a_paused_lead_did_is_not_lost_when_it_goes_on_while_its_campaign_is_paused(
    database: Database,
) -> None:
    world = World(database, factories.flow(CLICK, MAIL), count=1)
    world.enter()
    steer(world, steering.pause, 0, at=NOW + HOUR)
    world.does(world.leads[0], "email_clicked", "welcome", NOW + 2 * HOUR)
    world.settle(NOW + 3 * HOUR)
    with database.write() as session:
        pausing.pause(session, world.campaign.id, at=NOW + 4 * HOUR)
    steer(world, steering.resume, 0, at=NOW + 5 * HOUR)
    with database.write() as session:
        pausing.resume(session, world.campaign.id, at=NOW + 6 * HOUR)
    world.settle(NOW + 6 * HOUR)
    assert world.ports(world.leads[0])[:1] == [("s1", "happened")]


def test_rule_26_goals_and_exits_hold_for_a_paused_lead(database: Database) -> None:
    flow = factories.flow(WAIT, MAIL, exits=[{"rule": {"rule": "tag", "tag": "hot"}, "reason": "is hot"}])
    flow["steps"].append(GOAL)
    world = World(database, flow, count=2)
    world.enter()
    for lead in (0, 1):
        steer(world, steering.pause, lead, at=NOW + HOUR)
    world.tag(world.leads[0], NOW + 2 * HOUR)
    world.tag(world.leads[1], NOW + 2 * HOUR, "hot")
    world.settle(NOW + 2 * HOUR)
    assert [state for state, _ in world.where()] == ["converted", "exited"]


def test_rule_26_a_lead_is_put_at_another_step_and_the_journal_says_by_whom_and_why(database: Database) -> None:
    world = World(database, factories.flow(WAIT, MAIL, WAIT), count=2)
    world.enter()
    assert steer(world, steering.move, 0, "s2", at=NOW + HOUR) == 1
    world.settle(NOW + HOUR)
    assert world.where() == [("active", "s3"), ("active", "s1")]
    assert world.ports(world.leads[0]) == [("s1", "moved"), ("s2", "out")]
    with database.read() as session:
        told = explaining.why(session, world.leads[0], world.campaign.id)[0].lines[0].sentence
        event = session.execute(sa.select(Event.subject, Event.props).where(Event.kind == "passage_moved")).one()
    assert "by Ana: asked for a break" in told
    assert (event.subject, event.props) == ("nurture", {"reason": "asked for a break", "by": "Ana", "step": "s2"})


def test_rule_26_a_lead_is_taken_out_with_the_mail_it_was_owed(database: Database) -> None:
    world = World(database, factories.flow(MAIL, WAIT), count=2)
    world.enter()
    steer(world, steering.remove, 1, at=NOW + HOUR)
    world.settle(NOW + 3 * DAY)
    assert world.where()[1] == ("exited", "s2")
    assert [state for _, state, _ in world.messages()] == ["ready", "cancelled"]
    with database.read() as session:
        why = session.scalar(sa.select(Decision.why).where(Decision.step == "s2", Decision.port == "end"))
        kinds = set(session.scalars(sa.select(Event.kind).where(Event.kind.startswith("passage"))))
        assert session.scalar(sa.select(Enrollment.reason).where(Enrollment.state == "exited")) == "taken out by hand"
    assert why == {"note": "taken out by Ana: asked for a break"}
    assert kinds == {"passage_removed"}


def test_rule_26_what_cannot_be_done_is_one_sentence_and_changes_nothing(database: Database) -> None:
    world = World(database, factories.flow(WAIT, MAIL), count=1)
    with pytest.raises(steering.CannotSteer, match="not in this campaign"):
        steer(world, steering.pause, 0, at=NOW)
    world.enter()
    with pytest.raises(steering.CannotSteer, match="no step nowhere"):
        steer(world, steering.move, 0, "nowhere", at=NOW)
    with pytest.raises(steering.CannotSteer, match="not paused"):
        steer(world, steering.resume, 0, at=NOW)
    with pytest.raises(steering.CannotSteer, match="Say why"), database.write() as session:
        steering.pause(session, world.campaign.id, world.leads[0], reason=" ", by="Ana", at=NOW)
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).where(Event.kind.startswith("passage"))) == 0
