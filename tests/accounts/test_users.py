"""Users, roles, tokens, the organisation, the audit trail."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app.accounts import organisation, passwords, tokens, users
from app.accounts.models import ApiToken, Audit, User
from app.db import Database

SignInAs = Callable[..., FlaskClient]
GOOD = {"email": "ben@example.com", "name": "Ben", "role": "sales", "password": "a long enough sentence"}


def one(database: Database, query: sa.Select[tuple[User]]) -> User | None:
    with database.read() as session:
        return session.scalar(query)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"email": "ben"}, "mail address"),
        ({"email": "a@b.com\r\nBcc: x@y.com"}, "mail address"),
        ({"name": " "}, "name"),
        ({"name": "B\nen"}, "one line"),
        ({"role": "boss"}, "role"),
        ({"password": "short"}, "10 characters"),
        ({"password": "aaaaaaaaaaaa"}, "too easy"),
        ({"password": "x" * 1001}, "1000"),
        ({"zone": "Mars/Base"}, "time zone"),
    ],
)
def test_a_user_who_cannot_be_is_refused_in_one_sentence(database: Database, change: dict[str, str], word: str) -> None:
    with database.write() as session, pytest.raises(users.BadUser, match=word) as refusal:
        users.create(session, **{**GOOD, **change})
    assert str(refusal.value).count("\n") == 0


def test_an_address_belongs_to_one_user(database: Database) -> None:
    with database.write() as session:
        users.create(session, **GOOD)
        with pytest.raises(users.BadUser, match="already"):
            users.create(session, **{**GOOD, "email": "BEN@example.com"})


def test_the_first_administrator_is_made_once(database: Database) -> None:
    with database.write() as session:
        first = users.create_first(session, email="admin@example.com", name="Admin", password=passwords.invent())
        assert first is not None and first.role == "administrator"
        assert users.create_first(session, email="b@example.com", name="B", password=passwords.invent()) is None


def test_an_administrator_adds_a_user_and_sees_the_password_once(
    sign_in: SignInAs, app: Flask, sqlite_database: Database
) -> None:
    answer = sign_in("administrator").post("/users", data={"email": "ben@example.com", "name": "Ben", "role": "sales"})
    assert answer.status_code == 200
    password = answer.text.split("<code>")[1].split("</code>")[0]
    browser = app.test_client()
    assert browser.post("/sign-in", data={"email": "ben@example.com", "password": password}).status_code == 303
    with sqlite_database.read() as session:
        details = json.dumps([audit.detail for audit in session.scalars(sa.select(Audit))])
    assert "ben@example.com" in details and password not in details


def test_a_refused_user_comes_back_with_the_form_as_filled_in(sign_in: SignInAs) -> None:
    answer = sign_in("administrator").post("/users", data={"email": "nonsense", "name": "<b>Ben</b>", "role": "sales"})
    assert answer.status_code == 422
    assert "not a mail address" in answer.text and "&lt;b&gt;Ben" in answer.text and "<b>Ben" not in answer.text


def test_another_role_asks_to_sign_in_again(sign_in: SignInAs) -> None:
    boss, ben = sign_in("administrator"), sign_in("viewer")
    answer = boss.post(f"/users/{ben.user_id}", data={"name": "Ben", "role": "sales", "zone": "Europe/Zurich"})
    assert answer.status_code == 303
    assert ben.get("/profile").status_code == 303


def test_a_deactivated_user_is_out_at_once(sign_in: SignInAs) -> None:
    boss, ben = sign_in("administrator"), sign_in("viewer")
    assert ben.get("/profile").status_code == 200
    assert boss.delete(f"/users/{ben.user_id}/activation").status_code == 303
    assert ben.get("/profile").status_code == 303
    assert boss.post(f"/users/{ben.user_id}/activation").status_code == 303


def test_the_last_administrator_cannot_go(sign_in: SignInAs) -> None:
    boss = sign_in("administrator")
    answer = boss.delete(f"/users/{boss.user_id}/activation")
    assert answer.status_code == 422 and "only administrator" in answer.text
    answer = boss.post(f"/users/{boss.user_id}", data={"name": "B", "role": "viewer", "zone": "UTC"})
    assert answer.status_code == 422


@pytest.mark.parametrize("role", ["marketer", "sales", "viewer"])
def test_only_administrators_see_users_and_the_audit_trail(sign_in: SignInAs, role: str) -> None:
    browser = sign_in(role)
    assert [browser.get(path).status_code for path in ("/users", "/audit", "/users/1")] == [403, 403, 403]
    assert browser.get("/settings").status_code == 200
    assert browser.post("/settings", data={"name": "Mine"}).status_code == 403


def test_the_organisation_is_described_once_and_kept(sign_in: SignInAs, sqlite_database: Database) -> None:
    boss = sign_in("administrator")
    given = {
        "name": "Acme <Ltd>",
        "postal_address": "1 Road\nTown",
        "from_email": "hi@acme.com",
        "zone": "Europe/Zurich",
    }
    assert boss.post("/settings", data=given).status_code == 303
    with sqlite_database.read() as session:
        found = organisation.get(session)
    assert (found.name, found.postal_address, found.zone) == ("Acme <Ltd>", "1 Road\nTown", "Europe/Zurich")
    assert "Acme &lt;Ltd&gt;" in boss.get("/settings").text


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"from_email": "x"},
        {"from_name": "A\r\nBcc: b@c.com"},
        {"website": "javascript:alert(1)"},
        {"zone": "X"},
        {"accent": "red;"},
        {"late_hours": "0"},
        {"late_hours": "a day"},
    ],
)
def test_an_organisation_that_cannot_be_is_refused(sign_in: SignInAs, change: dict[str, str]) -> None:
    assert sign_in("administrator").post("/settings", data={"name": "Acme", **change}).status_code == 422


def test_a_token_is_shown_once_and_can_be_revoked_by_its_owner_alone(
    sign_in: SignInAs, sqlite_database: Database
) -> None:
    anna, ben = sign_in("marketer"), sign_in("sales")
    text = anna.post("/tokens", data={"name": "CRM"}).text.split("<code>trellis_")[1].split("</code>")[0]
    assert text not in anna.get("/tokens").text and "CRM" in anna.get("/tokens").text
    with sqlite_database.read() as session:
        token = session.scalars(sa.select(ApiToken)).one()
        found = tokens.find(session, f"trellis_{text}")
    assert found is not None and found.person.role == "marketer"
    assert ben.delete(f"/tokens/{token.id}").status_code == 404
    assert anna.delete(f"/tokens/{token.id}").status_code == 303
    with sqlite_database.read() as session:
        assert tokens.find(session, f"trellis_{text}") is None


def test_the_audit_trail_is_read_a_page_at_a_time(sign_in: SignInAs) -> None:
    boss = sign_in("administrator")
    for number in range(60):
        boss.post("/tokens", data={"name": f"token {number}"})
    first = boss.get("/audit").text
    assert "token 59" in first and "name: token 0<" not in first
    after = first.split("?after=")[1].split('"')[0]
    second = boss.get(f"/audit?after={after}")
    assert "token 0" in second.text and "token 59" not in second.text


def run(app: Flask, *words: str) -> tuple[int, str, str]:
    answer = app.test_cli_runner().invoke(args=list(words))
    return answer.exit_code, answer.stdout, answer.stderr


def test_users_by_command_line(app: Flask) -> None:
    code, out, _ = run(app, "users", "create", "ben@example.com", "--role", "sales", "--json")
    assert code == 0
    made = json.loads(out)
    assert made["role"] == "sales" and len(made["password"]) > 20
    assert run(app, "users", "create", "ben@example.com")[0] == 1
    assert run(app, "users", "create", "nonsense")[2].count("\n") == 1
    assert run(app, "users", "create", "c@example.com", "--role", "boss")[0] == 2
    assert [user["email"] for user in json.loads(run(app, "users", "list", "--json")[1])] == ["ben@example.com"]
    assert run(app, "users", "password", "nobody@example.com")[0] == 1
    assert run(app, "users", "password", "ben@example.com", "--password", "a long enough sentence")[0] == 0
    assert run(app, "users", "deactivate", "ben@example.com")[0] == 0
