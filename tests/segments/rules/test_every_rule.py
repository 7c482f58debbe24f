"""What holds for every kind of condition, also for the one somebody adds tomorrow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import kinds
from app.leads.models import Lead
from app.segments import ruling
from app.segments.ruletype import CATEGORIES, Known
from tests.segments import people

KINDS = sorted(ruling.RULES.load())
LEADS: sa.Table = Lead.__table__  # type: ignore[assignment]


def example(kind: str) -> dict[str, Any]:
    return {"rule": kind, **ruling.RULES.load()[kind].example}


def everything_known(kind: str) -> Known:
    fields = {"country": "text"}
    names = {key: key[1].upper() for key in ruling.references(example(kind))}
    return Known(names, fields, {}, frozenset(("arrival", "entry")))


@pytest.mark.parametrize("kind", KINDS)
def test_its_example_is_a_rule_without_fault(kind: str) -> None:
    assert ruling.check(example(kind), everything_known(kind)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_picked(kind: str) -> None:
    type_ = ruling.RULES.load()[kind]
    assert type_.label and type_.icon and type_.category in CATEGORIES
    assert set(type_.Settings.widgets()) == set(type_.Settings.model_fields)


@pytest.mark.parametrize("kind", KINDS)
def test_its_sentence_reads_on_and_names_things_as_people_do(kind: str) -> None:
    words = ruling.sentence(example(kind), everything_known(kind).names)
    assert words and not words.endswith(".") and "_" not in words and "  " not in words
    for _, key in ruling.references(example(kind)):
        assert key.upper() in words or kind in ("stage", "field")


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_so_when_a_setting_is_unknown(kind: str) -> None:
    _, complaints = kinds.parse(ruling.RULES.load()[kind].Settings, {"no_such_setting": 1})
    assert any("no_such_setting" in c.sentence for c in complaints)


@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_for_nobody(session: Session, kind: str) -> None:
    assert people.who(session, example(kind)) == set()
    found = ruling.operands(example(kind), ruling.context(session, people.NOW))
    assert found
    assert session.execute(sa.select(*found.values()).select_from(LEADS)).all() == []


@pytest.mark.parametrize("kind", KINDS)
def test_of_those_who_have_nothing_each_matches_it_or_its_opposite(session: Session, kind: str) -> None:
    people.lead(session, "Ana")
    people.lead(session, "Ben")
    matching = people.who(session, example(kind))
    assert matching | people.who(session, {"none": [example(kind)]}) == {"Ana", "Ben"}
    assert matching & people.who(session, {"none": [example(kind)]}) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_asked_over_an_alias_and_among_a_few(session: Session, kind: str) -> None:
    ana = people.lead(session, "Ana")
    leads = LEADS.alias("somebody")
    ctx = ruling.context(session, people.NOW, leads=leads)
    among = replace(ctx, among=sa.select(sa.literal(ana)))
    for asked in (ctx, among):
        query = sa.select(leads.c.id).where(leads.c.id == ana, ruling.predicate(example(kind), asked))
        assert query.get_final_froms() == [leads]
        assert session.scalars(query).all() in ([], [ana])
