"""Marketers write, test and publish mail in the browser; everybody's outbox and mailbox say what became of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.db import Database
from app.mail import documents, editing, publishing, queries
from app.mail.models import Mail, MailVersion
from app.outbox import Message
from app.preferences import suppressing, topics
from app.preferences.models import Subscription
from app.tracking.recording import record
from tests.mail.making import make_lead

SignIn = Callable[..., FlaskClient]
FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def marketer(sign_in: SignIn, sqlite_database: Database) -> FlaskClient:
    with sqlite_database.write() as session:
        topics.create(session, name="Product news")
    return sign_in("marketer")


def draft(database: Database, number: int = 1) -> dict[str, Any]:
    with database.read() as session:
        return dict(session.get_one(Mail, number).draft)


def make(browser: FlaskClient) -> str:
    answer = browser.post("/mails", data={"name": "Spring news", "topic_id": 1})
    assert answer.status_code == 303
    return str(answer.location)


def test_a_mail_is_written_block_by_block_and_published(marketer: FlaskClient, sqlite_database: Database) -> None:
    page = make(marketer)
    assert marketer.get(page).status_code == 200
    marketer.post(f"{page}/draft", data={"subject": "Spring", "preheader": "News"}, headers=FRAGMENT)
    names = [block["id"] for block in draft(sqlite_database)["blocks"]]
    answer = marketer.post(
        f"{page}/blocks/{names[2]}", data={"label": "Go", "url": "https://x.test", "align": "left"}, headers=FRAGMENT
    )
    assert (
        answer.text.startswith("Go")
        and "field-error" not in answer.text
        and "mail-changed" in answer.headers["HX-Trigger"]
    )
    marketer.post(f"{page}/blocks", data={"kind": "columns"}, headers=FRAGMENT)
    columns = draft(sqlite_database)["blocks"][3]["id"]
    marketer.post(f"{page}/blocks", data={"kind": "text", "column": f"{columns}:1"}, headers=FRAGMENT)
    marketer.post(f"{page}/blocks/{names[0]}/position", data={"to": "down"}, headers=FRAGMENT)
    marketer.post(f"{page}/blocks/{names[1]}/position", data={"column": f"{columns}:0"}, headers=FRAGMENT)
    kinds = [block["kind"] for block in draft(sqlite_database)["blocks"]]
    assert kinds == ["heading", "button", "columns"]
    assert [[leaf["kind"] for leaf in column] for column in draft(sqlite_database)["blocks"][2]["columns"]] == [
        ["text"],
        ["text"],
    ]
    marketer.post(f"{page}/publication")
    with sqlite_database.read() as session:
        version = session.scalars(sa.select(MailVersion)).one()
        assert (version.number, version.subject, version.links) == (
            1,
            "Spring",
            [{"url": "https://x.test", "label": "Go"}],
        )
    assert "Up to date" in marketer.get(page).text


def test_a_plain_path_is_told_right_below_where_it_is_written(marketer: FlaskClient, sqlite_database: Database) -> None:
    page = make(marketer)
    button = draft(sqlite_database)["blocks"][2]["id"]
    told = marketer.post(f"{page}/blocks/{button}", data={"label": "Go", "url": "/pricing"}, headers=FRAGMENT).text
    assert "such as https://www.example.com/pricing." in told and f'id="url-fault-{button}"' in told
    assert "lacks the website" in marketer.get(f"{page}/blocks?block={button}", headers=FRAGMENT).text


def test_an_unfinished_mail_is_not_published_and_says_why(marketer: FlaskClient, sqlite_database: Database) -> None:
    page = make(marketer)
    assert "The subject is empty" in marketer.get(f"{page}/problems", headers=FRAGMENT).text
    marketer.post(f"{page}/publication")
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(MailVersion)).all() == []


def test_a_removed_block_can_be_put_back_where_it_was(marketer: FlaskClient, sqlite_database: Database) -> None:
    page = make(marketer)
    before = draft(sqlite_database)["blocks"]
    answer = marketer.post(f"{page}/blocks/{before[1]['id']}/removal", headers=FRAGMENT)
    assert "Put it back" in answer.text and len(draft(sqlite_database)["blocks"]) == 2
    marketer.post(f"{page}/blocks", data={"block": json.dumps(before[1]), "before": before[2]["id"]}, headers=FRAGMENT)
    assert draft(sqlite_database)["blocks"] == before


def test_a_block_that_somebody_removed_is_a_sentence(marketer: FlaskClient) -> None:
    page = make(marketer)
    answer = marketer.post(f"{page}/blocks/00000000", data={"text": "x"}, headers=FRAGMENT)
    assert answer.status_code == 409 and "somebody removed it" in answer.text
    assert marketer.post(f"{page}/blocks", data={"kind": "video"}, headers=FRAGMENT).status_code == 400


def test_the_preview_shows_a_lead_and_cannot_run_anything(marketer: FlaskClient, sqlite_database: Database) -> None:
    page = make(marketer)
    with sqlite_database.write() as session:
        lead_id = make_lead(session, clock.now(), first_name="<b>Eve</b>")
    answer = marketer.get(f"{page}/preview?lead={lead_id}")
    assert "Hello &lt;b&gt;Eve" in answer.text and "script-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "Hello Ada" in marketer.get(f"{page}/preview").text


def test_a_test_mail_goes_to_the_address_given_as_the_lead_chosen(
    marketer: FlaskClient, sqlite_database: Database
) -> None:
    page = make(marketer)
    assert marketer.post(f"{page}/tests", data={"to": "me@example.com"}, headers=FRAGMENT).status_code == 422
    marketer.post(f"{page}/draft", data={"subject": "Hi {{ lead.first_name }}", "preheader": ""}, headers=FRAGMENT)
    name = draft(sqlite_database)["blocks"][2]["id"]
    marketer.post(f"{page}/blocks/{name}", data={"label": "Go", "url": "https://x.test/go"}, headers=FRAGMENT)
    assert marketer.post(f"{page}/tests", data={"to": "nonsense"}, headers=FRAGMENT).status_code == 422
    assert marketer.post(f"{page}/tests", data={"to": "me@example.com"}, headers=FRAGMENT).status_code == 200
    with sqlite_database.read() as session:
        message = session.scalars(sa.select(Message)).one()
        assert (message.recipient, message.purpose, message.state) == ("me@example.com", "operational", "ready")
        assert message.inputs is not None and message.inputs["subject"] == "[Test] Hi Ada"
        assert "https://x.test/go" in message.inputs["html"] and "{{" not in message.inputs["html"]


def test_an_older_version_comes_back_as_the_draft(marketer: FlaskClient, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        given = {"subject": "One", "blocks": [{"kind": "text", "text": "x"}]}
        mail = publishing.create(session, name="A", at=clock.now(), topic_id=1, draft=given)
        assert publishing.publish(session, mail.id, at=clock.now()).number == 1
        assert publishing.publish(session, mail.id, at=clock.now()).number == 1
        publishing.save(session, mail, {**given, "subject": "Two"}, at=clock.now())
        assert publishing.publish(session, mail.id, at=clock.now()).number == 2
    marketer.post("/mails/1/versions/1/restoration")
    assert draft(sqlite_database)["subject"] == "One"
    assert "Version 2 is sent" in marketer.get("/mails/1").text


def test_a_viewer_looks_and_changes_nothing(marketer: FlaskClient, sign_in: SignIn) -> None:
    page = make(marketer)
    viewer = sign_in("viewer")
    assert viewer.get(page).status_code == viewer.get("/mails").status_code == viewer.get("/outbox").status_code == 200
    for path in (f"{page}/publication", f"{page}/draft", "/mails", "/outbox/failed/resending", "/topics"):
        assert viewer.post(path).status_code == 403


def test_the_outbox_shows_what_did_not_leave_and_lets_people_decide(
    marketer: FlaskClient, sqlite_database: Database
) -> None:
    with sqlite_database.write() as session:
        for state, reason in (
            ("in_doubt", "in_doubt"),
            ("failed", "bounced"),
            ("deferred", "deferred"),
            ("held", "campaign_paused"),
        ):
            at = clock.now()
            session.add(
                Message(
                    state=state,
                    reason=reason,
                    recipient=f"{state}@x.test",
                    created_at=at,
                    not_before=at + timedelta(hours=1),
                    reply="451 <b>",
                )
            )
    for state in ("in_doubt", "failed", "deferred", "held"):
        page = marketer.get(f"/outbox?state={state}").text
        assert f"{state}@x.test" in page and "451 &lt;b&gt;" in page
    marketer.post("/outbox/1/resending", data={"state": "in_doubt"})
    marketer.post("/outbox/held/abandonment", data={"state": "held"})
    marketer.post("/outbox/1/abandonment", data={"state": "x"})
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Message.state).order_by(Message.id)).all() == [
            "cancelled",
            "failed",
            "deferred",
            "cancelled",
        ]


def test_consent_is_recorded_and_withdrawn_on_the_lead_page(marketer: FlaskClient, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        lead_id = make_lead(session, clock.now())
    url = f"/leads/{lead_id}/consent"
    assert "Not asked" in marketer.get(url).text
    assert "Agreed" in marketer.post(url, data={"do": "give", "topic": "product-news", "source": "At the fair"}).text
    assert "Wants no mail at all." in marketer.post(url, data={"do": "withdraw"}).text
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Subscription.state)).all() == ["withdrawn"]


def test_topics_are_kept_in_order(marketer: FlaskClient, sqlite_database: Database) -> None:
    marketer.post("/topics", data={"name": "Events", "is_public": "1"})
    marketer.post("/topics/2/position", data={"to": "up"})
    marketer.post("/topics/2", data={"name": "Meet-ups", "is_public": ""})
    assert marketer.post("/topics", data={"name": " "}).status_code == 422
    with sqlite_database.read() as session:
        found = [(topic.key, topic.name, topic.is_public) for topic in topics.everything(session)]
    assert found == [("events", "Meet-ups", False), ("product-news", "Product news", True)]


def test_mails_round_trip_as_documents(app: Flask, sqlite_database: Database, tmp_path: Path) -> None:
    document = {
        "key": "welcome",
        "name": "Welcome",
        "purpose": "marketing",
        "topic": "news",
        "subject": "Hi {{ lead.first_name }}",
        "preheader": "",
        "blocks": [{"kind": "columns", "columns": [[{"kind": "text", "text": "a"}], [{"kind": "divider"}]]}],
    }
    runner = app.test_cli_runner()
    file = tmp_path / "welcome.json"
    file.write_text(json.dumps(document))
    refused = runner.invoke(args=["mails", "import", str(file)])
    assert (refused.exit_code, "no topic with the key" in refused.stderr) == (1, True)
    assert runner.invoke(args=["topics", "create", "News"]).exit_code == 0
    done = runner.invoke(args=["mails", "import", str(file), "--publish", "--json"])
    assert json.loads(done.stdout) == {"key": "welcome", "version": 1}
    assert json.loads(runner.invoke(args=["mails", "export", "welcome"]).stdout) == document
    assert json.loads(runner.invoke(args=["mails", "list", "--json"]).stdout)[0]["version"] == 1
    file.write_text(json.dumps({**document, "subject": "{{ lead.nope }}"}))
    assert "no merge tag" in runner.invoke(args=["mails", "import", str(file), "--publish"]).stderr
    with sqlite_database.read() as session:
        kept = session.scalars(sa.select(Mail)).one()
        assert documents.write(session, kept)["subject"] == "Hi {{ lead.first_name }}"


def test_the_command_line_sends_and_reads_at_a_given_time(app: Flask, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        at = clock.now() - timedelta(days=400)
        session.add(
            Message(
                key="a",
                purpose="operational",
                recipient="a@x.test",
                created_at=at,
                not_before=at,
                inputs={"subject": "S", "text": "T"},
            )
        )
    runner = app.test_cli_runner()
    sent = runner.invoke(args=["send", "--now", "2026-03-01T09:00Z", "--json"])
    assert json.loads(sent.stdout)["sent"] == 1
    (letter,) = json.loads(runner.invoke(args=["mailbox", "list", "--json"]).stdout)
    assert (letter["recipient"], letter["received_at"]) == ("a@x.test", "2026-03-01T09:00:00Z")
    shown = json.loads(runner.invoke(args=["mailbox", "show", "1", "--json"]).stdout)
    assert shown["text"].strip() == "T"
    assert runner.invoke(args=["mailbox", "show", "9"]).exit_code == 1
    assert runner.invoke(args=["send", "--now", "yesterday"]).exit_code == 2


def test_editing_never_loses_a_block() -> None:
    made, name = editing.add({"blocks": []}, "columns")
    made, leaf = editing.add(made, "text", column=f"{name}:1")
    made = editing.change(made, name, {"count": 3})
    made = editing.move(made, leaf, column=f"{name}:2")
    made = editing.change(made, name, {"count": 2})
    assert [[block["id"] for block in column] for column in made["blocks"][0]["columns"]] == [[], [leaf]]
    with pytest.raises(editing.NoBlock):
        editing.move(made, name, column=f"{name}:0")


def test_an_address_can_be_suppressed_and_released_by_hand(marketer: FlaskClient, sqlite_database: Database) -> None:
    assert "Local mailbox" in marketer.get("/settings/delivery").text
    marketer.post("/settings/delivery/suppressions", data={"email": "Ada@Example.com", "do": "suppress"})
    with sqlite_database.read() as session:
        assert suppressing.reason(session, "ada@example.com") is not None
    assert marketer.post("/settings/delivery/suppressions", data={"email": "x"}).status_code == 422
    marketer.post("/settings/delivery/suppressions", data={"email": "ada@example.com", "do": "release"})
    with sqlite_database.read() as session:
        assert suppressing.reason(session, "ada@example.com") is None


def test_opens_and_clicks_count_as_in_the_reports(sqlite_database: Database, now: datetime) -> None:
    with sqlite_database.write() as session:
        lead = make_lead(session, now)
        for number, agent in enumerate(("human", "unknown", "machine")):
            message = Message(key=f"k{number}", lead_id=lead, state="sent", created_at=now, not_before=now)
            session.add(message)
            session.flush()
            given = {"identity_id": lead, "subject": "welcome", "at": now, "message_id": message.id}
            record(session, kind="email_sent", **given)
            record(session, kind="email_opened", agent=agent, **given)
            record(session, kind="email_clicked", agent=agent, **given)
        assert queries.figures(session, "welcome")["welcome"] == queries.Figures(3, 2, 2)
