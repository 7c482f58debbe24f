"""The marketers' pages about forms and landing pages, and the same by command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app.capture import forming, landing
from app.capture.models import Form, LandingPage, Submission
from app.db import Database
from app.leads.models import Lead

from .conftest import MakeForm
from .test_submitting import ADA, send


@pytest.fixture
def form(sqlite_database: Database, make_form: MakeForm, now: datetime) -> Form:
    with sqlite_database.write() as session:
        made = make_form(session)
        landing.create(session, name="Guide", at=now, form=made)
        send(session, made, {**ADA, "first_name": "<b>Ada</b>"}, now)
        send(session, made, ADA, now, evidence={"suspicion": "It filled in a field that no person can see."})
        return made


@pytest.mark.parametrize("role", ["administrator", "marketer", "sales", "viewer"])
def test_every_page_opens_for_every_role(sign_in: Callable[..., FlaskClient], form: Form, role: str) -> None:
    browser = sign_in(role)
    for path in (
        "/forms",
        f"/forms/{form.id}",
        f"/forms/{form.id}/sharing",
        f"/forms/{form.id}/submissions",
        f"/forms/{form.id}/submissions?state=suspected",
        f"/forms/{form.id}/submissions?state=nonsense&after=nonsense",
        "/landing-pages",
        "/landing-pages/1",
        "/landing-pages/1/preview",
    ):
        answer = browser.get(path)
        assert answer.status_code == 200, path
        assert "<b>Ada</b>" not in answer.text
    assert browser.get("/forms/999").status_code == 404
    assert browser.get("/landing-pages/999").status_code == 404


@pytest.mark.parametrize("role", ["sales", "viewer"])
def test_sales_and_viewers_look_and_change_nothing(sign_in: Callable[..., FlaskClient], form: Form, role: str) -> None:
    browser = sign_in(role)
    for path in ("/forms", f"/forms/{form.id}", "/landing-pages", "/landing-pages/1/publication"):
        assert browser.post(path, data={"name": "x"}).status_code == 403
    assert "Save form" not in browser.get(f"/forms/{form.id}").text


def test_a_form_is_made_changed_and_kept_from_nonsense(
    sign_in: Callable[..., FlaskClient], sqlite_database: Database
) -> None:
    browser = sign_in("marketer")
    made = browser.post("/forms", data={"name": "Webinar"})
    assert made.status_code == 303
    page = {
        "name": "Webinar 2026",
        "field_name": ["email", "first_name"],
        "field_label": ["Work email", "Your name"],
        "field_hint": ["", "As your friends call you"],
        "field_required": ["first_name"],
        "title": "Join us",
        "button": "Join",
        "tags": "webinar, spring",
    }
    assert browser.post(made.location, data=page).status_code == 303
    with sqlite_database.read() as session:
        form = session.scalars(sa.select(Form)).one()
        first, second = forming.fields_of(form)
        assert (form.key, form.name) == ("webinar", "Webinar 2026")
        assert (first.label, first.required, second.required, second.hint) == (
            "Work email", True, True, "As your friends call you",
        )  # fmt: skip
        assert forming.settings_of(form).tags == ["webinar", "spring"]
    refused = browser.post(made.location, data={**page, "redirect": "javascript:alert(1)", "name": ""})
    assert refused.status_code == 422
    assert (
        "starts with https://" in refused.text and "Give the form a name" in refused.text and "Join us" in refused.text
    )
    assert browser.post("/forms", data={"name": " "}).status_code == 422


def test_the_builder_redraws_without_keeping(
    sign_in: Callable[..., FlaskClient], sqlite_database: Database, form: Form
) -> None:
    browser = sign_in("marketer")
    page = {"name": "X", "field_name": ["email"], "field_label": ["Email"], "field_hint": [""], "add": "phone"}
    drawn = browser.post(f"/forms/{form.id}/draft", data=page).text
    assert 'value="phone"' in drawn and "Not saved yet" in drawn and 'id="form-preview"' in drawn
    with sqlite_database.read() as session:
        assert session.get_one(Form, form.id).name == "Pricing guide"


def test_a_marketer_accepts_what_was_wrongly_suspected(
    sign_in: Callable[..., FlaskClient], sqlite_database: Database, form: Form
) -> None:
    with sqlite_database.read() as session:
        suspected = session.scalars(sa.select(Submission.id).where(Submission.state == "suspected")).one()
    browser = sign_in("marketer")
    for _ in range(2):
        assert browser.post(f"/submissions/{suspected}/acceptance").status_code == 303
    with sqlite_database.read() as session:
        assert session.get_one(Submission, suspected).state == "accepted"


def test_a_landing_page_is_changed_and_kept_from_nonsense(
    sign_in: Callable[..., FlaskClient], sqlite_database: Database, form: Form, now: datetime
) -> None:
    browser = sign_in("marketer")
    made = browser.post("/landing-pages", data={"name": "Guide"})
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(LandingPage.slug).order_by(LandingPage.id)).all() == ["guide", "guide-2"]
    words = {"name": "Guide", "slug": "new-guide", "title": "T", "points": "one\n\n two ", "form_id": ""}
    assert browser.post(made.location, data=words).status_code == 303
    no_form = browser.post(made.location + "/publication")
    assert no_form.status_code == 422 and "Choose the form" in no_form.text
    for bad in ({"slug": "guide"}, {"slug": "Ä b/../c"}, {"slug": ""}, {"title": ""}, {"name": ""}, {"form_id": "999"}):
        refused = browser.post(made.location, data={**words, **bad})
        assert refused.status_code == 422, bad
    assert browser.post(made.location, data={**words, "form_id": str(form.id)}).status_code == 303
    assert browser.post(made.location + "/publication").status_code == 303
    assert browser.get("/l/new-guide").status_code == 200
    assert browser.delete(made.location + "/publication").status_code == 303
    assert browser.get("/l/new-guide").status_code == 404
    with sqlite_database.read() as session:
        page = session.scalars(sa.select(LandingPage).where(LandingPage.slug == "new-guide")).one()
        assert page.content["points"] == ["one", "two"]


def test_forms_are_made_and_sent_by_command_line(app: Flask, sqlite_database: Database, tmp_path: Path) -> None:
    runner = app.test_cli_runner()
    file = tmp_path / "form.json"
    file.write_text(json.dumps({"key": "demo-request", "name": "Demo request", "fields": ["first_name", "email"]}))
    made = runner.invoke(args=["forms", "import", str(file), "--json"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["is_new"] is True
    assert json.loads(runner.invoke(args=["forms", "import", str(file), "--json"]).stdout)["is_new"] is False
    send_it = ["forms", "submit", "demo-request", "--answer", "email=ada@example.com", "--answer", "first_name=Ada"]
    send_it += ["--once", "k1", "--at", "2026-03-01T09:00Z", "--json"]
    first, again = runner.invoke(args=send_it), runner.invoke(args=send_it)
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout) == json.loads(again.stdout)
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Lead.first_name)).all() == ["Ada"]
    refused = runner.invoke(args=["forms", "submit", "demo-request", "--answer", "email=nonsense"])
    assert refused.exit_code == 1 and "is not a mail address" in refused.stderr
    unknown = runner.invoke(args=["forms", "submit", "nothing"])
    assert unknown.exit_code == 1 and "no form with the key" in unknown.stderr
    shown = json.loads(runner.invoke(args=["forms", "show", "demo-request", "--json"]).stdout)
    file.write_text(json.dumps(shown))
    assert runner.invoke(args=["forms", "import", str(file)]).exit_code == 0, "what is shown can be imported"
    assert json.loads(runner.invoke(args=["forms", "list", "--json"]).stdout)[0]["accepted"] == 1
    assert (
        json.loads(runner.invoke(args=["forms", "submissions", "demo-request", "--json"]).stdout)[0]["state"]
        == "accepted"
    )
    for bad in ("nonsense", "{}", '{"key": "x", "name": "X", "fields": ["stage"]}'):
        file.write_text(bad)
        assert runner.invoke(args=["forms", "import", str(file)]).exit_code == 1


def test_the_address_keeps_its_star_in_the_preview_while_unsaved(
    sign_in: Callable[..., FlaskClient], form: Form
) -> None:
    typed = {"name": "Guide", "field_name": ["email"], "field_label": ["Work email"], "field_hint": [""]}
    told = sign_in("marketer").post(f"/forms/{form.id}/draft?part=preview", data=typed).text
    assert 'Work email<span class="required-mark"' in told
