"""Segments on pages: made with the builder, shown with their sentence, kept when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app.db import Database
from app.segments.models import Segment
from tests import factories
from tests.segments import people

INPUTS = {
    "rule||@": "all",
    "rule|0|@rule": "field",
    "rule|0|field": "country",
    "rule|0|op": "is",
    "rule|0|value": "CH",
}


@pytest.fixture
def marketer(sign_in: Callable[..., FlaskClient], sqlite_database: Database) -> FlaskClient:
    with sqlite_database.write() as session:
        people.lead(session, "Ana", country="CH")
        people.lead(session, "Ben", country="DE")
    return sign_in("marketer")


def test_a_segment_is_made_shown_changed_and_deleted(marketer: FlaskClient, sqlite_database: Database) -> None:
    made = marketer.post("/segments", data=INPUTS | {"name": "Swiss leads", "rule": "{}"})
    assert made.status_code == 303
    page = marketer.get(made.location).text
    assert "Leads whose country is Switzerland." in page and "Ana" in page and "Ben" not in page
    assert "country is Switzerland" in marketer.get("/segments").text
    marketer.post(made.location, data=INPUTS | {"name": "Germans", "rule|0|value": "DE"})
    assert "Ben" in marketer.get(made.location).text
    assert marketer.delete(made.location).status_code in (200, 303)
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Segment)).all() == []


def test_what_is_wrong_is_said_and_nothing_typed_is_lost(marketer: FlaskClient) -> None:
    answer = marketer.post("/segments", data=INPUTS | {"name": "", "rule|0|value": ""})
    assert answer.status_code == 422
    assert "Give the segment a name." in answer.text and "Say what country is compared with." in answer.text
    assert "&#34;country&#34;" in answer.text or "&#34;field&#34;" in answer.text or "country" in answer.text


def test_the_builder_draws_itself_from_a_rule_and_from_its_inputs(marketer: FlaskClient) -> None:
    given = {"rule_builder": "rule", "rule_given": json.dumps({"rule": "tag", "tag": "<script>"})}
    assert "&lt;script&gt; (does not exist)" in marketer.post("/rules/builder", data=given).text
    answer = marketer.post("/rules/builder", data=INPUTS | {"rule_builder": "rule", "rule_do": "group", "rule_at": ""})
    assert 'name="rule|1.0|field"' in answer.text


def test_values_that_several_leads_have_are_suggested(marketer: FlaskClient, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        factories.field(session, "plan", "text")
        for name, title in (("Cyd", "CTO"), ("Dan", "CTO"), ("Eve", "Head of <b>Sales</b>")):
            people.lead(session, name, job_title=title, fields={"plan": "gold"})

    def drawn(field: str, op: str = "is") -> str:
        rule = {"rule": "field", "field": field, "op": op, "value": ""}
        return marketer.post("/rules/builder", data={"rule_builder": "rule", "rule_given": json.dumps(rule)}).text

    assert 'list="rule-rule-field-job_title"' in drawn("job_title")
    assert '<option value="CTO">' in drawn("job_title", "contains")
    assert "Head of" not in drawn("job_title")  # of one person alone
    assert '<option value="gold">' in drawn("plan")
    assert "<datalist" not in drawn("email")
    assert "<datalist" not in drawn("job_title", "one_of")  # a choice would take the place of the others


def test_the_preview_counts_and_names_a_few(marketer: FlaskClient) -> None:
    answer = marketer.post(
        "/rules/preview", data=INPUTS | {"rule_builder": "rule"}, headers={"HX-Request-Type": "partial"}
    )
    assert (
        "1</strong> lead matches: leads whose country is Switzerland" in answer.text
        and "Ana" in answer.text
        and "Ben" not in answer.text
    )
    told = json.loads(answer.headers["HX-Trigger"])["rule-changed"]
    assert told == {"name": "rule", "rule": {"all": [{"rule": "field", "field": "country", "op": "is", "value": "CH"}]}}


def test_the_preview_says_what_is_not_finished(marketer: FlaskClient) -> None:
    answer = marketer.post("/rules/preview", data=INPUTS | {"rule_builder": "rule", "rule|0|value": " "})
    assert "Say what country is compared with." in answer.text


def test_a_viewer_may_look_and_not_change(sign_in: Callable[..., FlaskClient]) -> None:
    viewer = sign_in("viewer")
    assert viewer.get("/segments").status_code == 200
    assert viewer.get("/segments/new").status_code == 403
    assert viewer.post("/segments", data=INPUTS | {"name": "x"}).status_code == 403
    assert viewer.post("/rules/builder", data={"rule_builder": "rule", "rule_given": "{}"}).status_code == 200
