"""A split is fixed for each lead, changes as little as it must, and keeps its holdout apart."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

from app.db import Database
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import DAY, World


def split(*percents: float, **more: Any) -> dict[str, Any]:
    shares = [
        {"port": chr(97 + i), "percent": p, **(more if i == len(percents) - 1 else {})} for i, p in enumerate(percents)
    ]
    return {"kind": "split", "settings": {"shares": shares}, "next": {share["port"]: "end" for share in shares}}


def arms(database: Database, *percents: float, at: Any = NOW, count: int = 1000) -> list[str]:
    world = World(database, factories.flow(split(*percents)), count=count)
    world.enter(at)
    return [world.ports(lead)[0][1] for lead in world.leads]


def test_rule_7_changing_half_and_half_to_sixty_forty_moves_a_tenth(sqlite_database: Database) -> None:
    from app.engine import chance, shares
    from app.engine.shares import Share

    def arm(lead: int, *percents: float) -> int:
        drawn = chance.draw(lead, "nurture", "s1")
        ends = shares.borders([Share(port=chr(97 + i), percent=p) for i, p in enumerate(percents)])
        return next(i for i, end in enumerate(ends) if drawn < end)

    found = arms(sqlite_database, 50, 50, count=200)
    assert found == ["ab"[arm(lead, 50, 50)] for lead in range(1, 201)], "the same in Python"
    moved = Counter((arm(lead, 50, 50), arm(lead, 60, 40)) for lead in range(10_000))
    assert 900 <= moved[1, 0] <= 1_100
    assert moved[0, 1] == 0, "nobody moves the other way"


def test_rule_7_shares_are_what_they_say_at_every_step_and_each_step_divides_anew() -> None:
    """Two thousand leads in a row at sixty steps: as near to half as a coin comes, and so are those whom two steps pick."""
    from app.engine import chance

    leads = range(1, 2_001)
    halves = [{lead for lead in leads if chance.draw(lead, "nurture", f"s{step}") < 5_000} for step in range(60)]
    assert all(abs(len(half) - 1_000) < 100 for half in halves), "four and a half deviations"
    pairs = [len(one & other) for one, other in itertools.pairwise(halves)]
    assert all(abs(both - 500) < 90 for both in pairs)
    tenths = [sum(chance.draw(lead, "nurture", f"s{step}", "salt") >= 9_000 for lead in leads) for step in range(60)]
    assert all(abs(count - 200) < 60 for count in tenths)


def test_rule_7_who_comes_again_falls_on_the_same_side(database: Database) -> None:
    flow = factories.flow(split(30, 30, 40), re_entry={"mode": "after_exit", "days": 1})
    world = World(database, flow, count=30)
    world.enter()
    world.enter(NOW + DAY)
    for lead in world.leads:
        taken = [port for step, port in world.ports(lead) if step == "s1"]
        assert taken == [taken[0]] * 2


def test_a_holdout_is_a_share_that_is_called_so() -> None:
    from app.engine.catalog import STEPS
    from app.kinds import parse

    type_ = STEPS.load()["split"]
    settings, _ = parse(type_.settings, split(90, 10, is_holdout=True, name="Nobody")["settings"])
    assert [port.label for port in type_.ports(settings)] == ["a", "Nobody (holdout)"]
    settings, _ = parse(type_.settings, split(90, 10, is_holdout=True, name="The holdout")["settings"])
    assert [port.label for port in type_.ports(settings)] == ["a", "The holdout"], "not said twice"
    assert type_.describe(settings, {}) == "90 / 10 holdout"
