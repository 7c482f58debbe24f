"""Fields set by a flow: values, numbers moved, today where the lead lives, copies, nothing; each change is told."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.campaigns import checking
from app.db import Database
from app.engine.models import Campaign
from app.engine.steps.set_field import SetField, describe
from app.leads import updating
from app.leads.models import Lead, LeadField
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import events, passing


@pytest.fixture
def ids(database: Database) -> list[int]:
    with database.write() as session:
        for name, kind in (
            ("visits", "number"),
            ("since", "date"),
            ("first", "date"),
            ("vip", "switch"),
            ("was", "switch"),
        ):
            factories.field(session, name, kind)
        factories.field(session, "memo", "text")
        session.add(LeadField(name="size", label="Size", type="choice", choices=["S", "L"]))
        made = factories.leads(session, 3, city="Basel")
        updating.set_values(session, made[0], {"visits": 2, "vip": "yes", "memo": 'a"b', "first": "2026-01-31"}, at=NOW)
        updating.set_values(session, made[1], {"visits": 0.5, "zone": "Pacific/Auckland"}, at=NOW)
        return made


def step(**settings: Any) -> dict[str, Any]:
    return {"kind": "set_field", "settings": settings}


def values(database: Database, name: str) -> list[Any]:
    with database.read() as session:
        leads = session.scalars(sa.select(Lead).order_by(Lead.id)).all()
        return [getattr(lead, name) if name in Lead.__table__.c else lead.fields.get(name) for lead in leads]


def test_what_was_published_before_there_were_expressions_still_sets_a_value(
    database: Database, ids: list[int]
) -> None:
    passing(database, step(field="memo", value="hello"), step(field="city", value=""), ids=ids)
    assert values(database, "memo") == ["hello"] * 3
    assert values(database, "city") == [""] * 3
    assert len(events(database, "field_changed")) >= 6


def test_a_number_is_added_to_and_an_empty_field_counts_as_nothing(database: Database, ids: list[int]) -> None:
    passing(database, step(field="visits", how="add", amount=1), ids=ids)
    assert values(database, "visits") == [3, 1.5, 1]
    assert [type(value) for value in values(database, "visits")] == [int, float, int]
    told = [props for _, subject, props in events(database, "field_changed") if subject == "visits"]
    assert {(props["from"], props["to"]) for props in told} >= {(2, 3), (0.5, 1.5), (None, 1)}
    passing(database, step(field="visits", how="add", amount=-0.5), ids=ids, key="less")
    assert values(database, "visits") == [2.5, 1, 0.5]


def test_a_number_never_grows_beyond_what_is_kept(database: Database, ids: list[int]) -> None:
    with database.write() as session:
        updating.set_values(session, ids[0], {"visits": 1e15 - 1}, at=NOW)
    passing(database, step(field="visits", how="add", amount=5), ids=ids)
    assert values(database, "visits")[0] == 1e15 - 1


def test_today_is_the_day_where_the_lead_lives(database: Database, ids: list[int]) -> None:
    evening = datetime.fromisoformat("2026-03-02T22:30+00:00")
    passing(database, step(field="since", how="today"), step(field="first", how="today", days=-3), ids=ids, at=evening)
    assert values(database, "since") == ["2026-03-02", "2026-03-03", "2026-03-02"]
    assert values(database, "first") == ["2026-02-27", "2026-02-28", "2026-02-27"]


def test_a_field_is_copied_in_its_own_kind_and_an_empty_one_empties(database: Database, ids: list[int]) -> None:
    with database.write() as session:
        updating.set_values(session, ids[2], {"since": "2026-02-02", "was": "yes"}, at=NOW)
    chain = (
        step(field="since", how="copy", source="first"),
        step(field="was", how="copy", source="vip"),
        step(field="job_title", how="copy", source="memo"),
        step(field="first_name", how="copy", source="city"),
        step(field="memo", how="copy", source="visits"),
    )
    passing(database, *chain, ids=ids)
    assert values(database, "since") == ["2026-01-31", None, None]
    assert values(database, "was") == [True, None, None]
    assert values(database, "job_title") == ['a"b', "", ""]
    assert values(database, "first_name") == ["Basel"] * 3
    assert [str(value or "").removesuffix(".0") for value in values(database, "memo")] == ["2", "0.5", ""]
    assert "basel" in values(database, "search_text")[0]


def test_a_field_is_emptied(database: Database, ids: list[int]) -> None:
    passing(database, step(field="visits", how="empty"), step(field="city", how="empty"), ids=ids)
    assert values(database, "visits") == [None] * 3
    assert values(database, "city") == [""] * 3


def test_nothing_is_told_where_nothing_changes(database: Database, ids: list[int]) -> None:
    before = len(events(database, "field_changed"))
    passing(database, step(field="city", value="Basel"), step(field="vip", how="copy", source="vip2"), ids=ids[1:2])
    with database.read() as session:  # the second step names a field that is gone: its campaign says so
        assert "vip2" in str(session.scalar(sa.select(Campaign.trouble)))
    assert len(events(database, "field_changed")) == before


WRONG = [
    ({"field": "city", "how": "add"}, "holds a number"),
    ({"field": "visits", "how": "today"}, "holds a date"),
    ({"field": "visits", "how": "copy", "source": "memo"}, "does not fit"),
    ({"field": "visits", "value": "many"}, "not a number"),
    ({"field": "size", "value": "M"}, "choose one of S, L"),
    ({"field": "email", "value": "a@example.com"}, "cannot be set for many"),
    ({"field": "phone", "how": "copy", "source": "memo"}, "nothing else"),
    ({"field": "memo", "how": "copy", "source": "memo"}, "another field"),
    ({"field": "visits", "how": "add", "amount": 0}, "other than 0"),
]


@pytest.mark.parametrize(("settings", "sentence"), WRONG)
def test_what_cannot_work_is_told_before_it_is_published(
    database: Database, ids: list[int], settings: dict[str, Any], sentence: str
) -> None:
    with database.read() as session:
        problems = checking.problems(session, factories.flow(step(**settings)))
    assert any(sentence in problem.sentence for problem in problems), problems


def test_a_card_says_what_it_does() -> None:
    said = [
        describe(SetField(field="visits", how="add", amount=-2), {}),
        describe(SetField(field="since", how="today", days=7), {}),
        describe(SetField(field="memo", how="copy", source="city"), {("field", "city"): "City"}),
        describe(SetField(field="memo", how="empty"), {}),
    ]
    assert said == ["visits − 2", "since = today + 7 days", "memo = City", "memo = empty"]
