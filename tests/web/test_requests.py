"""A request is one transaction; strangers, forgers and the curious are turned away with one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask, request
from flask.testing import FlaskClient

from app import clock, web
from app.accounts.guards import allow, public
from app.accounts.models import Audit
from app.db import Database
from app.factory import create_app
from app.web import Refused, htmx
from config import Config
from tests.conftest import SECRET

SignIn = Callable[..., FlaskClient]


def _note(action: str) -> None:
    web.session().add(Audit(at=clock.now(), action=action, subject_kind="test", subject_id="1"))
    web.session().flush()


@pytest.fixture
def app(own_app: Flask) -> Flask:
    """The application with a few pages that behave and misbehave."""

    def kept() -> str:
        _note("kept")
        return "ok"

    def refused() -> str:
        _note("refused")
        raise Refused("That name is taken; choose another.")

    def broken() -> str:
        _note("broken")
        raise ZeroDivisionError("the secret is swordfish")

    def answered() -> tuple[str, int]:
        _note("answered")
        return "no", 422

    def counted() -> tuple[str, int]:
        _note("counted")
        web.keep()
        return "no", 401

    def saved() -> str:
        htmx.toast("Saved")
        return "ok"

    for view in (kept, refused, broken, answered, counted, saved):
        own_app.add_url_rule(f"/t/{view.__name__}", view.__name__, view, methods=["GET", "POST"])
    own_app.add_url_rule("/t/stranger", "stranger", public(lambda: "hello"), methods=["GET", "POST"])
    own_app.add_url_rule("/t/hook", "hook", public(web.cross_site(lambda: "hello")), methods=["POST"])
    own_app.add_url_rule("/t/framed", "framed", public(web.embeddable(lambda: "hello")))
    own_app.add_url_rule("/t/boss", "boss", allow("administrator")(lambda: "hello"), methods=["GET", "POST"])
    return own_app


def actions(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(sa.select(Audit.action)))


def test_a_change_is_kept_when_the_answer_is_good(sign_in: SignIn, sqlite_database: Database) -> None:
    assert sign_in("marketer").post("/t/kept").status_code == 200
    assert actions(sqlite_database) == ["kept"]


@pytest.mark.parametrize(("page", "status"), [("refused", 422), ("broken", 500), ("answered", 422)])
def test_a_change_is_undone_when_the_answer_is_not_good(
    sign_in: SignIn, sqlite_database: Database, page: str, status: int
) -> None:
    assert sign_in("marketer").post(f"/t/{page}").status_code == status
    assert actions(sqlite_database) == []


def test_a_counted_attempt_is_kept_although_it_is_refused(sign_in: SignIn, sqlite_database: Database) -> None:
    assert sign_in("marketer").post("/t/counted").status_code == 401
    assert actions(sqlite_database) == ["counted"]


def test_looking_cannot_change_anything(sign_in: SignIn, sqlite_database: Database) -> None:
    assert sign_in("administrator").get("/t/kept").status_code == 500
    assert actions(sqlite_database) == []


def test_an_error_tells_a_code_and_no_secret(sign_in: SignIn) -> None:
    text = sign_in("administrator").post("/t/broken").text
    assert "code" in text
    assert "swordfish" not in text
    assert "Traceback" not in text and "ZeroDivision" not in text


def test_a_refusal_is_a_page_to_a_browser_and_a_toast_to_htmx(sign_in: SignIn) -> None:
    browser = sign_in("marketer")
    assert "That name is taken; choose another." in browser.post("/t/refused").text
    answer = browser.post("/t/refused", headers={"HX-Request-Type": "partial"})
    assert answer.status_code == 422 and answer.text == ""
    assert "That name is taken" in answer.headers["HX-Trigger"]
    assert answer.headers["HX-Reswap"] == "none"


def test_a_refusal_is_its_sentence_alone_to_a_script_that_asks_for_json(sign_in: SignIn) -> None:
    answer = sign_in("marketer").post("/t/refused", headers={"Accept": "application/json"})
    assert answer.status_code == 422 and answer.json == {"sentence": "That name is taken; choose another."}


def test_a_change_by_htmx_on_the_whole_page_is_answered_to_the_script(sign_in: SignIn) -> None:
    whole = {"HX-Request": "true", "HX-Request-Type": "full"}
    answer = sign_in("marketer").post("/t/refused", headers=whole)
    assert answer.status_code == 422 and "That name is taken" in answer.headers["HX-Trigger"]
    answer = sign_in("administrator").post("/users/99/activation", headers=whole)
    assert answer.status_code == 404 and answer.mimetype == "text/plain"


def test_a_toast_rides_on_the_fragment_or_waits_for_the_next_page(sign_in: SignIn) -> None:
    browser = sign_in("marketer")
    assert "Saved" in browser.post("/t/saved", headers={"HX-Request-Type": "partial"}).headers["HX-Trigger"]
    browser.post("/t/saved")
    with browser.session_transaction() as cookie:
        assert cookie["_flashes"] == [("success", "Saved")]


@pytest.mark.parametrize("path", ["/t/kept", "/t/stranger", "/t/boss"])
def test_a_post_without_a_token_changes_nothing(sign_in: SignIn, sqlite_database: Database, path: str) -> None:
    answer = sign_in("administrator").post(path, forged=True)
    assert answer.status_code == 400
    assert "reload" in answer.text
    assert actions(sqlite_database) == []


def test_the_refusal_of_an_old_token_brings_one_that_a_page_of_ours_goes_on_with(sign_in: SignIn) -> None:
    browser = sign_in("administrator")
    answer = browser.post("/t/kept", forged=True, headers={"X-CSRFToken": "of another time"})
    assert answer.status_code == 400 and "Access-Control-Allow-Origin" not in answer.headers
    renewed = {"X-CSRFToken": answer.headers["X-CSRFToken"]}
    assert browser.post("/t/kept", forged=True, headers=renewed).status_code < 400
    elsewhere = browser.post("/t/kept", forged=True, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403 and "X-CSRFToken" not in elsewhere.headers


@pytest.mark.parametrize("origin", ["cross-site", "same-site"])
def test_a_post_from_another_site_is_refused_even_with_a_token(sign_in: SignIn, origin: str) -> None:
    assert sign_in("administrator").post("/t/kept", headers={"Sec-Fetch-Site": origin}).status_code == 403


def test_a_public_hook_takes_posts_from_anywhere(client: FlaskClient) -> None:
    assert client.post("/t/hook", forged=True, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_a_stranger_is_sent_to_the_sign_in_page_and_back(client: FlaskClient) -> None:
    assert client.get("/t/kept?a=1").location == "/sign-in?next=/t/kept?a%3D1"
    assert client.post("/t/kept").status_code == 401
    answer = client.get("/t/kept", headers={"HX-Request-Type": "partial", "HX-Current-URL": "http://localhost/t/kept"})
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/t/kept"


@pytest.mark.parametrize(
    ("role", "look", "change", "boss"),
    [
        ("administrator", 200, 200, 200),
        ("marketer", 200, 200, 403),
        ("sales", 200, 403, 403),
        ("viewer", 200, 403, 403),
    ],
)
def test_roles_open_doors(sign_in: SignIn, role: str, look: int, change: int, boss: int) -> None:
    browser = sign_in(role)
    assert browser.get("/t/saved").status_code == look
    assert browser.post("/t/saved").status_code == change
    assert browser.post("/t/boss").status_code == boss


def test_a_cookie_opens_nothing_under_api(sign_in: SignIn, app: Flask) -> None:
    app.add_url_rule("/api/t", "api_t", lambda: "hello")
    answer = sign_in("administrator").get("/api/t", headers={"HX-Request-Type": "partial"})
    assert answer.status_code == 401


def test_every_answer_carries_the_strict_policy(client: FlaskClient) -> None:
    for path in ("/t/stranger", "/nothing", "/static/icons.txt", "/t/kept"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy and "unsafe" not in policy and "report" not in policy
        assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"


def test_only_embeddable_pages_may_be_framed(client: FlaskClient) -> None:
    assert "frame-ancestors *" in client.get("/t/framed").headers["Content-Security-Policy"]


def test_a_stranger_cannot_send_megabytes(client: FlaskClient, app: Flask) -> None:
    from flask import request

    app.add_url_rule("/t/read", "read", public(web.cross_site(lambda: str(len(request.get_data())))), methods=["POST"])
    assert client.post("/t/read", data=b"x" * 1000).text == "1000"
    assert client.post("/t/read", data=b"x" * 2_000_000).status_code == 413


def test_a_file_is_kept_for_ever_under_the_name_of_its_content(client: FlaskClient, app: Flask) -> None:
    from app.web.assets import asset

    with app.test_request_context():
        address = asset("icons.txt")
    assert "immutable" in client.get(address).headers["Cache-Control"]
    assert "immutable" not in client.get("/static/icons.txt").headers["Cache-Control"]


@pytest.mark.parametrize(("proxies", "who"), [("0", "127.0.0.1"), ("1", "203.0.113.9")])
def test_who_asked_is_believed_from_as_many_servers_as_stand_before_us(
    sqlite_database: Database, tmp_path: Path, proxies: str, who: str
) -> None:
    env = {
        "TRELLIS_DATA": str(tmp_path),
        "TRELLIS_DATABASE_URL": str(sqlite_database.url),
        "TRELLIS_SECRET_KEY": SECRET,
        "TRELLIS_PROXIES": proxies,
    }
    made = create_app(Config.from_environment(env), sqlite_database)
    made.add_url_rule("/t/who", "who", public(lambda: str(request.remote_addr)))
    asked = made.test_client().get("/t/who", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
    assert asked.text == who
