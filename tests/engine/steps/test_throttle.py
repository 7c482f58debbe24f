"""A throttle lets through so many an hour, in the order of arrival, however many ticks there are and however late."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.engine.models import Decision, Enrollment, Turn
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import DAY, HOUR, MINUTE, World

THROTTLE: dict[str, Any] = {"kind": "throttle", "settings": {"per_hour": 60}}


def through(world: World) -> list[tuple[int, datetime]]:
    """(lead, when) of those who went through, in that order."""
    with world.database.read() as session:
        left = sa.select(Enrollment.lead_id, Decision.at).join(Enrollment, Enrollment.id == Decision.enrollment_id)
        left = left.where(Decision.step == "s1").order_by(Decision.at, Enrollment.lead_id)
        return [tuple(row) for row in session.execute(left)]


def enter(world: World, leads: list[int], at: datetime) -> None:
    with world.database.write() as session:
        factories.request(session, world.campaign, leads, at=at)
    world.settle(at)


def test_first_come_first_served_at_an_even_pace_over_many_ticks(database: Database) -> None:
    world = World(database, factories.flow(THROTTLE), count=30)
    enter(world, world.leads[15:], NOW)
    enter(world, world.leads[:15], NOW + MINUTE / 2)
    for minute in range(1, 31):
        world.settle(NOW + minute * MINUTE)
        assert len(through(world)) == min(minute + 1, 30)
    assert [lead for lead, _ in through(world)] == world.leads[15:] + world.leads[:15]


def test_after_a_late_tick_an_hours_worth_goes_at_once_and_the_turns_count_from_then(database: Database) -> None:
    world = World(database, factories.flow(THROTTLE), count=80)
    world.enter()
    world.settle(NOW + 4 * MINUTE)  # a little late: those whose turn it was
    assert len(through(world)) == 5
    world.settle(NOW + 3 * HOUR)  # very late: nothing floods
    assert len(through(world)) == 65
    for minute in range(1, 16):
        world.settle(NOW + 3 * HOUR + minute * MINUTE)
        assert len(through(world)) == 65 + minute
    assert [lead for lead, _ in through(world)] == world.leads


@pytest.mark.parametrize("hours", [1, 4])
def test_in_a_slow_rhythm_of_ticks_each_lets_an_hours_worth_through(database: Database, hours: int) -> None:
    world = World(database, factories.flow({**THROTTLE, "settings": {"per_hour": 6}}), count=16)
    world.enter()
    counts = [len(through(world))]
    for number in range(1, 4):
        world.settle(NOW + number * hours * HOUR)
        counts.append(len(through(world)))
    assert counts == [1, 7, 13, 16]


def test_who_comes_to_an_idle_throttle_goes_on_at_once_and_turns_long_past_are_forgotten(database: Database) -> None:
    world = World(database, factories.flow(THROTTLE), count=3)
    enter(world, world.leads[:1], NOW)
    enter(world, world.leads[1:2], NOW + MINUTE)
    enter(world, world.leads[2:], NOW + 2 * DAY)
    assert [at for _, at in through(world)] == [NOW, NOW + MINUTE, NOW + 2 * DAY]
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Turn)) == 1


def test_one_an_hour_is_one_an_hour(database: Database) -> None:
    world = World(database, factories.flow({**THROTTLE, "settings": {"per_hour": 1}}), count=3)
    world.enter()
    assert world.due() == [None, NOW + HOUR, NOW + 2 * HOUR]


def test_a_zone_that_changes_meanwhile_moves_nobody_forward(database: Database) -> None:
    from app.leads import updating

    world = World(database, factories.flow(THROTTLE), count=3)
    world.enter()
    with database.write() as session:
        updating.set_values(session, world.leads[2], {"zone": "Asia/Tokyo"}, at=NOW)
    world.settle(NOW)
    assert len(through(world)) == 1
    assert world.due()[2] == NOW + 2 * MINUTE


def test_two_engines_on_postgresql_give_no_turn_twice(database_on_postgresql: Database) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from app.engine.ticking import tick

    world = World(database_on_postgresql, factories.flow(THROTTLE), count=200)
    with world.database.write() as session:
        factories.request(session, world.campaign, world.leads)

    def work(engine: int) -> None:
        for second in range(3):
            tick(
                world.database,
                NOW + timedelta(seconds=6 * second),
                batch=20,
                confirm=lambda _: range(engine * 32, engine * 32 + 32),
            )

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, engine) for engine in range(2)]:
            done.result()
    world.settle(NOW + timedelta(minutes=1))
    with world.database.read() as session:
        turns = list(session.scalars(sa.select(Turn.at).order_by(Turn.at)))
    assert len(turns) == len(set(turns)) == 200
    assert all(b - a >= MINUTE for a, b in pairwise(turns))
