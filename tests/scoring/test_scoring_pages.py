"""The scoring model is edited in the browser, and what does not hold together is refused in words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import clock
from app.db import Database
from app.leads.models import Lead
from app.scoring import scoring, seeding
from app.scoring.models import ScoreModel
from app.tracking.models import Event
from tests.segments import people

BLOG = {
    "name": "Read the blog",
    "dimension": "interest",
    "points": "2",
    "cap": "",
    "kind": "page_viewed",
    "subject": "/blog/*",
}


@pytest.fixture
def marketer(sign_in: Callable[..., FlaskClient], sqlite_database: Database) -> FlaskClient:
    with sqlite_database.write() as session:
        seeding.ensure(session, at=people.NOW)
        ana = people.lead(session, "Ana", job_title="Head of IT", country="CH", last_seen_at=clock.now())
        people.event(session, ana, "page_viewed", "/pricing", is_new=False)
        people.event(session, ana, "page_viewed", "/blog/one", is_new=False)
        scoring.score_events(session, sa.select(Event.id), now=people.NOW)
        scoring.score_fit(session, sa.select(Lead.id), now=people.NOW)
    return sign_in("marketer")


def model(database: Database) -> ScoreModel:
    with database.read() as session:
        return session.scalars(sa.select(ScoreModel)).one()


def test_the_page_shows_the_rules_the_matrix_and_the_best_leads(marketer: FlaskClient) -> None:
    page = marketer.get("/scoring").text
    for words in (
        "Visited the pricing pages",
        "Visited a page: /pricing*",
        "Leads whose job title contains one of chief",
        "Ana",
    ):
        assert words in page


def test_a_rule_is_added_changed_applied_to_the_past_and_removed(
    marketer: FlaskClient, sqlite_database: Database
) -> None:
    assert marketer.post("/scoring/rules", data=BLOG).status_code == 303
    assert model(sqlite_database).rules[-1]["key"] == "read-the-blog"
    marketer.post("/scoring/rules/read-the-blog", data=BLOG | {"points": "7"})
    assert "has changed since everybody was last scored" in marketer.get("/scoring").text
    marketer.post("/scoring/rescoring")
    assert "has changed since everybody was last scored" not in marketer.get("/scoring").text
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Lead.interest)).one() == 17
    marketer.delete("/scoring/rules/read-the-blog")
    assert "read-the-blog" not in {rule["key"] for rule in model(sqlite_database).rules}


def test_a_fit_rule_is_built_with_the_rule_builder(marketer: FlaskClient, sqlite_database: Database) -> None:
    rule = {"who||@": "all", "who|0|@rule": "field", "who|0|field": "city", "who|0|op": "is", "who|0|value": "Basel"}
    answer = marketer.post("/scoring/rules", data=rule | {"name": "Near us", "dimension": "fit", "points": "4"})
    assert answer.status_code == 303
    assert "Leads whose city is Basel" in marketer.get("/scoring").text
    nobody = marketer.post("/scoring/rules", data={"name": "x", "dimension": "fit", "points": "4"})
    assert nobody.status_code == 422 and "add at least one condition" in nobody.text


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"points": "0"}, "a rule of 0 points does nothing"),
        ({"points": "many"}, "points: input should be a valid integer"),
        ({"kind": "segment_joined"}, "segment_joined events are not scored"),
        ({"name": ""}, "name: string should have at least 1 character"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_and_kept_on_the_page(
    marketer: FlaskClient, wrong: dict[str, str], sentence: str
) -> None:
    answer = marketer.post("/scoring/rules", data=BLOG | wrong)
    assert answer.status_code == 422
    assert sentence in answer.text and "/blog/*" in answer.text


def test_thresholds_must_fall_from_the_best_grade_to_the_worst(
    marketer: FlaskClient, sqlite_database: Database
) -> None:
    given = {"cap-fit": "40", "cap-interest": "60", "stage-lead": "10", "stage-mql": "50"}
    given |= {"decay-after_days": "14", "decay-half_life_days": "30", "cell-D4": "hot"}
    given |= {f"interest-{i}": str(40 - i * 10) for i in (1, 2, 3)}
    bad = given | {"fit-A": "10", "fit-B": "20", "fit-C": "5"}
    answer = marketer.post("/scoring/thresholds", data=bad)
    assert answer.status_code == 422 and "must fall from the best grade to the worst" in answer.text
    good = given | {"fit-A": "30", "fit-B": "20", "fit-C": "5"}
    assert marketer.post("/scoring/thresholds", data=good).status_code == 303
    assert model(sqlite_database).thresholds["fit"] == [30, 20, 5]
    assert model(sqlite_database).thresholds["temperature"]["D4"] == "hot"


def test_without_a_model_the_page_offers_the_standard_one(sign_in: Callable[..., FlaskClient]) -> None:
    marketer = sign_in("marketer")
    assert "Start with the standard model" in marketer.get("/scoring").text
    marketer.post("/scoring/model")
    assert "Visited the pricing pages" in marketer.get("/scoring").text
