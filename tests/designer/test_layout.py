"""However a flow is drawn, also with branches folded: no cards overlap, no path runs through a card, declared order is kept."""

from __future__ import annotations

from typing import Any

import pytest

from tests.designer.conftest import Run


def flow(**nexts: Any) -> dict[str, Any]:
    steps = [{"id": id_, "kind": "wait", "settings": {}, "next": next_} for id_, next_ in nexts.items()]
    return {"start": next(iter(nexts)), "triggers": [{"id": "t1"}], "steps": steps}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_900_random_flows_have_no_overlap_and_no_path_through_a_card_also_when_folded(run: Run) -> None:
    found = run("faults", 300)

    assert found["flows"] == 900
    assert found["faulty"] == 0, found["faults"]
    assert found["turned"] <= found["pairs"] / 100  # only where paths have to cross


def test_arms_stand_from_left_to_right_in_declared_order(run: Run) -> None:
    places = run("places", flow(a={"one": "b", "two": "c", "three": "d"}, d={}, c={}, b={}), ["t1"])

    assert places["b"]["x"] < places["c"]["x"] < places["d"]["x"]


def test_an_arm_without_steps_keeps_a_lane_beside_its_siblings(run: Run) -> None:
    places = run("places", flow(a={"yes": "b", "no": "c"}, b={"out": "c"}, c={}), ["t1"])

    assert places["a"]["y"] < places["b"]["y"] < places["c"]["y"]


def test_cards_stand_right_under_what_leads_to_them(run: Run) -> None:
    nexts = {
        "a": {"yes": "b", "no": "e"},
        "b": {"out": "c"},
        "c": {"out": "d"},
        "d": {"out": "f"},
        "e": {"out": "f"},
        "f": {},
    }
    places = run("places", flow(**nexts), ["t1"])

    assert places["e"]["y"] == places["b"]["y"]


def test_a_path_back_is_a_loop_and_does_not_turn_the_flow_around(run: Run) -> None:
    given = flow(a={"out": "b"}, b={"again": "a", "on": "c"}, c={})

    assert run("loops", given) == ["b:again"]
    places = run("places", given, ["t1"])
    assert places["t1"]["y"] < places["a"]["y"] < places["b"]["y"] < places["c"]["y"]


def test_triggers_stand_side_by_side_above_the_first_step(run: Run) -> None:
    places = run("places", flow(a={}), ["t1", "t2", "t3"])

    assert places["t1"]["y"] == places["t2"]["y"] == places["t3"]["y"] < places["a"]["y"]
    assert places["t1"]["x"] < places["t2"]["x"] < places["t3"]["x"]


def test_ports_are_drawn_in_declared_order_whatever_the_database_made_of_them(run: Run) -> None:
    ordered = run(
        "ordered", flow(a={"else": "c", "a1": "b", "old": "c"}, b={}, c={}), [{"name": "a1"}, {"name": "else"}]
    )

    assert list(ordered["steps"][0]["next"]) == ["a1", "else", "old"]
