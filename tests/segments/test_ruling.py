"""Rules nest, read as English, and say what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.segments import ruling
from app.segments.ruletype import Known
from tests.segments import people
from tests.segments.people import who

SWISS = {"rule": "field", "field": "country", "op": "is", "value": "CH"}
HEAD = {"rule": "field", "field": "job_title", "op": "contains", "value": "head"}
HOT = {"rule": "score", "dimension": "total", "op": "at_least", "value": 50}


@pytest.fixture
def four(session: Session) -> None:
    people.lead(session, "Ana", country="CH", job_title="Head of IT", score=60)
    people.lead(session, "Ben", country="CH", job_title="Clerk", score=0)
    people.lead(session, "Cleo", country="DE", job_title="Head of HR", score=0)
    people.lead(session, "Dora")


@pytest.mark.parametrize(
    ("rule", "matching"),
    [
        ({}, {"Ana", "Ben", "Cleo", "Dora"}),
        (None, {"Ana", "Ben", "Cleo", "Dora"}),
        ({"all": []}, {"Ana", "Ben", "Cleo", "Dora"}),
        ({"all": [SWISS, HEAD]}, {"Ana"}),
        ({"any": [SWISS, HEAD]}, {"Ana", "Ben", "Cleo"}),
        ({"none": [SWISS, HEAD]}, {"Dora"}),
        ({"all": [SWISS, {"none": [HOT]}]}, {"Ben"}),
        ({"all": [{"any": [SWISS, HEAD]}, {"any": [HOT, {"all": [HEAD, {"none": [SWISS]}]}]}]}, {"Ana", "Cleo"}),
    ],
)
def test_groups_nest(session: Session, four: None, rule: Any, matching: set[str]) -> None:
    assert who(session, rule) == matching


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({}, "everybody"),
        (SWISS, "country is Switzerland"),
        ({"all": [SWISS, HEAD]}, "country is Switzerland and job title contains head"),
        (
            {"all": [SWISS, HEAD, HOT]},
            "country is Switzerland, and job title contains head, and total score is at least 50",
        ),
        (
            {"all": [HOT, {"any": [SWISS, HEAD]}]},
            "total score is at least 50 and (country is Switzerland or job title contains head)",
        ),
        (
            {"all": [HOT, {"none": [SWISS]}]},
            "total score is at least 50 and it is not true that country is Switzerland",
        ),
        ({"none": [SWISS, HEAD]}, "none of these is true: country is Switzerland; job title contains head"),
        (
            {"rule": "visited", "path": "/pricing", "times": 2, "when": "within", "days": 7},
            "visited /pricing at least 2 times in the last 7 days",
        ),
        (
            {"rule": "opened", "mail": "w", "did": "has_not", "when": "arrival"},
            "did not open “Welcome” since arriving at this step",
        ),
        ({"rule": "gone"}, "not finished: there is no condition called 'gone'"),
        ({"rule": "field", "field": "", "op": "is"}, "not finished: field is missing"),
    ],
)
def test_a_rule_reads_as_english(rule: Any, sentence: str) -> None:
    assert ruling.sentence(rule, {("mail", "w"): "Welcome"}) == sentence


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({}, "everybody"),
        ({"all": [SWISS, {"rule": "visited", "path": "/x"}]}, "leads whose country is Switzerland and who visited /x"),
        (
            {"all": [HOT, {"any": [SWISS, HEAD]}]},
            "leads whose total score is at least 50 and (whose country is Switzerland or whose job title contains head)",
        ),
        (
            {"all": [HOT, {"none": [SWISS]}]},
            "leads whose total score is at least 50, except those whose country is Switzerland",
        ),
        (
            {"none": [SWISS, {"rule": "submitted"}]},
            "everybody except those whose country is Switzerland or who submitted any form",
        ),
        ({"rule": "tag", "tag": "fair"}, "leads who have the tag “fair”"),
        ({"all": [{"none": [SWISS]}]}, "everybody except those whose country is Switzerland"),
    ],
)
def test_a_rule_names_the_people_it_means(rule: Any, words: str) -> None:
    assert ruling.who(rule, {}) == words


@pytest.mark.parametrize(
    ("rule", "at", "sentence"),
    [
        ("x", "", "A rule is an object"),
        ({"all": {}}, "", "A group of conditions has exactly one"),
        ({"all": [], "any": []}, "", "A group of conditions has exactly one"),
        ({"all": [SWISS, {"rule": "gone"}]}, "all.1.rule", "There is no condition called 'gone'."),
        ({"any": [{"rule": "tag"}]}, "any.0.tag", "Tag is missing."),
        ({"rule": "score", "value": "x"}, "value", "Score: Points: input should be a valid integer"),
        ({"rule": "tag", "tag": "nope"}, "", "There is no tag called “nope”; choose another."),
        (
            {"all": [{"all": [{"all": [{"all": [{"all": [{"all": [{"all": []}]}]}]}]}]}]},
            "all.0",
            "Groups can be nested 6 deep",
        ),
        ({"all": [SWISS] * 101}, "", "A rule can have at most 100 conditions"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(rule: Any, at: str, sentence: str) -> None:
    complaints = ruling.check(rule, Known({}, {"country": "text"}))
    assert complaints[0].sentence.startswith(sentence) and complaints[0].at.startswith(at)


def test_a_rule_that_cannot_be_read_is_not_asked(session: Session) -> None:
    with pytest.raises(ruling.BadRule, match="no condition called"):
        who(session, {"rule": "gone"})


def test_only_what_counts_days_drifts() -> None:
    visited = {"rule": "visited", "path": "/x"}
    assert not ruling.drifts({"all": [SWISS, visited]})
    assert ruling.drifts({"all": [SWISS, {"none": [visited | {"when": "within"}]}]})
    assert ruling.drifts({"rule": "field", "field": "created_at", "op": "within_last", "value": 7})


def test_a_rule_says_what_it_names() -> None:
    rule = {
        "all": [{"rule": "clicked", "mail": "a", "when": "mail", "after": "b"}, {"none": [{"rule": "tag", "tag": "t"}]}]
    }
    assert ruling.references(rule) == {("mail", "a"), ("mail", "b"), ("tag", "t")}
