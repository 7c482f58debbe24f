"""The builder turns a rule into inputs and back without loss, and offers only what makes sense."""

from __future__ import annotations

from typing import Any

import pytest

from app.segments import building, ruling
from app.segments.ruletype import Known

KNOWN = Known(
    {("mail", "welcome"): "Welcome", ("tag", "fair"): "Fair", ("field", "plan"): "Plan", ("field", "seats"): "Seats"},
    {"country": "text", "created_at": "instant", "plan": "choice", "seats": "number"},
    {"plan": ("free", "pro")},
)
IN_FLOW = Known(KNOWN.names, KNOWN.fields, KNOWN.choices, frozenset(("arrival", "entry")))


def inputs(rule: Any, known: Known = KNOWN, name: str = "rule") -> dict[str, str]:
    """What a browser would send."""
    sent: dict[str, str] = {}

    def visit(node: building.Node) -> None:
        sent[f"{node.name}|{'@rule' if node.kind else '@'}"] = node.kind or node.operator
        sent.update({i.name: str(i.value) for i in node.inputs})
        for member in node.members:
            visit(member)

    visit(building.drawn(building.settled(rule, known), name, known))
    return sent


def shown(rule: dict[str, Any], known: Known = KNOWN) -> dict[str, building.Input]:
    tree = building.drawn(building.settled(rule, known), "rule", known)
    return {i.setting: i for i in tree.members[0].inputs}


@pytest.mark.parametrize("kind", sorted(ruling.RULES.load()))
def test_every_kind_goes_to_inputs_and_back(kind: str) -> None:
    rule = {"any": [{"rule": kind, **ruling.RULES.load()[kind].example}, {"none": [{"rule": "tag", "tag": "fair"}]}]}
    settled = building.settled(rule, KNOWN)
    assert building.settled(building.given(inputs(rule), "rule"), KNOWN) == settled
    assert ruling.sentence(settled, KNOWN.names) == ruling.sentence(rule, KNOWN.names)


def test_several_builders_share_a_form() -> None:
    first, second = {"all": [{"rule": "tag", "has": "has", "tag": "fair"}]}, {"none": []}
    form = inputs(first, name="arms.0") | inputs(second, name="arms.1")
    assert building.given(form, "arms.0") == first
    assert building.given(form, "arms.1") == second


def test_without_inputs_the_json_counts_and_nonsense_is_an_empty_rule() -> None:
    assert building.given({"rule": '{"all": []}'}, "rule") == {"all": []}
    for nonsense in ("", "{", "[]", "[" * 100_000):
        assert building.given({"rule": nonsense}, "rule") == {}


def test_a_lone_condition_stands_in_a_group() -> None:
    assert building.settled({"rule": "tag", "tag": "fair"}, KNOWN) == {
        "all": [{"rule": "tag", "has": "has", "tag": "fair"}]
    }


def test_parts_are_added_and_removed_where_they_are() -> None:
    rule = building.changed({"all": []}, "add", "")
    rule = building.changed(rule, "group", "")
    rule = building.changed(rule, "add", "1")
    assert [list(part) for part in rule["all"]] == [["rule", "field", "op", "value"], ["any"]]
    assert len(rule["all"][1]["any"]) == 2
    rule = building.changed(rule, "remove", "1.0")
    rule = building.changed(rule, "remove", "0")
    assert len(rule["all"]) == 1 and len(rule["all"][0]["any"]) == 1
    assert building.changed(rule, "remove", "7") == building.changed(rule, "add", "0.0") == rule


def test_the_field_decides_the_comparisons_and_the_value() -> None:
    text = shown({"rule": "field", "field": "country"})
    number = shown({"rule": "field", "field": "seats", "op": "contains", "value": "3"})
    moment = shown({"rule": "field", "field": "created_at", "op": "within_last", "value": 7})
    choice = shown({"rule": "field", "field": "plan"})
    assert "contains" in dict(text["op"].options) and "contains" not in dict(number["op"].options)
    assert (number["op"].value, number["value"].widget.kind, number["value"].value) == ("is", "number", 3)
    assert (moment["value"].widget.unit, moment["value"].value) == ("days", 7)
    assert dict(choice["value"].options) == {"free": "free", "pro": "pro"}
    assert "value" not in shown({"rule": "field", "field": "country", "op": "is_known"})


def test_days_are_asked_only_where_days_count_and_a_steps_own_time_only_in_a_flow() -> None:
    assert "days" not in shown({"rule": "visited"})
    assert "days" in shown({"rule": "visited", "when": "within"})
    assert "arrival" not in dict(shown({"rule": "visited"})["when"].options)
    assert "arrival" in dict(shown({"rule": "visited"}, IN_FLOW)["when"].options)


def test_what_is_gone_stays_visible() -> None:
    assert ("old", "old (does not exist)") in shown({"rule": "opened", "mail": "old"})["mail"].options


def test_an_unfinished_condition_is_kept_and_says_what_it_needs() -> None:
    rule = building.given(inputs({"all": [building.NEW]}), "rule")
    assert rule == {"all": [building.NEW]}
    tree = building.drawn(building.settled(rule, KNOWN), "rule", KNOWN)
    assert tree.members[0].complaints


def test_another_kind_of_condition_starts_with_its_own_comparison() -> None:
    inputs = {"rule||@": "all", "rule|0|@was": "field", "rule|0|op": "is", "rule|0|value": "Basel"}

    assert building.given(inputs | {"rule|0|@rule": "score"}, "rule") == {"all": [{"rule": "score"}]}
    kept = building.given(inputs | {"rule|0|@rule": "field"}, "rule")
    assert kept == {"all": [{"rule": "field", "op": "is", "value": "Basel"}]}
