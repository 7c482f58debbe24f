"""REST v1: bearer tokens alone open it, every refusal is one sentence, everything it says is what the pages say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import schemathesis
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings
from schemathesis import checks, openapi

from app import clock
from app.accounts import tokens
from app.accounts.models import ApiToken, User
from app.db import Database
from app.preferences.models import Subscription, Topic
from app.segments.models import Segment, SegmentMember
from app.tracking.models import Event

Call = Callable[..., Any]


@pytest.fixture
def token(sqlite_database: Database) -> str:
    return token_of(sqlite_database, "marketer")


def token_of(database: Database, role: str) -> str:
    with database.write() as session:
        user = User(
            email=f"{role}@api.example.com", name=role, role=role, password_hash="-", zone="UTC", created_at=clock.now()
        )
        session.add(user)
        session.flush()
        return tokens.create(session, user.id, "test")[1]


@pytest.fixture
def call(app: Flask, token: str) -> Call:
    """call("PUT", "leads", {...}) with a good token."""

    def made(method: str, path: str, body: Any = None, key: str = token) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        return app.test_client().open(f"/api/v1/{path}", method=method, json=body, headers=headers, forged=True)

    return made


def test_nobody_comes_in_without_a_token(client: FlaskClient, sign_in: Callable[..., FlaskClient]) -> None:
    for browser in (client, sign_in("administrator")):
        answer = browser.get("/api/v1/leads")
        assert answer.status_code == 401 and "token" in answer.json["error"]


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Basic YTpi", "bearer trellis_nonsense", "Token x"])
def test_a_token_of_nobody_opens_nothing(client: FlaskClient, header: str) -> None:
    assert client.get("/api/v1/leads", headers={"Authorization": header}).status_code == 401


def test_a_revoked_token_and_a_deactivated_user_are_out(call: Call, sqlite_database: Database) -> None:
    assert call("GET", "leads").status_code == 200
    with sqlite_database.write() as session:
        session.execute(sa.update(User).values(is_active=False))
    assert call("GET", "leads").status_code == 401


@pytest.mark.parametrize(
    ("role", "status"), [("administrator", 201), ("marketer", 201), ("sales", 403), ("viewer", 403)]
)
def test_a_token_may_do_what_its_user_may(call: Call, sqlite_database: Database, role: str, status: int) -> None:
    key = token_of(sqlite_database, role) if role != "marketer" else None
    more = {"key": key} if key else {}
    assert call("GET", "leads", **more).status_code == 200
    assert call("PUT", "leads", {"email": "a@example.com"}, **more).status_code == status


def test_use_is_noted_roughly(call: Call, sqlite_database: Database) -> None:
    call("GET", "leads")
    with sqlite_database.read() as session:
        first = session.scalar(sa.select(ApiToken.last_used_at))
    with clock.at(clock.now() + timedelta(minutes=5)):
        call("GET", "leads")
    with sqlite_database.read() as session:
        assert first is not None and session.scalar(sa.select(ApiToken.last_used_at)) == first


def test_a_lead_is_created_then_completed(call: Call, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        session.add(Topic(key="news", name="News"))
    given = {"email": "Anna@Example.com", "values": {"first_name": "Anna"}, "tags": ["Fair 2026"]}
    answer = call("PUT", "leads", {**given, "consent": [{"topic": "news", "source": "CRM"}]})
    assert answer.status_code == 201, answer.json
    lead = answer.json
    assert (lead["values"]["first_name"], lead["tags"]) == ("Anna", ["fair-2026"])
    answer = call(
        "PUT", "leads", {"email": "anna@example.com", "values": {"first_name": "B", "city": "Bern"}, "overwrite": False}
    )
    assert answer.status_code == 200
    assert answer.json["id"] == lead["id"]
    assert (answer.json["values"]["first_name"], answer.json["values"]["city"]) == ("Anna", "Bern")
    assert call("GET", f"leads/{lead['id']}").json == answer.json
    assert [each["id"] for each in call("GET", "leads?email=ANNA@example.com").json["leads"]] == [lead["id"]]
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(Subscription.state)) == "given"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"email": "nonsense"}, "nonsense"),
        ({"email": "a@example.com", "values": {"shoe_size": 42}}, "shoe_size"),
        ({"email": "a@example.com", "values": {"score": 100}}, "score"),
        ({"email": "a@example.com", "stage": "customer"}, "stage"),
        ({"email": "a@example.com", "consent": [{"topic": "nothing", "source": "x"}]}, "nothing"),
        ({}, "email"),
        ([], ""),
        ("x", ""),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(call: Call, body: Any, word: str) -> None:
    answer = call("PUT", "leads", body)
    assert answer.status_code == 422
    assert word in answer.json["error"] and "\n" not in answer.json["error"]
    assert call("GET", "leads").json == {"leads": [], "next": None}


def test_leads_are_listed_a_page_at_a_time(call: Call) -> None:
    for number in range(5):
        call("PUT", "leads", {"email": f"lead{number}@example.com"})
    seen, after = [], ""
    while True:
        answer = call("GET", f"leads?limit=2{after}").json
        seen += [lead["email"] for lead in answer["leads"]]
        if not answer["next"]:
            break
        after = f"&after={answer['next']}"
    assert seen == [f"lead{number}@example.com" for number in range(5)]
    assert call("GET", "leads?after=nonsense").status_code == 422


def test_events_are_recorded_once_and_the_bad_ones_named(call: Call, sqlite_database: Database) -> None:
    call("PUT", "leads", {"email": "anna@example.com"})
    good = {
        "at": "2026-03-01T09:00:00Z",
        "kind": "page_viewed",
        "subject": "/pricing",
        "email": "anna@example.com",
        "key": "k1",
    }
    bad = {"at": "2026-03-01T09:00:00Z", "kind": "stage_changed", "email": "anna@example.com"}
    answer = call("POST", "events", {"events": [good, bad]})
    assert answer.status_code == 200, answer.json
    assert (answer.json["recorded"], answer.json["refused"][0]["number"]) == (1, 2)
    assert call("POST", "events", {"events": [good]}).json["repeated"] == 1
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).where(Event.kind == "page_viewed")) == 1


def test_members_of_a_segment(call: Call, sqlite_database: Database) -> None:
    lead_id = call("PUT", "leads", {"email": "anna@example.com"}).json["id"]
    now = clock.now()
    with sqlite_database.write() as session:
        segment = Segment(key="swiss", name="Swiss", rule={}, created_at=now, updated_at=now)
        session.add(segment)
        session.flush()
        session.add(SegmentMember(segment_id=segment.id, lead_id=lead_id, joined_at=now))
    assert [each["key"] for each in call("GET", "segments").json["segments"]] == ["swiss"]
    assert [each["email"] for each in call("GET", "segments/swiss/members").json["members"]] == ["anna@example.com"]
    assert call("GET", "segments/none/members").status_code == 404


def test_lists_of_nothing_are_empty(call: Call) -> None:
    assert call("GET", "campaigns").json == {"campaigns": []}
    assert call("GET", "handoffs?state=open").json == {"handoffs": [], "next": None}
    assert call("GET", "campaigns/none/stats").status_code == 404
    assert call("POST", "campaigns/none/leads", {"emails": ["a@example.com"]}).status_code == 404


def test_what_is_not_there_is_said_in_json(call: Call) -> None:
    for path, status in (("nothing", 404), ("leads/99999", 404), ("leads/x", 404)):
        answer = call("GET", path)
        assert (answer.status_code, list(answer.json)) == (status, ["error"])
    assert list(call("DELETE", "leads").json) == ["error"]


def test_the_document_describes_every_route(app: Flask, client: FlaskClient) -> None:
    document = client.get("/api/v1/openapi.json").json
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    routes = {
        (method, rule.rule.replace("<int:", "{").replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/") and not rule.rule.endswith(".json")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert described == routes
    assert all(item["security"] for path in document["paths"].values() for item in path.values())


def test_the_api_keeps_to_its_document(app: Flask, token: str) -> None:
    """Calls made up from the document never break it, and never get an answer it does not describe."""
    schema = openapi.from_wsgi("/api/v1/openapi.json", app)

    for operation in schema.get_all_operations():
        run(operation.ok(), token)


KEPT = {"status_code_conformance", "content_type_conformance", "response_schema_conformance"}


def run(operation: Any, token: str) -> None:
    from hypothesis import given

    @given(case=operation.as_strategy())
    @settings(max_examples=5, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def keeps(case: schemathesis.Case) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=conformance())

    keeps()


def conformance() -> list[Any]:
    return [check for check in checks.CHECKS.get_all() if check.__name__ in {*KEPT, "not_a_server_error"}]
