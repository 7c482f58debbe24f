"""Fields are compared as their type allows, alike on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from app.leads.models import LeadField
from app.segments import building, ruling
from tests.segments import people
from tests.segments.people import NOW, who


def field(name: str, op: str, value: object = "") -> dict[str, object]:
    return {"rule": "field", "field": name, "op": op, "value": value}


@pytest.fixture
def declared(session: Session) -> None:
    for name, type_ in (("plan", "choice"), ("seats", "number"), ("renewal", "date"), ("trial", "switch")):
        session.add(LeadField(name=name, label=name.title(), type=type_))
    session.flush()


@pytest.mark.parametrize(
    ("op", "value", "matching"),
    [
        ("is", "zürich ", {"Ana"}),
        ("is_not", "ZÜRICH", {"Ben", "Cleo"}),
        ("contains", "Ü", {"Ana"}),
        ("contains", "%", set()),
        ("contains_not", "ürich", {"Ben", "Cleo"}),
        ("contains_any", ["wald", "rich"], {"Ana", "Ben"}),
        ("starts_with", "eber", {"Ben"}),
        ("one_of", ["ZÜRICH", "eberswalde"], {"Ana", "Ben"}),
        ("one_of", "zürich, eberswalde", {"Ana", "Ben"}),
        ("none_of", ["zürich"], {"Ben", "Cleo"}),
        ("is_known", "", {"Ana", "Ben"}),
        ("is_empty", "", {"Cleo"}),
    ],
)
def test_text_is_compared_without_case_in_any_alphabet(
    session: Session, op: str, value: object, matching: set[str]
) -> None:
    people.lead(session, "Ana", city="Zürich")
    people.lead(session, "Ben", city="Eberswalde")
    people.lead(session, "Cleo")
    assert who(session, field("city", op, value)) == matching


@pytest.mark.parametrize(
    ("op", "value", "matching"),
    [
        ("is", 10, {"Ana"}),
        ("is", "10.0", {"Ana"}),
        ("is_not", 10, {"Ben", "Cleo", "Dora"}),
        ("at_least", 10, {"Ana", "Ben"}),
        ("above", 10, {"Ben"}),
        ("at_most", 10.5, {"Ana"}),
        ("below", 0, set()),
        ("is_known", "", {"Ana", "Ben"}),
        ("is_empty", "", {"Cleo", "Dora"}),
    ],
)
def test_numbers_pass_over_what_is_no_number(
    session: Session, declared: None, op: str, value: object, matching: set[str]
) -> None:
    people.lead(session, "Ana", fields={"seats": 10})
    people.lead(session, "Ben", fields={"seats": 10.75})
    people.lead(session, "Cleo")
    people.lead(session, "Dora", fields={"seats": "many"})
    assert who(session, field("seats", op, value)) == matching


@pytest.mark.parametrize(
    ("op", "value", "matching"),
    [
        ("is", "2026-03-05", {"Soon"}),
        ("before", "2026-03-05", {"Past"}),
        ("after", "2026-03-04", {"Soon"}),
        ("within_next", 7, {"Soon"}),
        ("within_last", 7, set()),
        ("within_last", 30, {"Past"}),
        ("longer_ago", 7, {"Past"}),
        ("is_empty", "", {"Never"}),
    ],
)
def test_days_are_compared_with_days_and_with_now(
    session: Session, declared: None, op: str, value: object, matching: set[str]
) -> None:
    people.lead(session, "Past", fields={"renewal": "2026-02-20"})
    people.lead(session, "Soon", fields={"renewal": "2026-03-05"})
    people.lead(session, "Never")
    assert who(session, field("renewal", op, value)) == matching


def test_moments_are_compared_with_days_and_with_now(session: Session) -> None:
    people.lead(session, "Ana", last_seen_at=NOW - timedelta(days=3))
    people.lead(session, "Ben")
    assert who(session, field("last_seen_at", "within_last", 7)) == {"Ana"}
    assert who(session, field("last_seen_at", "longer_ago", 7)) == set()
    assert who(session, field("last_seen_at", "is", "2026-02-27")) == {"Ana"}
    assert who(session, field("last_seen_at", "is_empty")) == {"Ben"}


def test_a_switch_that_was_never_set_is_off(session: Session, declared: None) -> None:
    people.lead(session, "Ana", fields={"trial": True})
    people.lead(session, "Ben", fields={"trial": False})
    people.lead(session, "Cleo")
    assert who(session, field("trial", "is_yes")) == {"Ana"}
    assert who(session, field("trial", "is_no")) == {"Ben", "Cleo"}


def test_what_cannot_be_compared_is_said_and_matches_nobody(session: Session, declared: None) -> None:
    from app.segments import ruling

    people.lead(session, "Ana", fields={"seats": 10})
    known = ruling.known(session)
    for name, op, value, sentence in (
        ("seats", "at_least", "ten", "“ten” is not a number."),
        ("seats", "contains", "1", "seats is a number"),
        ("renewal", "before", "31.3.2026", "“31.3.2026” is not a day like 2026-03-31."),
        ("city", "is", " ", "Say what city is compared with."),
        ("gone", "is", "x", "There is no field called gone"),
    ):
        rule = field(name, op, value)
        assert sentence in ruling.check(rule, known)[0].sentence
        assert who(session, rule) == set()


def test_the_journal_sees_the_value(session: Session, declared: None) -> None:
    ana = people.lead(session, "Ana", city="Zürich", fields={"seats": 10})
    assert people.seen(session, field("city", "is", "Bern"), ana) == {"city": "Zürich"}
    assert people.seen(session, field("seats", "is", 1), ana) == {"seats": 10}


@pytest.mark.parametrize(
    ("name", "op", "value", "matching"),
    [
        ("country", "is", "Switzerland", {"Ana"}),
        ("country", "is", "ch", {"Ana"}),
        ("country", "is_not", "Schweiz", {"Ben"}),
        ("country", "one_of", "switzerland, DE", {"Ana", "Ben"}),
        ("country", "none_of", ["Germany"], {"Ana"}),
        ("country", "starts_with", "c", {"Ana"}),
        ("language", "is", "German", {"Ana"}),
    ],
)
def test_countries_and_languages_may_be_named(
    session: Session, name: str, op: str, value: object, matching: set[str]
) -> None:
    people.lead(session, "Ana", country="CH", language="de")
    people.lead(session, "Ben", country="DE", language="en")
    assert who(session, field(name, op, value)) == matching


def test_a_country_is_chosen_from_a_list_and_an_unknown_one_is_a_complaint(session: Session) -> None:
    known = ruling.known(session)
    rule = {"all": [field("country", "is", "Switzerland")]}
    value = next(i for i in building.drawn(rule, "rule", known).members[0].inputs if i.setting == "value")
    assert ("Switzerland", "Switzerland") in value.options and ("DE", "Germany") in value.options
    assert building.settled(rule, known) == rule
    assert ruling.who(field("country", "is", "CH"), known.names) == "leads whose country is Switzerland"
    assert "Nowhereland" in ruling.check(field("country", "one_of", "CH, Nowhereland"), known)[0].sentence
    assert building.settled({"all": [field("country", "is")]}, known) == {"all": [field("country", "is")]}
