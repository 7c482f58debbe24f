"""A branch by score takes the highest band that is reached, or the path of the grade; the journal keeps what it saw."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.engine.models import Decision
from app.leads.models import Lead
from tests import factories
from tests.engine.test_flows import World

BANDS = [{"port": "mid", "at_least": 30}, {"port": "top", "at_least": 70}]  # in any order


@pytest.mark.parametrize(
    ("of", "values", "ports"),
    [
        ("total", {"score": [70, 69, 29]}, ["top", "mid", "below"]),
        ("fit", {"fit": [100, 30, -5]}, ["top", "mid", "below"]),
        ("fit_grade", {"fit_grade": ["A", "C", "D"]}, ["grade_a", "grade_c", "grade_d"]),
        ("interest_grade", {"interest_grade": [1, 2, 4]}, ["grade_1", "grade_2", "grade_4"]),
        ("temperature", {"temperature": ["hot", "warm", "cold"]}, ["grade_hot", "grade_warm", "grade_cold"]),
    ],
)
def test_rule_9_each_lead_takes_the_path_of_its_points(
    database: Database, of: str, values: dict[str, list[Any]], ports: list[str]
) -> None:
    from app.engine.catalog import STEPS
    from app.kinds import parse

    type_, given = STEPS.load()["by_score"], {"of": of, "bands": BANDS}
    ways = type_.ports(parse(type_.settings, given)[0])
    step = {"kind": "by_score", "settings": given, "next": {port.name: "end" for port in ways}}
    world = World(database, factories.flow(step), count=3)
    with database.write() as session:
        for column, listed in values.items():
            for lead, value in zip(world.leads, listed, strict=True):
                session.execute(sa.update(Lead).where(Lead.id == lead).values({column: value}))
    world.enter()
    assert [world.ports(lead)[0][1] for lead in world.leads] == ports
    with database.read() as session:
        why = session.scalar(sa.select(Decision.why).where(Decision.step == "s1", Decision.port == ports[0]))
    assert list(why["seen"].values()) == [next(iter(values.values()))[0]]  # type: ignore[index]
