"""What a marketer does to a flow leaves it whole: paths heal, new ways out end, nothing is lost unseen."""

from __future__ import annotations

from typing import Any

from tests.designer.conftest import Run
from tests.designer.test_layout import flow

LINE = flow(s1={"out": "s2"}, s2={"out": "s3"}, s3={})
FORK = flow(s1={"yes": "s2", "no": "s3"}, s2={"out": "s4"}, s3={}, s4={})


def nexts(answer: dict[str, Any]) -> dict[str, Any]:
    return {step["id"]: step["next"] for step in answer["flow"]["steps"]}


def test_any_number_of_changes_leaves_a_whole_flow_and_can_be_undone(run: Run) -> None:
    assert run("changed", 30, 25) == []


def test_a_step_is_put_on_a_path(run: Run) -> None:
    answer = run("operate", "insert", LINE, "s1:out", {"kind": "wait", "ports": ["out"]})

    assert nexts(answer) == {"s1": {"out": "s4"}, "s4": {"out": "s2"}, "s2": {"out": "s3"}, "s3": {}}


def test_further_ways_out_of_a_new_step_end_at_an_exit(run: Run) -> None:
    answer = run("operate", "insert", LINE, "start", {"kind": "decide", "ports": ["a1", "else"]})

    assert answer["flow"]["start"] == "s4"
    assert nexts(answer)["s4"] == {"a1": "s1", "else": "s5"}
    assert next(s for s in answer["flow"]["steps"] if s["id"] == "s5")["kind"] == "exit"


def test_ids_of_older_versions_are_not_used_again(run: Run) -> None:
    answer = run("operate", "insert", LINE, "s1:out", {"kind": "wait", "ports": ["out"]}, 17)

    assert answer["id"] == "s18"


def test_a_path_heals_when_its_step_is_deleted(run: Run) -> None:
    assert nexts(run("operate", "remove", LINE, ["s2"])) == {"s1": {"out": "s3"}, "s3": {}}


def test_deleting_a_branch_keeps_its_first_path_and_says_what_went(run: Run) -> None:
    answer = run("operate", "remove", FORK, ["s1"])

    assert nexts(answer) == {"s2": {"out": "s4"}, "s4": {}}
    assert answer["lost"] == 1


def test_steps_are_moved_and_keep_their_ids(run: Run) -> None:
    answer = run("operate", "move", LINE, ["s1"], "s2:out")

    assert answer["flow"]["start"] == "s2"
    assert nexts(answer) == {"s2": {"out": "s1"}, "s1": {"out": "s3"}, "s3": {}}


def test_moving_a_step_to_its_own_path_changes_nothing(run: Run) -> None:
    assert run("operate", "move", LINE, ["s2"], "s1:out")["flow"] == LINE


def test_what_is_copied_is_pasted_under_new_ids(run: Run) -> None:
    clip = run("operate", "clip", LINE, ["s1", "s2"])
    answer = run("operate", "paste", LINE, "s2:out", clip)

    assert nexts(answer)["s2"] == {"out": "s4"}
    assert nexts(answer)["s4"] == {"out": "s5"}
    assert nexts(answer)["s5"] == {"out": "s3"}


def test_a_path_can_be_joined_to_another_or_led_back(run: Run) -> None:
    assert nexts(run("operate", "connect", FORK, "s1:no", "s4"))["s1"] == {"yes": "s2", "no": "s4"}
    assert nexts(run("operate", "connect", FORK, "s2:out", "s1"))["s2"] == {"out": "s1"}


def test_new_settings_bring_and_take_paths(run: Run) -> None:
    ports = [{"name": "a1"}, {"name": "yes"}, {"name": "late", "optional": True}]
    answer = run("operate", "configure", FORK, "s1", {"n": 1}, ports)

    assert nexts(answer)["s1"] == {"a1": "s5", "yes": "s2"}
    assert "s3" not in nexts(answer)
    assert answer["lost"] == 1


def test_the_only_path_of_a_step_becomes_the_first_of_several_and_loses_nothing(run: Run) -> None:
    answer = run("operate", "configure", LINE, "s1", {"n": 1}, [{"name": "missed"}, {"name": "reached"}])

    assert nexts(answer)["s1"] == {"missed": "s2", "reached": "s4"}
    assert answer["lost"] == 0


def test_an_optional_path_is_drawn_and_taken_away(run: Run) -> None:
    ports = [{"name": "out"}, {"name": "not_sent", "optional": True}]
    drawn = run("operate", "togglePort", LINE, "s1", "not_sent", ports)

    assert nexts(drawn)["s1"] == {"out": "s2", "not_sent": "s4"}
    assert nexts(run("operate", "togglePort", drawn["flow"], "s1", "not_sent", ports)) == nexts({"flow": LINE})


def test_a_branching_step_moves_with_its_branches_up_to_where_they_meet(run: Run) -> None:
    given = flow(s0={"out": "s1"}, s1={"yes": "s2", "no": "s3"}, s2={"out": "s4"}, s3={"out": "s4"}, s4={})
    answer = run("operate", "move", given, ["s1"], "start")

    found = nexts(answer)
    assert answer["flow"]["start"] == "s1"
    assert found["s1"] == {"yes": "s2", "no": "s3"}
    assert found["s2"] == {"out": "s0"}
    assert found["s0"] == {"out": "s4"}


def test_a_branching_step_whose_paths_do_not_meet_leaves_its_first_path_in_place(run: Run) -> None:
    given = flow(s0={"out": "s1"}, s1={"yes": "s2", "no": "s3"}, s2={}, s3={})
    found = nexts(run("operate", "move", given, ["s1"], "start"))

    assert found == {"s1": {"yes": "s0", "no": "s3"}, "s0": {"out": "s2"}, "s2": {}, "s3": {}}
