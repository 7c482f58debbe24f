"""SEMANTICS 22: what comes back by mail is understood, acted on once and at once, and never breaks the intake."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app import signing
from app.db import Database
from app.engine.models import Enrollment
from app.engine.ticking import tick
from app.mail import delivering, feedback, links, rendering, returning
from app.mail.feedback import NotFeedback
from app.outbox import Message
from app.preferences.models import OptOut, Suppression
from app.tracking.models import Event
from tests import factories
from tests.conftest import NOW
from tests.mail.test_delivering import Wire

links.use("https://trellis.example.com")
HOUR = timedelta(hours=1)


def verp(number: int = 1) -> str:
    return f"b+{signing.token('bounce', number)}@example.com"


def our_id(number: int = 1) -> str:
    return f"<{number}.{rendering._secret(number)}@example.com>"


def dsn(
    action: str = "failed",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 No such user",
    to: str | None = None,
) -> bytes:
    """A bounce as RFC 3464 has it."""
    return f"""Return-Path: <>
From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.net>
To: {verp() if to is None else to}
Subject: Undelivered Mail Returned to Sender
Message-ID: <dsn-1@mx.example.net>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

I am sorry.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; lead1@example.com
Action: {action}
Status: {status}
Diagnostic-Code: {diagnostic}

--b1
Content-Type: message/rfc822

From: <mail@example.com>
Message-ID: {our_id()}
Subject: Welcome

Hello
--b1--
""".replace("\n", "\r\n").encode()


def arf(kind: str = "abuse") -> bytes:
    """A complaint as RFC 5965 has it."""
    return f"""From: <fbl@provider.example>
To: <abuse@example.com>
Subject: FW: Welcome
Message-ID: <arf-1@provider.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain

This is an abuse report.

--b1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: SomeGenerator/1.0
Version: 1

--b1
Content-Type: message/rfc822

From: <mail@example.com>
Message-ID: {our_id()}

Hello
--b1--
""".encode()


def reply(more: str = "", references: str | None = None, subject: str = "Re: Welcome") -> bytes:
    return f"""From: Lead <lead1@example.com>
To: <hello@example.com>
Subject: {subject}
Message-ID: <r1@example.com>
In-Reply-To: {our_id() if references is None else references}
{more}
Tell me more.
""".encode()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (dsn(), "bounced"),
        (dsn(to="postmaster@example.com"), "bounced"),  # found by the Message-ID of what is quoted
        (dsn(status="5.0.0", diagnostic="smtp; 550 User unknown"), "bounced"),
        (dsn(status="5.2.2", diagnostic="smtp; 552 5.2.2 Mailbox full"), "refused"),
        (dsn(status="5.7.1", diagnostic="smtp; 550 5.7.1 Policy; user unknown to us"), "refused"),
        (dsn("delayed", "4.4.1"), "delayed"),
        (dsn("delivered", "2.0.0"), "delivered"),
        (arf(), "complained"),
        (arf("opt-out"), "opted_out"),
        (arf("not-spam"), "automatic"),
        (reply(), "replied"),
        (reply("Auto-Submitted: no\n"), "replied"),
        (reply("Auto-Submitted: auto-replied\n"), "automatic"),
        (reply("Precedence: bulk\n"), "automatic"),
        (reply(subject="Out of Office: back on Monday"), "automatic"),
        (reply(subject="=?utf-8?q?R=C3=A9ponse_automatique?="), "automatic"),
    ],
)
def test_what_came_back_is_understood(data: bytes, kind: str) -> None:
    assert (feedback.read(data).kind, feedback.read(data).message_id) == (kind, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (reply(references="<someone@else.example>"), "answers none of our mails"),
        (reply(references="<1.00000000000000000000@example.com>"), "answers none of our mails"),
        (dsn(to="b+AAAAAAAAAAAAAAAAAAAA@example.com").replace(our_id().encode(), b"<x@y>"), "names none of our mails"),
        (dsn("", ""), "what became of the mail"),
        (b"x" * (feedback.LARGEST + 1), "larger"),
    ],
)
def test_what_is_not_about_our_mail_is_refused_with_a_sentence(data: bytes, words: str) -> None:
    with pytest.raises(NotFeedback, match=words):
        feedback.read(data)


PIECES = st.sampled_from(
    [
        *dsn().split(b"\r\n"),
        *arf().split(b"\n"),
        b"--b1--",
        b"\x00\xff",
        b"Content-Transfer-Encoding: base64",
        b"=?x?b?=?=",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.binary(max_size=400), st.lists(PIECES, max_size=30).map(b"\n".join)))
@example(b"Content-Type: multipart/report; boundary=\n\n--\n")
@example(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 600)
@example(b"Content-Type: message/delivery-status\n\nStatus: =?utf-8?b?////?=\n")
def test_whatever_comes_in_ends_in_success_or_one_sentence(data: bytes) -> None:
    try:
        assert feedback.read(data).message_id == 1
    except NotFeedback as error:
        assert str(error).endswith(".") and "\n" not in str(error)


class Sent:
    """A lead that was sent the welcome and waits for more in one flow, and is owed another mail by another flow."""

    def __init__(self, database: Database, **governing: Any) -> None:
        self.database = database
        mail = {"kind": "send_email", "settings": {"mail": "welcome"}}
        wait = {"kind": "wait", "settings": {"amount": 2, "unit": "days"}}
        with database.write() as session:
            factories.topic(session)
            factories.mail(session)
            factories.mail(session, "other")
            self.lead = factories.leads(session, 1, topic="news")[0]
            made = factories.campaign(session, factories.flow(mail, wait, topic="news", **governing))
            factories.request(session, made, [self.lead])
        tick(database, NOW)
        delivering.run_once(database, Wire(), now=NOW, worker="w")
        other = {"kind": "send_email", "settings": {"mail": "other"}}
        with database.write() as session:
            made = factories.campaign(session, factories.flow(other), "second")
            factories.request(session, made, [self.lead], at=NOW + HOUR)
        tick(database, NOW + HOUR)

    def take(self, data: bytes, at: datetime = NOW + 2 * HOUR) -> None:
        with self.database.write() as session:
            returning.take(session, data, at=at)

    def messages(self) -> list[tuple[str, str | None]]:
        with self.database.read() as session:
            rows = session.execute(sa.select(Message.state, Message.reason).order_by(Message.id))
            return [(row.state, row.reason) for row in rows]

    def events(self, kind: str) -> list[Event]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(Event).where(Event.kind == kind)))

    def passages(self) -> list[tuple[str, str | None]]:
        with self.database.read() as session:
            rows = session.execute(sa.select(Enrollment.state, Enrollment.reason).order_by(Enrollment.id))
            return [(row.state, row.reason) for row in rows]

    def suppressed(self) -> list[str]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(Suppression.reason)))


@pytest.mark.parametrize(
    ("data", "reason", "kind"), [(dsn(), "bounce", "email_bounced"), (arf(), "complaint", "email_complained")]
)
def test_rule_22_a_bounce_or_complaint_cancels_at_once_and_ends_the_flow(
    database: Database, data: bytes, reason: str, kind: str
) -> None:
    world = Sent(database)
    assert world.messages() == [("sent", None), ("ready", None)]
    world.take(data)
    assert world.messages()[1] == ("cancelled", "suppressed")
    assert world.suppressed() == [reason]
    world.take(data)
    assert len(world.events(kind)) == 1
    tick(database, NOW + 3 * HOUR)
    assert world.passages()[0] == ("exited", "unsubscribed")
    if kind == "email_bounced":
        assert world.messages()[0] == ("failed", "bounced")
        assert world.events(kind)[0].props["type"] == "hard"


def test_rule_22_stay_no_mail_keeps_the_lead_in_the_flow(database: Database) -> None:
    world = Sent(database, on_unsubscribe="stay")
    world.take(arf())
    tick(database, NOW + 3 * HOUR)
    assert world.passages()[0] == ("active", None)
    assert world.messages()[1] == ("cancelled", "suppressed")


def test_a_soft_bounce_keeps_the_address_and_the_flow(database: Database) -> None:
    world = Sent(database)
    world.take(dsn(status="5.2.2", diagnostic="smtp; 552 5.2.2 Mailbox full"))
    tick(database, NOW + 3 * HOUR)
    assert (world.suppressed(), world.messages()) == ([], [("failed", "refused"), ("ready", None)])
    assert world.events("email_bounced")[0].props["type"] == "soft"
    assert world.passages()[0] == ("active", None)


def test_a_delay_and_an_automatic_answer_change_nothing(database: Database) -> None:
    world = Sent(database)
    world.take(dsn("delayed", "4.4.1"))
    world.take(reply("Auto-Submitted: auto-replied\n"))
    assert world.messages() == [("sent", None), ("ready", None)]
    assert world.events("email_replied") == world.events("email_bounced") == []


def test_a_reply_is_something_the_lead_did_and_shows_that_a_mail_in_doubt_arrived(database: Database) -> None:
    world = Sent(database)
    with database.write() as session:
        session.execute(sa.update(Message).where(Message.id == 1).values(state="in_doubt", reason="in_doubt"))
    world.take(reply())
    world.take(reply())
    found = world.events("email_replied")
    assert [(event.subject, event.agent, event.message_id) for event in found] == [("welcome", "human", 1)]
    assert world.messages()[0] == ("sent", None)


def test_a_provider_may_pass_on_that_somebody_wants_out(database: Database) -> None:
    world = Sent(database)
    world.take(arf("opt-out"))
    with database.read() as session:
        assert session.scalars(sa.select(OptOut.lead_id)).all() == [world.lead]
    assert world.messages()[1] == ("cancelled", "unsubscribed")


def test_the_command_takes_files_and_mailboxes(app: Flask, sqlite_database: Database, tmp_path: Path) -> None:
    world = Sent(sqlite_database)
    one, many, wrong = tmp_path / "one", tmp_path / "many", tmp_path / "wrong"
    one.write_bytes(reply())
    many.write_bytes(
        b"From a\n" + dsn("delayed", "4.4.1").replace(b"\r", b"") + b"\nFrom b\n" + dsn().replace(b"\r", b"")
    )
    wrong.write_bytes(b"Hello")
    run = app.test_cli_runner().invoke
    assert run(args=["mail", "feedback", str(one)]).output == "Message 1: The lead answered the mail.\n"
    assert "under way still" in (told := run(args=["mail", "feedback", str(many)]).output) and "does not exist" in told
    refused = run(args=["mail", "feedback", str(wrong)])
    assert (refused.exit_code, refused.stderr) == (1, "This answers none of our mails and is no report about one.\n")
    assert run(args=["mail", "feedback", "-"], input=arf()).exit_code == 0
    assert world.suppressed() == ["bounce"]
