"""Calls to other systems: written with the move, made apart and once for each visit, answered, retried, and at last parked."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from app import signing
from app.calling_out import Caller
from app.db import Database
from app.engine import calling, explaining, retrying
from app.engine.models import Decision, Enrollment, WebhookCall
from app.engine.steps import webhook
from app.engine.ticking import tick
from app.kinds import parse
from app.leads import erasing, updating
from app.leads.models import Lead
from app.tracking.queries import lead_events
from tests import factories
from tests.conftest import NOW

MINUTE = timedelta(minutes=1)
JSON = "application/json"


class Receiver:
    """Another system: answers each call with the next of its answers (status, body), and remembers what it was told."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.answers, self.heard = list(answers), []  # type: tuple[list[tuple[int, bytes]], list[tuple[Any, bytes]]]
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.heard.append((self.headers, body))
                status, answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"


@contextmanager
def receiving(*answers: tuple[int, bytes]) -> Iterator[Receiver]:
    receiver = Receiver(*answers)
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()


class World:
    """Some leads who have come to a step that calls `authority`."""

    def __init__(
        self, database: Database, authority: str, count: int = 1, failed: bool = False, **settings: Any
    ) -> None:
        self.database = database
        self.caller = Caller(own=frozenset({authority}), seconds=1)
        way = {"out": "good"} | ({"failed": "bad"} if failed else {})
        step = {"id": "s1", "kind": "webhook", "settings": {"url": f"http://{authority}/hook", **settings}, "next": way}
        good = {"id": "good", "kind": "add_tag", "settings": {"tag": "good"}, "next": {"out": "end"}}
        bad = {"id": "bad", "kind": "add_tag", "settings": {"tag": "bad"}, "next": {"out": "end"}}
        with database.write() as session:
            self.leads = factories.leads(session, count)
            self.campaign = factories.campaign(session, factories.flow(step, good, bad))
            factories.request(session, self.campaign, self.leads)
        tick(database, NOW)

    def call(self, now: datetime = NOW) -> calling.Called:
        called = calling.deliver(self.database, self.caller, now=now, worker="w")
        tick(self.database, now)
        return called

    def where(self) -> list[tuple[str, str, str | None]]:
        with self.database.read() as session:
            rows = sa.select(Enrollment.state, Enrollment.step, Enrollment.reason).order_by(Enrollment.lead_id)
            return [tuple(row) for row in session.execute(rows)]

    def calls(self) -> list[WebhookCall]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(WebhookCall).order_by(WebhookCall.id)))

    def ports(self) -> list[tuple[str, str]]:
        with self.database.read() as session:
            rows = sa.select(Decision.step, Decision.port).order_by(Decision.enrollment_id, Decision.visit)
            return [tuple(row) for row in session.execute(rows)]


def test_rule_17_the_step_writes_the_call_and_the_lead_waits_for_its_answer(database: Database) -> None:
    with receiving((200, b'{"ok": true}')) as receiver:
        world = World(database, receiver.authority, count=3)
        assert receiver.heard == []
        assert world.where() == [("active", "s1", None)] * 3
        tick(database, NOW + MINUTE)
        assert len(world.calls()) == 3
        assert world.call(NOW + MINUTE) == calling.Called(answered=3)
        assert world.call(NOW + 2 * MINUTE) == calling.Called()
    assert len(receiver.heard) == 3
    assert [state for state, *_ in world.where()] == ["completed"] * 3
    assert world.ports()[:3] == [("s1", "out"), ("good", "out"), ("end", "end")]


def test_a_call_says_who_and_why_and_is_signed_so_that_its_receiver_can_tell(database: Database) -> None:
    with receiving((204, b"")) as receiver:
        world = World(
            database, receiver.authority, fields="email, first_name, owner_id, city", values="source = fair\nn = 3"
        )
        world.call()
    headers, body = receiver.heard[0]
    told = json.loads(body)
    lead = {"id": world.leads[0], "email": "lead1@example.com", "first_name": "Lead 1", "city": "", "score": 0}
    assert told["lead"] == {**lead, "stage": "subscriber"}
    assert told["values"] == {"source": "fair", "n": 3}
    assert (told["campaign"], told["step"], told["visit"]) == ("nurture", "s1", 1)
    signed = headers["Trellis-Timestamp"].encode() + b"." + body
    wanted = hmac.new(signing.webhook_secret().encode(), signed, hashlib.sha256).hexdigest()
    assert headers["Trellis-Signature"] == f"v1={wanted}"
    assert headers["Idempotency-Key"] == f"{told['passage']}-1"


def test_values_of_the_answer_are_kept_as_fields_of_the_lead_in_their_types(database: Database) -> None:
    with database.write() as session:
        factories.field(session, "rating", "number")
        factories.field(session, "fits", "switch")
        factories.field(session, "since", "date")
    answer = {"result": {"score": "7,5", "fits": True, "list": [{"name": "Bern"}]}, "bad": "never", "deep": {"a": 1}}
    keep = "rating = result.score\nfits = result.fits\ncity = result.list.0.name\nsince = bad\njob_title = deep\nphone = none"
    with receiving((200, json.dumps(answer).encode())) as receiver:
        world = World(database, receiver.authority, keep=keep)
        world.call()
    with database.read() as session:
        lead = session.get_one(Lead, world.leads[0])
        assert (lead.city, lead.fields) == ("Bern", {"rating": 7.5, "fits": True})
        events = lead_events().subquery()
        changed = sa.select(events.c.subject).where(events.c.kind == "field_changed")
        assert sorted(session.scalars(changed)) == ["city", "fits", "rating"]
    call = world.calls()[0]
    assert call.answer == answer
    assert call.reason == "Since is “never”; write a date as 2026-05-31. deep is more than one value."
    assert world.where()[0][0] == "completed"


def test_rule_16_a_server_that_is_down_is_asked_again_ever_later_with_the_same_key_and_bytes(
    database: Database,
) -> None:
    with receiving((503, b"busy"), (500, b""), (200, b"{}")) as receiver:
        world = World(database, receiver.authority)
        assert world.call(NOW).deferred == 1
        assert world.call(NOW + 4 * MINUTE) == calling.Called()
        assert world.call(NOW + 5 * MINUTE).deferred == 1
        assert world.call(NOW + 14 * MINUTE) == calling.Called()
        assert world.where() == [("active", "s1", None)]
        with database.read() as session:
            told = explaining.why(session, world.leads[0], world.campaign.id)[0].lines[-1].sentence
        busy = f"{receiver.authority} answered 500. It is asked again at 2026-03-02 09:15 UTC."
        assert told == f"Waits here for an answer: {busy}"
        assert world.call(NOW + 15 * MINUTE).answered == 1
    assert len({(headers["Idempotency-Key"], body) for headers, body in receiver.heard}) == 1
    assert world.where()[0][0] == "completed"


@pytest.mark.parametrize("is_drawn", [True, False])
def test_rule_16_at_last_the_lead_leaves_by_the_failed_path_or_is_parked_with_the_reason(
    database: Database, is_drawn: bool
) -> None:
    with receiving((503, b"")) as receiver:
        world = World(database, receiver.authority, failed=is_drawn)
        now = NOW
        for tries in range(retrying.MOST_TRIES):
            assert world.where()[0][0] == "active"
            world.call(now)
            now += retrying.delay(tries)
        assert len(receiver.heard) == retrying.MOST_TRIES
    reason = f"{receiver.authority} answered 503."
    if is_drawn:
        assert world.where() == [("completed", "end", None)]
        assert world.ports()[:2] == [("s1", "failed"), ("bad", "out")]
    else:
        assert world.where() == [("failed", "s1", reason)]
    with database.read() as session:
        assert session.scalar(sa.select(Decision.why).where(Decision.step == "s1")) == {"note": reason}


def test_rule_16_what_has_failed_can_be_tried_once_more_by_a_person(database: Database) -> None:
    with receiving((404, b""), (404, b""), (200, b"{}")) as receiver:
        world = World(database, receiver.authority, count=2)
        assert world.call().failed == 2
        assert [state for state, *_ in world.where()] == ["failed", "failed"]
        later = NOW + 60 * MINUTE
        with database.write() as session:
            assert retrying.retry(session, Enrollment.campaign_id == world.campaign.id, now=later) == 2
            assert retrying.retry(session, Enrollment.campaign_id == world.campaign.id, now=later) == 0
        tick(database, later)
        assert world.call(later).answered == 2
    assert [state for state, *_ in world.where()] == ["completed", "completed"]
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.heard}) == 4


REFUSED = {
    302: "a redirect, which is not followed",
    404: "answered 404",
    410: "answered 410",
}


@pytest.mark.parametrize("status", REFUSED)
def test_an_answer_that_will_not_change_is_final_at_once(database: Database, status: int) -> None:
    with receiving((status, b"")) as receiver:
        world = World(database, receiver.authority)
        assert world.call() == calling.Called(failed=1)
    assert len(receiver.heard) == 1
    state, _, reason = world.where()[0]
    assert state == "failed" and REFUSED[status] in str(reason)


@pytest.mark.parametrize(
    "body", [b"", b"thanks", b"[1]", b"{" * 100_000, b'{"a":' * 20_000, b'{"a": "' + b"x" * 70_000 + b'"}']
)
def test_a_success_without_a_readable_answer_is_a_success(database: Database, body: bytes) -> None:
    with receiving((200, body)) as receiver:
        world = World(database, receiver.authority, keep="city = a")
        assert world.call().answered == 1
    assert world.where()[0][0] == "completed"
    assert world.calls()[0].answer is None
    assert "no JSON object" in str(world.calls()[0].reason)


def test_an_answer_with_what_no_database_stores_is_kept_without_it(database: Database) -> None:
    body = b'{"a": "x\\u0000\\ud800y", "n": 1e999, "m": NaN, "big": 123456789012345678901234567890}'
    with receiving((200, body)) as receiver:
        world = World(database, receiver.authority, keep="city = a")
        assert world.call().answered == 1
    assert (world.calls()[0].answer or {})["a"] == "xy"
    with database.read() as session:
        assert session.get_one(Lead, world.leads[0]).city == "xy"


def test_a_server_that_does_not_listen_is_spared_after_three_calls(database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        authority = f"127.0.0.1:{free.getsockname()[1]}"
    world = World(database, authority, count=50)
    called = world.call()
    assert called == calling.Called(deferred=50)
    made = [call.attempt for call in world.calls()]
    assert sum(made) <= 32 and made[-1] == 0
    reasons = " ".join(str(call.reason) for call in world.calls())
    assert "refused the connection" in reasons and "does not answer" in reasons


def test_an_address_inside_the_house_is_never_called_unless_named_by_the_administrator(database: Database) -> None:
    with receiving((200, b"{}")) as receiver:
        world = World(database, receiver.authority)
        world.caller = Caller()
        assert world.call() == calling.Called(failed=1)
    assert receiver.heard == []
    assert world.where()[0][0] == "failed"


def test_a_lead_that_has_left_is_not_spoken_of_any_more(database: Database) -> None:
    with receiving((200, b"{}")) as receiver:
        world = World(database, receiver.authority, count=2)
        with database.write() as session:
            erasing.erase(session, world.leads[0], at=NOW)
        assert world.call() == calling.Called(answered=1, cancelled=1)
    assert len(receiver.heard) == 1
    assert world.calls()[0].payload == {}


def test_rule_28_the_answer_about_somebody_who_is_erased_meanwhile_is_not_kept(database: Database) -> None:
    with receiving((200, b'{"city": "Bern"}')) as receiver:
        world = World(database, receiver.authority, keep="city = city")
        dead = calling._Pass(database, world.caller, NOW, "w")
        with database.write() as session:
            held = calling._claim(session, now=NOW, limit=9, worker="w")
        outcomes = [dead.make(call) for call in held]
        with database.write() as session:
            erasing.erase(session, world.leads[0], at=NOW)
        with database.write() as session:
            calling._write(session, list(zip(held, outcomes, strict=True)), now=NOW)
    [call] = world.calls()
    assert (call.state, call.answer, call.payload) == ("answered", None, {})
    with database.read() as session:
        assert session.scalars(sa.select(Lead.city)).all() == [""]


def test_calls_of_a_paused_campaign_wait(database: Database) -> None:
    with receiving((200, b"{}")) as receiver:
        world = World(database, receiver.authority)
        with database.write() as session:
            session.merge(world.campaign).state = "paused"
        written: list[Any] = []
        sa.event.listen(database.writer, "begin", written.append)
        assert calling.deliver(database, world.caller, now=NOW, worker="w") == calling.Called()
        assert written == []  # nobody else is kept from writing, pass after pass
        with database.write() as session:
            session.merge(world.campaign).state = "live"
        assert world.call(NOW + MINUTE).answered == 1


def test_a_worker_that_died_leaves_its_calls_to_the_next_and_loses_its_own_late_answer(database: Database) -> None:
    with receiving((200, b"{}")) as receiver:
        world = World(database, receiver.authority)
        dead = calling._Pass(database, world.caller, NOW, "dead")
        with database.write() as session:
            held = calling._claim(session, now=NOW, limit=9, worker="dead")
        assert world.call(NOW + MINUTE) == calling.Called()
        assert world.call(NOW + 2 * calling.LEASE).answered == 1
        outcome = dead.make(held[0])
        with database.write() as session:
            assert calling._write(session, [(held[0], outcome)], now=NOW) == []
    assert len({headers["Idempotency-Key"] for headers, _ in receiver.heard}) == 1


def test_a_change_of_the_lead_while_it_waits_changes_nothing_of_the_call(database: Database) -> None:
    with receiving((500, b""), (200, b"{}")) as receiver:
        world = World(database, receiver.authority)
        world.call()
        with database.write() as session:
            updating.set_values(session, world.leads[0], {"first_name": "Other"}, at=NOW)
        world.call(NOW + 5 * MINUTE)
    assert receiver.heard[0][1] == receiver.heard[1][1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"url": "nowhere"}, "Write the whole address"),
        ({"url": "https://me:pw@example.com/"}, "name and password"),
        ({"url": "https://example.com/", "keep": "city"}, "not understood"),
        ({"url": "https://example.com/", "keep": "email = a"}, "email address"),
        ({"url": "https://example.com/", "values": "a = 1\na = 2"}, "twice"),
    ],
)
def test_settings_that_cannot_work_are_told_when_drawn(settings: dict[str, Any], sentence: str) -> None:
    read, _ = parse(webhook.Webhook, settings)
    assert read is not None
    assert any(sentence in complaint.sentence for complaint in webhook.check(read))


def test_on_the_command_line_webhooks_are_called_with_the_mails(app: Flask, sqlite_database: Database) -> None:
    with receiving((200, b"{}")) as receiver:
        world = World(sqlite_database, receiver.authority)
        answer = app.test_cli_runner().invoke(args=["send", "--now", "2026-03-02T09:00Z", "--json"])
        assert json.loads(answer.output)["webhooks"] == {"answered": 0, "deferred": 0, "failed": 1, "cancelled": 0}
    listed = app.test_cli_runner().invoke(args=["webhooks", "list", "--json"])
    assert json.loads(listed.output)[0]["state"] == "failed"
    assert app.test_cli_runner().invoke(args=["webhooks", "secret"]).output.strip() == signing.webhook_secret()
    app.test_cli_runner().invoke(args=["tick", "--now", "2026-03-02T09:01Z", "--send"])
    assert world.where()[0][0] == "failed"
