"""A loop with a counter ends, for each passage by its own count."""

from __future__ import annotations

from app.db import Database
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import DAY, WAIT, World


def test_rule_14_a_loop_goes_round_so_many_times_and_on(database: Database) -> None:
    repeat = {"kind": "repeat", "settings": {"times": 2}, "next": {"again": "s1", "done": "end"}}
    flow = factories.flow(WAIT, repeat, re_entry={"mode": "after_exit", "days": 1})
    world = World(database, flow, count=2)
    world.enter()
    for day in range(2, 20, 2):
        world.settle(NOW + day * DAY)
    once = [("s1", "out"), ("s2", "again")] * 2 + [("s1", "out"), ("s2", "done"), ("end", "end")]
    assert world.ports(world.leads[0]) == once
    world.enter(NOW + 30 * DAY)
    for day in range(32, 50, 2):
        world.settle(NOW + day * DAY)
    assert world.ports(world.leads[1]) == once * 2
