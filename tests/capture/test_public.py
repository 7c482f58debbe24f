"""Forms and landing pages as strangers, bots and mail scanners meet them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import clock
from app.capture import forming, landing
from app.capture.models import Form, LandingPage, Submission
from app.db import Database
from app.leads.models import Lead
from app.outbox import Message
from app.tracking import visitors
from app.tracking.models import Event, Identity

from .conftest import MakeForm
from .test_submitting import CHROME, CONSENT

EVIL = "\"><script>alert('x')</script>{{7*7}}"


@pytest.fixture
def form(sqlite_database: Database, make_form: MakeForm) -> Form:
    with sqlite_database.write() as session:
        return make_form(session)


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(_\w+)" value="([^"]*)"', page))


def open_form(client: FlaskClient, form: Form, at: datetime, query: str = "") -> dict[str, str]:
    with clock.at(at):
        answer = client.get(f"/f/{form.public_id}{query}", headers={"User-Agent": CHROME})
    assert answer.status_code == 200
    return hidden(answer.text)


def post(client: FlaskClient, form: Form, given: dict[str, Any], at: datetime) -> Any:
    with clock.at(at):
        return client.post(f"/f/{form.public_id}", data=given, forged=True, headers={"User-Agent": CHROME})


def kept(database: Database) -> list[Submission]:
    with database.read() as session:
        return list(session.scalars(sa.select(Submission).order_by(Submission.id)))


def test_a_stranger_fills_in_the_form_and_is_thanked(
    client: FlaskClient, sqlite_database: Database, form: Form, now: datetime
) -> None:
    given = {**open_form(client, form, now), "first_name": "Ada", "email": "ada@example.com"}
    answer = post(client, form, given, now + timedelta(seconds=9))
    assert answer.status_code == 303 and answer.location == f"/f/{form.public_id}/thanks"
    again = post(client, form, given, now + timedelta(seconds=9.2))
    assert again.status_code == 303, "a double press is answered alike"
    [submission] = kept(sqlite_database)
    assert submission.state == "accepted" and submission.lead_id is not None
    assert "Thank you" in client.get(answer.location).text


def test_the_browser_is_remembered_and_its_visit_is_the_leads(
    client: FlaskClient, sqlite_database: Database, form: Form, now: datetime
) -> None:
    with sqlite_database.write() as session:
        page = landing.create(session, name="Guide", at=now, form=form)
        landing.publish(session, page, at=now)
    shown = client.get("/l/guide?utm_source=ad", headers={"User-Agent": CHROME})
    assert visitors.COOKIE in shown.headers["Set-Cookie"] and "HttpOnly" in shown.headers["Set-Cookie"]
    given = {**hidden(shown.text), "email": "ada@example.com"}
    assert given["_page"] == "guide"
    post(client, form, given, clock.now() + timedelta(seconds=9))
    with sqlite_database.read() as session:
        lead = session.scalars(sa.select(Lead.id)).one()
        view = session.scalars(sa.select(Event).where(Event.kind == "page_viewed")).one()
        assert (view.subject, view.props["utm_source"]) == ("/l/guide", "ad")
        assert session.get_one(Identity, view.identity_id).lead_id == lead
        sent = session.scalars(sa.select(Event).where(Event.kind == "form_submitted")).one()
        assert sent.props["page"] == "guide"
        assert session.scalars(sa.select(Submission.landing_page_id)).one() == page.id


def test_two_people_at_one_computer_become_two_leads_with_their_own_visitors(
    client: FlaskClient, sqlite_database: Database, form: Form, now: datetime
) -> None:
    for name in ("ada", "grace"):
        given = {**open_form(client, form, now), "email": f"{name}@example.com"}
        post(client, form, given, now + timedelta(seconds=9))
    with sqlite_database.read() as session:
        owners = session.scalars(sa.select(Identity.lead_id).where(Identity.kind == "visitor")).all()
        assert sorted(owners) == sorted(session.scalars(sa.select(Lead.id)).all())
        newest = client.get_cookie(visitors.COOKIE)
        assert newest is not None
        owner = session.scalar(sa.select(Identity.lead_id).where(Identity.token == newest.value))
        assert session.get_one(Lead, owner).canonical_email == "grace@example.com"


@pytest.mark.parametrize(
    ("change", "seconds", "reason"),
    [
        ({forming.HONEYPOT: "http://spam.example"}, 9.0, "no person can see"),
        ({}, 0.1, "faster than anybody"),
        ({"_started": ""}, 9.0, "without opening"),
        ({"_started": "AAAAAAAAAAAAAAAAAAAAAAAA"}, 9.0, "without opening"),
    ],
)
def test_a_bot_is_thanked_and_kept_apart(
    client: FlaskClient,
    sqlite_database: Database,
    form: Form,
    now: datetime,
    change: dict[str, str],
    seconds: float,
    reason: str,
) -> None:
    given = {**open_form(client, form, now), "email": "bot@example.com", **change}
    answer = post(client, form, given, now + timedelta(seconds=seconds))
    assert answer.status_code == 303 and answer.location.endswith("/thanks"), "a bot learns nothing"
    [submission] = kept(sqlite_database)
    assert submission.state == "suspected" and reason in submission.reason and submission.lead_id is None


def test_a_flood_from_one_network_is_suspected(
    client: FlaskClient, sqlite_database: Database, form: Form, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.capture.suspecting.MOST", 2)
    for number in range(3):
        given = {**open_form(client, form, now), "email": f"p{number}@example.com"}
        post(client, form, given, now + timedelta(seconds=9))
    assert [submission.state for submission in kept(sqlite_database)] == ["accepted", "accepted", "suspected"]


def test_a_refused_answer_comes_back_with_everything_typed(
    client: FlaskClient, sqlite_database: Database, form: Form, now: datetime
) -> None:
    given = {**open_form(client, form, now), "first_name": EVIL, "email": EVIL}
    answer = post(client, form, given, now + timedelta(seconds=9))
    assert answer.status_code == 422
    assert "is not a mail address" in answer.text and 'aria-invalid="true"' in answer.text
    assert "<script>alert" not in answer.text and "&lt;script&gt;alert" in answer.text and "{{7*7}}" in answer.text
    assert hidden(answer.text)["_key"] == given["_key"]
    assert kept(sqlite_database) == []


def test_what_other_fields_are_posted_is_ignored(
    client: FlaskClient, sqlite_database: Database, form: Form, now: datetime
) -> None:
    more = {"stage": "customer", "score": "100", "owner_id": "1", "id": "7", "fields": "{}", "phone": "+41445550123"}
    post(client, form, {**open_form(client, form, now), "email": "a@example.com", **more}, now + timedelta(seconds=9))
    with sqlite_database.read() as session:
        lead = session.scalars(sa.select(Lead)).one()
        assert (lead.stage, lead.score, lead.owner_id, lead.phone) == ("subscriber", 0, None, "")


def test_the_form_may_stand_in_a_frame_on_any_site_and_the_marketers_pages_may_not(
    client: FlaskClient, sign_in: Callable[..., FlaskClient], form: Form
) -> None:
    shown = client.get(f"/f/{form.public_id}?_embed=1&_visitor={'a' * 32}")
    assert "frame-ancestors *" in shown.headers["Content-Security-Policy"]
    assert hidden(shown.text)["_visitor"] == "a" * 32
    script = client.get(f"/f/{form.public_id}/embed.js")
    assert script.content_type.startswith("text/javascript") and f"/f/{form.public_id}" in script.text
    own = sign_in("marketer").get(f"/forms/{form.id}")
    assert "frame-ancestors 'none'" in own.headers["Content-Security-Policy"]


def test_a_name_cannot_break_out_of_the_embedding_script(
    client: FlaskClient, sqlite_database: Database, make_form: MakeForm
) -> None:
    with sqlite_database.write() as session:
        form = make_form(session, name="x", title='"; alert(1); //</script>')
    script = client.get(f"/f/{form.public_id}/embed.js").text
    assert '"\\"; alert(1); //\\u003c/script\\u003e"' in script


def test_a_form_may_lead_to_another_page_that_its_policy_names(
    client: FlaskClient, sqlite_database: Database, make_form: MakeForm, now: datetime
) -> None:
    with sqlite_database.write() as session:
        form = make_form(session, redirect="https://www.example.com/thanks?a=1")
    shown = client.get(f"/f/{form.public_id}")
    assert "form-action 'self' https://www.example.com;" in shown.headers["Content-Security-Policy"]
    given = {**open_form(client, form, now), "email": "ada@example.com"}
    assert post(client, form, given, now + timedelta(seconds=9)).location == "https://www.example.com/thanks?a=1"


def test_a_confirmation_needs_the_button_not_the_visit(
    client: FlaskClient, sqlite_database: Database, make_form: MakeForm, now: datetime
) -> None:
    with sqlite_database.write() as session:
        form = make_form(session, double_opt_in=True, **CONSENT)
    given = {**open_form(client, form, now), "email": "ada@example.com", "_consent": "1"}
    answer = post(client, form, given, now + timedelta(seconds=9))
    assert "One more step" in client.get(answer.location).text
    with sqlite_database.read() as session:
        text = session.scalars(sa.select(Message)).one().inputs["text"]  # type: ignore[index]
    path = re.search(r"http://[^/]+(/f/confirm/\S+)", text).group(1)  # type: ignore[union-attr]
    with clock.at(now + timedelta(days=1)):
        for _ in range(3):
            assert "Yes, this is my address" in client.get(path).text
        assert client.head(path).status_code == 200
        assert [s.state for s in kept(sqlite_database)] == ["pending"]
        assert "Your address is confirmed" in client.post(path, forged=True).text
        assert "Your address is confirmed" in client.post(path, forged=True).text
        assert "Your address is confirmed" in client.get(path).text
    assert [s.state for s in kept(sqlite_database)] == ["accepted"]
    assert client.get("/f/confirm/" + "x" * 32).status_code == 404
    assert client.post("/f/confirm/" + "x" * 32, forged=True).status_code == 404


def test_an_expired_confirmation_leads_back_to_the_form(
    client: FlaskClient, sqlite_database: Database, make_form: MakeForm, now: datetime
) -> None:
    with sqlite_database.write() as session:
        form = make_form(session, double_opt_in=True, **CONSENT)
    post(client, form, {**open_form(client, form, now), "email": "ada@example.com"}, now + timedelta(seconds=9))
    with sqlite_database.read() as session:
        text = session.scalars(sa.select(Message)).one().inputs["text"]  # type: ignore[index]
    path = re.search(r"http://[^/]+(/f/confirm/\S+)", text).group(1)  # type: ignore[union-attr]
    with clock.at(now + timedelta(days=8)):
        answer = client.post(path, forged=True)
    assert "This link has expired" in answer.text and f"/f/{form.public_id}" in answer.text


def test_the_answer_is_the_same_whether_the_address_is_known_or_not(
    client: FlaskClient, form: Form, now: datetime
) -> None:
    answers = []
    for _ in range(2):
        given = {**open_form(client, form, now), "email": "ada@example.com"}
        answers.append(post(client, form, given, now + timedelta(seconds=9)))
    assert answers[0].status_code == answers[1].status_code and answers[0].location == answers[1].location
    assert answers[0].data == answers[1].data


def test_a_landing_page_is_seen_only_when_published_and_prints_everything_escaped(
    client: FlaskClient, sign_in: Callable[..., FlaskClient], sqlite_database: Database, form: Form, now: datetime
) -> None:
    with sqlite_database.write() as session:
        page = landing.create(session, name="Guide", at=now, form=form)
        content = landing.Content(title=EVIL, intro=EVIL, points=[EVIL], quote=EVIL, quote_by=EVIL)
        landing.change(session, page, name=EVIL, slug="guide", content=content, form_id=form.id, at=now)
    assert client.get("/l/guide").status_code == 404
    marketer = sign_in("marketer")
    assert marketer.get(f"/landing-pages/{page.id}/preview").status_code == 200
    assert marketer.post(f"/landing-pages/{page.id}/publication").status_code == 303
    shown = client.get("/l/guide")
    assert shown.status_code == 200 and "<script>alert" not in shown.text and "{{7*7}}" in shown.text
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Event)) == 1, "a preview is not a view"


def test_a_browser_that_objects_sees_the_page_and_is_not_remembered(
    client: FlaskClient, sqlite_database: Database, form: Form, now: datetime
) -> None:
    with sqlite_database.write() as session:
        landing.publish(session, landing.create(session, name="Guide", at=now, form=form), at=now)
    shown = client.get("/l/guide", headers={"DNT": "1"})
    assert shown.status_code == 200 and visitors.COOKIE not in shown.headers.get("Set-Cookie", "")
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Event)) == 0


def test_a_form_taken_offline_is_gone_for_strangers_and_its_answers_stay(
    client: FlaskClient, sign_in: Callable[..., FlaskClient], sqlite_database: Database, form: Form, now: datetime
) -> None:
    post(client, form, {**open_form(client, form, now), "email": "a@example.com"}, now + timedelta(seconds=9))
    with sqlite_database.write() as session:
        landing.publish(session, landing.create(session, name="Guide", at=now, form=form), at=now)
    marketer = sign_in("marketer")
    refused = marketer.delete(f"/forms/{form.id}")
    assert refused.status_code == 409 and "take the page offline first" in refused.text
    with sqlite_database.write() as session:
        session.execute(sa.update(LandingPage).values(is_published=False))
    assert marketer.delete(f"/forms/{form.id}").status_code == 303
    assert client.get(f"/f/{form.public_id}").status_code == 404
    assert client.post(f"/f/{form.public_id}", forged=True).status_code == 404
    assert len(kept(sqlite_database)) == 1
