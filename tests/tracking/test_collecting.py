"""The endpoint, the script and the pixel that the customer's own site talks to."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app.db import Database
from app.tracking import views, visitors
from app.tracking.models import Event, Identity

from .conftest import MakeLead
from .test_bots import CHROME

NAME = "a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6"


@pytest.fixture(autouse=True)
def _quiet() -> None:
    views._hits.clear()


def post(client: FlaskClient, body: Any, **headers: str) -> Any:
    raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return client.post("/t/events", data=raw, forged=True, headers={"User-Agent": CHROME, **headers})


def recorded(database: Database) -> list[Event]:
    with database.read() as session:
        return list(session.scalars(sa.select(Event).order_by(Event.id)))


def test_a_batch_of_everything_the_script_sends_is_recorded(client: FlaskClient, sqlite_database: Database) -> None:
    answer = post(
        client,
        {
            "visitor": NAME,
            "events": [
                {"kind": "page_viewed", "path": "/pricing", "title": "Prices", "host": "www.example.com", "key": "p1",
                 "referrer": "https://search.example/find?q=secret", "utm": {"source": "news", "campaign": "spring"}},
                {"kind": "time_spent", "path": "/pricing", "seconds": 42, "key": "p1.1"},
                {"kind": "file_downloaded", "path": "/files/guide.pdf", "title": "Guide", "page": "/pricing"},
                {"kind": "custom", "name": "Trial started", "props": {"plan": "team", "seats": 5, "nested": {"a": 1}}},
            ],
        },
        Origin="https://www.example.com",
    )  # fmt: skip
    assert answer.status_code == 200
    assert answer.json == {"recorded": 4, "repeated": 0, "refused": [], "visitor": NAME}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    page, look, file, custom = recorded(sqlite_database)
    assert (page.subject, page.agent) == ("/pricing", "human")
    assert page.props == {
        "host": "www.example.com",
        "title": "Prices",
        "referrer": "https://search.example/find",
        "utm_source": "news",
        "utm_campaign": "spring",
    }
    assert page.evidence is not None and page.evidence["network"] == "127.0.0.0/24" and page.evidence["bots"] == 1
    assert (look.subject, look.props["seconds"]) == ("/pricing", 42)
    assert (file.subject, file.props["page"]) == ("/files/guide.pdf", "/pricing")
    assert (custom.subject, custom.props) == ("Trial started", {"plan": "team", "seats": 5})


def test_a_report_sent_again_is_recorded_once(client: FlaskClient, sqlite_database: Database) -> None:
    report = {"visitor": NAME, "events": [{"kind": "page_viewed", "path": "/", "key": "same"}]}
    assert post(client, report).json["recorded"] == 1
    assert post(client, report).json["repeated"] == 1
    other = {**report, "visitor": NAME[::-1]}
    assert post(client, other).json["recorded"] == 1, "a stranger cannot take another's key"
    assert len(recorded(sqlite_database)) == 2


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("", 400, "not JSON"),
        ("{", 400, "not JSON"),
        (b"\xff\xfe\x00", 400, "not JSON"),
        ("[" * 100_00, 400, "not JSON"),
        ('"text"', 400, "object"),
        ("{}", 400, "no events"),
        ('{"events": []}', 400, "no events"),
        ('{"events": "x"}', 400, "no events"),
        ({"events": [{"kind": "page_viewed", "path": "/"}] * 51}, 400, "51 events"),
        ("x" * 70_000, 413, "larger than 64 KB"),
    ],
)
def test_a_report_that_cannot_be_read_ends_in_one_sentence(
    client: FlaskClient, sqlite_database: Database, body: Any, status: int, says: str
) -> None:
    answer = post(client, body)
    assert answer.status_code == status
    assert says in answer.json["error"] and answer.json["error"].endswith(".")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert recorded(sqlite_database) == []


def test_one_bad_event_does_not_cost_the_others(client: FlaskClient, sqlite_database: Database) -> None:
    events = [
        {"kind": "stage_changed", "subject": "customer"},
        {"kind": ["page_viewed"]},
        "text",
        {"kind": "time_spent", "path": "/", "seconds": "NaN"},
        {"kind": "custom"},
        {"kind": "page_viewed"},
        {"kind": "page_viewed", "path": "/good"},
    ]
    answer = post(client, {"visitor": NAME, "events": events})
    assert answer.json["recorded"] == 1
    assert [r["number"] for r in answer.json["refused"]] == [1, 2, 3, 4, 5, 6]
    assert [e.subject for e in recorded(sqlite_database)] == ["/good"]


def test_hostile_titles_are_kept_as_data_and_cut(client: FlaskClient, sqlite_database: Database) -> None:
    evil = "<script>alert(1)</script>" + "x" * 5000 + "\x00"
    event = {
        "kind": "page_viewed",
        "path": "/" + evil,
        "title": evil,
        "referrer": "javascript:alert(1)",
        "utm": {"source": evil},
        "host": evil,
    }
    custom = {
        "kind": "custom",
        "name": evil,
        "props": {evil: evil, "big": 1e300, "n": 10**30, **{f"p{n}": 1 for n in range(99)}},
    }
    assert post(client, {"visitor": NAME, "events": [event, custom]}).json["recorded"] == 2
    page, own = recorded(sqlite_database)
    assert len(page.subject) <= 500 and len(page.props["title"]) <= 300 and len(page.props["utm_source"]) <= 200
    assert page.props["title"].startswith("<script>") and "referrer" not in page.props
    assert len(own.props) <= 30 and "big" not in own.props and "n" not in own.props


def test_a_browser_that_objects_is_not_recorded(client: FlaskClient, sqlite_database: Database) -> None:
    report = {"visitor": NAME, "events": [{"kind": "page_viewed", "path": "/"}]}
    for header in ("DNT", "Sec-GPC"):
        answer = post(client, report, **{header: "1"})
        assert answer.status_code == 200 and answer.json["recorded"] == 0
        assert "Set-Cookie" not in answer.headers
    assert recorded(sqlite_database) == []


def test_the_preflight_of_any_site_is_answered(client: FlaskClient) -> None:
    answer = client.open("/t/events", method="OPTIONS", headers={"Origin": "https://a.example"})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert "Access-Control-Allow-Credentials" not in answer.headers


def test_one_network_cannot_flood_the_log(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "MOST_A_MINUTE", 2)
    report = {"visitor": NAME, "events": [{"kind": "page_viewed", "path": "/"}]}
    assert [post(client, report).status_code for _ in range(3)] == [200, 200, 429]


def test_the_same_browser_under_the_cookie_and_the_sites_own_name_is_one_lead(
    client: FlaskClient, sqlite_database: Database, make_lead: MakeLead
) -> None:
    with sqlite_database.write() as session:
        lead = make_lead(session)
        known = visitors.identify(session, None)
        visitors.join(session, known.id, lead)
        token = known.token
    client.set_cookie(visitors.COOKIE, str(token))
    post(client, {"visitor": NAME, "events": [{"kind": "page_viewed", "path": "/"}]})
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(Identity.lead_id).where(Identity.token == NAME)) == lead


def test_a_link_from_a_mail_joins_the_browser_on_the_customers_site(
    client: FlaskClient, sqlite_database: Database, make_lead: MakeLead
) -> None:
    with sqlite_database.write() as session:
        lead = make_lead(session)
    view = {"kind": "page_viewed", "path": "/"}
    post(client, {"visitor": NAME, "events": [view], "arrival": visitors.arrival(lead)[:-1] + "x"})
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(Identity.lead_id).where(Identity.token == NAME)) is None
    post(client, {"visitor": NAME, "events": [view], "arrival": visitors.arrival(lead)})
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(Identity.lead_id).where(Identity.token == NAME)) == lead


def test_the_pixel_is_an_image_and_a_page_view(client: FlaskClient, sqlite_database: Database) -> None:
    answer = client.get("/t/pixel.gif", headers={"Referer": "https://www.example.com/about?x=1", "User-Agent": CHROME})
    assert answer.status_code == 200 and answer.data.startswith(b"GIF89a") and len(answer.data) == 43
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/t/pixel.gif?path=//%5Bbad").status_code == 200
    assert client.get("/t/pixel.gif").status_code == 200
    [event] = recorded(sqlite_database)
    assert (event.subject, event.props["host"]) == ("/about", "www.example.com")


def test_the_script_is_small_cacheable_and_for_any_site(client: FlaskClient) -> None:
    answer = client.get("/t.js")
    assert answer.status_code == 200 and answer.content_type.startswith("text/javascript")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "max-age=3600" in answer.headers["Cache-Control"]
    assert len(answer.data) < 8_000
    assert b"eval" not in answer.data and b"innerHTML" not in answer.data
