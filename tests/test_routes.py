"""Every route of the application, walked by a stranger and by each role: what is not opened on purpose is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app import clock
from app.accounts import guards, signing_in, users
from app.accounts.models import ROLES
from app.db import Base, Database
from app.factory import create_app
from config import Config
from tests.conftest import Browser

SignInAs = Callable[..., FlaskClient]
SAFE = {"GET", "HEAD", "OPTIONS"}
PASSWORD = "a long enough sentence"

# Opened on purpose. Whoever opens another door to strangers, or lets another role change things, writes it down here.
PUBLIC = {
    "static",
    "accounts.sign_in",
    "accounts.start_session",
    "api.document",
    "capture_public.confirm",
    "capture_public.confirmation",
    "capture_public.embed",
    "capture_public.form",
    "capture_public.landing_page",
    "capture_public.submit",
    "capture_public.thanks",
    "engine.metrics",  # decides itself: this machine, or an administrator's token
    "favicon",
    "mail_recipients.click",
    "mail_recipients.in_browser",
    "mail_recipients.opened",
    "mail_recipients.why",
    "preferences_recipients.choose",
    "preferences_recipients.chosen",
    "preferences_recipients.farewell",
    "preferences_recipients.rest",
    "preferences_recipients.return_",
    "preferences_recipients.unsubscribe",
    "preferences_recipients.unsubscribed",
    "tracking.events",
    "tracking.pixel",
    "tracking.script",
}
ANYBODY_MAY_CHANGE = {
    "accounts.change_password",
    "accounts.change_profile",
    "accounts.create_token",
    "accounts.end_other_sign_ins",
    "accounts.revoke_token",
    "accounts.sign_out",
    "campaigns.as_text",  # writes a flow as text, changes nothing
    "campaigns.settings_form",  # draws a form, changes nothing
    "sales.read_alerts",
    "segments_builder.draw",  # draws a rule, changes nothing
    "segments_builder.preview",  # counts, changes nothing
}
SALES_MAY_CHANGE = ANYBODY_MAY_CHANGE | {
    "campaigns.steer",
    "leads.add_note",
    "leads.add_tag",
    "leads.change",
    "leads.create",
    "leads.put_back_note",
    "leads.remove_note",
    "leads.remove_tag",
    "leads_companies.change",
    "leads_companies.create",
    "preferences.record_consent",
    "sales.accept",
    "sales.add_task",
    "sales.finish_task",
    "sales.hand_over",
    "sales.recycle",
    "sales.reject",
    "sales.reopen_task",
    "sales.undo",
}
ADMINISTRATOR_ONLY = {
    "accounts.activate_user",
    "accounts.audits",
    "accounts.change_settings",
    "accounts.change_user",
    "accounts.create_user",
    "accounts.deactivate_user",
    "accounts.reset_password",
    "accounts.user",
    "accounts.users",
    "engine.index",
}
EDITORS_LOOK = {
    "campaigns.try_it",
    "campaigns.try_leads",
    "scoring.edit_rule",
    "scoring.new_rule",
    "scoring.thresholds",
    "leads.profile_form",
    "leads_imports.index",
    "leads_imports.refused",
    "leads_imports.show",
    "mail.settings",
    "segments.edit",
    "segments.new",
}
# A hit is what these are asked to record; nothing else may change by looking.
RECORDS_A_HIT = {
    "capture_public.form",
    "capture_public.landing_page",
    "mail_recipients.click",
    "mail_recipients.opened",
    "tracking.pixel",
}


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule, method


def address(rule: Rule, number: int = 1) -> str:
    """The route with something in every hole."""
    values = {name: number if "Integer" in type(hole).__name__ else "x" for name, hole in rule._converters.items()}
    built = rule.build(values, append_unknown=False)
    assert built is not None
    return built[1]


def ask(browser: FlaskClient, rule: Rule, method: str, **more: Any) -> Any:
    return browser.open(address(rule), method=method, **more)


def is_api(rule: Rule) -> bool:
    return rule.rule.startswith("/api/")


def may(role: str, endpoint: str, method: str) -> bool:
    if endpoint in ADMINISTRATOR_ONLY:
        return role == "administrator"
    if role in {"administrator", "marketer"} or endpoint in PUBLIC:
        return True
    if method in SAFE:
        return endpoint not in EDITORS_LOOK or (endpoint == "leads.profile_form" and role == "sales")
    return endpoint in (SALES_MAY_CHANGE if role == "sales" else ANYBODY_MAY_CHANGE)


def test_a_stranger_sees_the_sign_in_page_and_what_is_public(app: Flask, client: FlaskClient) -> None:
    wrong = []
    for rule, method in routes(app):
        answer = ask(client, rule, method)
        is_turned_away = answer.status_code == 401 or "/sign-in?next=" in (answer.location or "") or rule.rule == "/"
        if is_turned_away == (rule.endpoint in PUBLIC):
            wrong.append(f"{method} {rule.rule} ({rule.endpoint}) answers a stranger {answer.status_code}")
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_each_role_enters_its_rooms_and_no_other(app: Flask, sign_in: SignInAs, role: str) -> None:
    wrong = []
    for number, (rule, method) in enumerate(routes(app)):
        if is_api(rule) or rule.endpoint in {"accounts.sign_out", "static"}:
            continue
        browser = sign_in(role, email=f"{role}-{number}@example.com")
        answer = ask(browser, rule, method)
        is_open = answer.status_code != 403
        if is_open != may(role, rule.endpoint, method) or (is_open and "/sign-in" in (answer.location or "")):
            wrong.append(f"{method} {rule.rule} ({rule.endpoint}) answers {role} {answer.status_code}")
        if answer.status_code >= 500:
            wrong.append(f"{method} {rule.rule} ({rule.endpoint}) breaks: {answer.status_code}")
    assert wrong == []


def test_every_change_needs_the_token_of_our_own_page(app: Flask, sign_in: SignInAs) -> None:
    browser = sign_in("administrator")
    wrong = []
    for rule, method in routes(app):
        if method in SAFE or is_api(rule):
            continue
        is_for_others = bool(getattr(app.view_functions[rule.endpoint], "is_cross_site", False))
        assert not is_for_others or rule.endpoint in PUBLIC, f"{rule.endpoint} trusts a cookie without a token"
        answer = ask(browser, rule, method, forged=True)
        if not is_for_others and answer.status_code not in {400, 403}:
            wrong.append(f"{method} {rule.rule} answers {answer.status_code} without a token")
    assert wrong == []


def test_looking_changes_nothing(app: Flask, sign_in: SignInAs, sqlite_database: Database) -> None:
    browser = sign_in("administrator")
    before = contents(sqlite_database)
    for rule, method in routes(app):
        if method == "GET" and not is_api(rule) and rule.endpoint not in RECORDS_A_HIT:
            ask(browser, rule, method)
            assert contents(sqlite_database) == before, f"GET {rule.rule} changed the database"


def contents(database: Database) -> int:
    with database.reader.connect() as connection:
        return hash(
            tuple(tuple(connection.execute(sa.select(table))) for table in Base.metadata.sorted_tables).__repr__()
        )


def test_every_answer_is_one_of_ours(app: Flask, sign_in: SignInAs) -> None:
    """Each page for a missing thing and each refusal carries the content policy and no stack trace."""
    browser = sign_in("administrator")
    for rule, method in routes(app):
        answer = ask(browser, rule, method, headers={"HX-Request-Type": "partial"})
        assert "Content-Security-Policy" in answer.headers, rule.rule
        assert b"Traceback" not in answer.data, rule.rule
        if rule.endpoint in {"accounts.sign_out", "accounts.end_other_sign_ins"}:
            browser = sign_in("administrator", email=f"{rule.endpoint}@example.com")


def test_names_on_the_lists_exist(app: Flask) -> None:
    """A list that names what is gone would hide what comes back under that name."""
    listed = PUBLIC | SALES_MAY_CHANGE | ADMINISTRATOR_ONLY | EDITORS_LOOK | RECORDS_A_HIT
    assert listed - set(app.view_functions) == set()


def test_every_route_answers_on_postgresql_too(database: Database, tmp_path: Path) -> None:
    """What SQLite forgives (a loose comparison, a GROUP BY that leaves out a column) breaks here."""
    if database.is_sqlite:
        pytest.skip("the other tests of this file walk SQLite")
    env = {"TRELLIS_DATA": str(tmp_path), "TRELLIS_SECRET_KEY": "x" * 40}
    app = create_app(Config.from_environment(env), database)
    app.test_client_class = Browser
    with database.write() as session:
        user = users.create(
            session, email="a@example.com", name="A", role="administrator", password=PASSWORD, zone="Europe/Zurich"
        )
    wrong = []
    for rule, method in routes(app):
        browser = app.test_client()
        with database.write() as session, app.app_context():
            token = signing_in.start(session, user.id, address="", browser="", at=clock.now())
            browser.set_cookie(guards.cookie_name(), token)
        answer = ask(browser, rule, method)
        if answer.status_code >= 500:
            wrong.append(f"{method} {rule.rule} breaks: {answer.status_code}")
    assert wrong == []
