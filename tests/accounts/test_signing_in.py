"""Signing in: who gets in, how often one may try, how long it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.accounts import limiting, passwords, signing_in, users
from app.accounts.guards import safe_next
from app.accounts.models import SignIn, User
from app.db import Database

SignInAs = Callable[..., FlaskClient]
PASSWORD = "a long enough sentence"


@pytest.fixture
def anna(sqlite_database: Database) -> User:
    with sqlite_database.write() as session:
        return users.create(session, email="Anna@Example.com", name="Anna", role="marketer", password=PASSWORD)


def try_password(browser: FlaskClient, password: str = PASSWORD, email: str = "anna@example.com", **more: Any) -> Any:
    return browser.post("/sign-in", data={"email": email, "password": password, **more})


def sign_ins(database: Database) -> list[SignIn]:
    with database.read() as session:
        return list(session.scalars(sa.select(SignIn)))


def test_the_right_password_opens_and_only_a_hash_is_kept(
    client: FlaskClient, anna: User, sqlite_database: Database
) -> None:
    answer = try_password(client, email=" ANNA@example.com ")
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/profile").status_code == 200
    [kept] = sign_ins(sqlite_database)
    assert kept.token_hash not in answer.headers["Set-Cookie"] and kept.user_id == anna.id


@pytest.mark.parametrize(
    ("email", "password"), [("anna@example.com", "wrong"), ("nobody@example.com", PASSWORD), ("", "")]
)
def test_wrong_words_get_the_same_answer_whoever_they_name(
    client: FlaskClient, anna: User, email: str, password: str
) -> None:
    answer = try_password(client, password, email)
    assert answer.status_code == 422
    assert "The email address or the password is wrong." in answer.text
    assert client.get("/profile").status_code == 303


def test_the_cookie_is_hidden_from_scripts_and_other_sites(client: FlaskClient, anna: User) -> None:
    cookies = try_password(client).headers.getlist("Set-Cookie")
    [cookie] = [text for text in cookies if "sign_in" in text]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie


def test_signing_in_again_gives_another_token_and_ends_the_old(
    client: FlaskClient, anna: User, sqlite_database: Database
) -> None:
    try_password(client)
    [first] = sign_ins(sqlite_database)
    try_password(client)
    [second] = sign_ins(sqlite_database)
    assert first.token_hash != second.token_hash


def test_signing_out_ends_the_session_on_the_server(client: FlaskClient, anna: User, sqlite_database: Database) -> None:
    try_password(client)
    assert client.get("/sign-out").status_code == 405
    assert client.post("/sign-out").location == "/sign-in"
    assert sign_ins(sqlite_database) == []
    assert client.get("/profile").status_code == 303


def test_a_session_ends_by_itself(client: FlaskClient, anna: User) -> None:
    try_password(client)
    with clock.at(clock.now() + signing_in.LASTS + timedelta(minutes=1)):
        assert client.get("/profile").status_code == 303


def test_ten_wrong_passwords_close_the_account_for_a_while(client: FlaskClient, anna: User) -> None:
    for _ in range(10):
        assert try_password(client, "wrong").status_code == 422
    answer = try_password(client)
    assert answer.status_code == 429 and "Wait 15 minutes" in answer.text
    with clock.at(clock.now() + timedelta(minutes=16)):
        assert try_password(client).status_code == 303


def test_one_address_cannot_try_many_accounts(client: FlaskClient, anna: User, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        for _ in range(60):
            limiting.allow(session, "sign_in_from", "127.0.0.1", most=60, within=timedelta(minutes=15))
    assert try_password(client).status_code == 429


def test_a_success_starts_the_count_anew(client: FlaskClient, anna: User) -> None:
    for _ in range(9):
        try_password(client, "wrong")
    assert try_password(client).status_code == 303
    assert try_password(client, "wrong").status_code == 422


def test_attempts_are_counted_alike_on_both_databases(database: Database) -> None:
    with database.write() as session:
        answers = [limiting.allow(session, "x", "y", most=2, within=timedelta(minutes=1)) for _ in range(3)]
        assert limiting.allow(session, "x", "z", most=2, within=timedelta(minutes=1))
    assert answers == [True, True, False]


def test_a_new_password_signs_out_every_other_browser(app: Flask, client: FlaskClient, anna: User) -> None:
    other = app.test_client()
    try_password(client)
    try_password(other)
    answer = client.post("/profile/password", data={"present": PASSWORD, "password": "another long sentence"})
    assert answer.status_code == 303
    assert client.get("/profile").status_code == 200
    assert other.get("/profile").status_code == 303
    assert try_password(other).status_code == 422
    assert try_password(other, "another long sentence").status_code == 303


@pytest.mark.parametrize(
    "given", [{"present": "wrong", "password": "another long sentence"}, {"present": PASSWORD, "password": "short"}]
)
def test_a_password_is_not_changed_lightly(client: FlaskClient, anna: User, given: dict[str, str]) -> None:
    try_password(client)
    assert client.post("/profile/password", data=given).status_code == 422
    assert try_password(client).status_code == 303


def test_an_unknown_address_costs_as_much_as_a_wrong_password(
    monkeypatch: pytest.MonkeyPatch, sqlite_database: Database
) -> None:
    asked: list[str] = []
    real = passwords.matches
    monkeypatch.setattr(passwords, "matches", lambda kept, given: asked.append(kept) or real(kept, given))
    with sqlite_database.read() as session:
        assert signing_in.check(session, "nobody@example.com", "x") is None
    assert asked == [passwords.DUMMY]
    assert passwords.DUMMY.split("$")[:4] == passwords.hash_of("any password").split("$")[:4]  # by the same costs


NOT_OURS = """//evil.test https://evil.test /\\evil.test \\/evil.test http:evil.test ///evil.test /%2Fevil.test/../x javascript:alert(1)
/\tevil.test //evil.test/%2e%2e /.evil.test @evil.test /@evil.test ./users evil.test?x=/users /sign-in /static/icons.txt /nothing
/users\r\nSet-Cookie:x=1 ?next=/users #/users https:/users /users\\@evil.test data:text/html,x /\x00 //localhost:8000/users ////users""".split(
    " "
)


@pytest.mark.parametrize("given", [part for text in NOT_OURS for part in text.split("\n")])
def test_after_signing_in_nobody_is_led_off_the_site(client: FlaskClient, anna: User, given: str) -> None:
    assert try_password(client, next=given).location == "/"


@pytest.fixture
def request_context(app: Flask) -> Iterator[None]:
    with app.test_request_context():
        yield


@pytest.mark.parametrize("given", ["/users", "/users?x=1&y=//z", "/users/7", "/profile"])
def test_after_signing_in_one_goes_where_one_wanted(request_context: None, given: str) -> None:
    assert safe_next(given) == given
