"""A branch by field takes the path that lists the lead's value, as the type of the field compares it."""

from __future__ import annotations

from typing import Any

import pytest

from app.db import Database
from app.leads import updating
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import World


def by(field: str, *values: list[str]) -> dict[str, Any]:
    arms = [{"port": f"a{i}", "values": listed} for i, listed in enumerate(values)]
    return {
        "kind": "by_field",
        "settings": {"field": field, "arms": arms},
        "next": {"else": "end"} | {arm["port"]: "end" for arm in arms},
    }


CASES = [
    ("country", "", ["CH", "DE", ""], [["Switzerland", "at"], ["de"]], ["a0", "a1", "else"]),
    ("city", "", ["zürich", "Bern", "Basel"], [["ZÜRICH"], ["Zug", "bern"]], ["a0", "a1", "else"]),
    ("seats", "number", ["10", "10.5", ""], [["10.0"], ["many", "10.5"]], ["a0", "a1", "else"]),
    ("vip", "switch", ["yes", "no", ""], [["Yes"]], ["a0", "else", "else"]),
    ("renewal", "date", ["2026-04-01", "2026-04-02", ""], [["2026-04-02"]], ["else", "a0", "else"]),
    ("gone", "", ["", "", ""], [["x"]], ["else", "else", "else"]),
]


@pytest.mark.parametrize(("field", "kind", "has", "values", "ports"), CASES, ids=[case[0] for case in CASES])
def test_rule_9_each_lead_takes_the_path_of_its_value(
    database: Database, field: str, kind: str, has: list[str], values: list[list[str]], ports: list[str]
) -> None:
    if kind:
        with database.write() as session:
            factories.field(session, field, kind)
    world = World(database, factories.flow(by(field, *values)), count=3)
    with database.write() as session:
        for lead, value in zip(world.leads, has, strict=True):
            if value:
                updating.set_values(session, lead, {field: value}, at=NOW)
    world.enter()
    assert [world.ports(lead)[0][1] for lead in world.leads] == ports
