"""A split is fixed for each lead, changes as little as it must, and keeps its holdout apart."""

from __future__ import annotations

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
    assert type_.describe(settings, {}) == "90 / 10 holdout"
