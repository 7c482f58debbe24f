"""What recipients do with a mail is heard, believed only from people, and obeyed at once; looking changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import clock, signing
from app.accounts import organisation
from app.db import Base, Database
from app.leads.models import Lead
from app.mail import delivering, links, publishing, queueing
from app.mail.mailboxes import Mailbox
from app.mail.transporttype import open_transport
from app.outbox import Message
from app.preferences import topics
from app.preferences.models import Consent, OptOut, Subscription
from app.tracking.models import Event
from tests.mail.making import make_consenting_lead

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
DRAFT = {
    "subject": "Hello {{ lead.first_name }}",
    "blocks": [
        {
            "kind": "text",
            "text": "[A](https://example.com/a?utm_source=x) [B](https://example.com/b) [C](https://example.com/c)",
        },
        {"kind": "button", "label": "Ours", "url": "https://www.nordhafen.example/guide?x=1"},
    ],
}


@pytest.fixture
def message(client: FlaskClient, sqlite_database: Database, now: datetime, tmp_path: Any) -> int:
    """One mail, delivered an hour ago to a lead who agreed to two topics."""
    with sqlite_database.write() as session:
        organisation.update(
            session, name="Nordhafen", website="https://www.nordhafen.example", from_email="a@nordhafen.example"
        )
        lead_id = make_consenting_lead(session, now, first_name="Ada")
        topics.create(session, name="Events")
        mail = publishing.create(session, name="Welcome", at=now, topic_id=1, draft=DRAFT)
        publishing.publish(session, mail.id, at=now)
        number = queueing.queue_one(session, key="m", at=now, lead_id=lead_id, mail_key="welcome", purpose="marketing")
    sent_at = clock.now() - timedelta(hours=1)
    assert delivering.run_once(sqlite_database, open_transport("mailbox:", tmp_path), now=sent_at, worker="w").sent == 1
    assert number is not None
    return number


def events(database: Database, kind: str) -> list[Any]:
    with database.read() as session:
        return list(session.scalars(sa.select(Event).where(Event.kind == kind).order_by(Event.id)))


def state(database: Database) -> dict[str, int]:
    """How many rows each table holds, and what the subscriptions say: what a GET must not change."""
    with database.read() as session:
        counts = {
            t.name: session.scalar(sa.select(sa.func.count()).select_from(t)) or 0 for t in Base.metadata.sorted_tables
        }
        given = session.scalar(sa.select(sa.func.count()).where(Subscription.state == "given")) or 0
    return {**counts, "given": given}


def url(page: str, number: int) -> str:
    return links.pages(number)[page].removeprefix(links.base_url())


def test_a_click_leads_to_the_address_in_the_mail_and_is_recorded(
    client: FlaskClient, sqlite_database: Database, message: int
) -> None:
    answer = client.get(url("click_base", message) + "0", headers=BROWSER)
    assert (answer.status_code, answer.location) == (302, "https://example.com/a?utm_source=x")
    (event,) = events(sqlite_database, "email_clicked")
    assert (event.subject, event.agent, event.message_id) == ("welcome", "human", message)
    assert event.props == {"url": "https://example.com/a?utm_source=x", "label": "A", "position": 0}
    assert event.evidence["why"]


def test_a_click_joins_the_browser_to_the_lead(client: FlaskClient, sqlite_database: Database, message: int) -> None:
    client.get(url("click_base", message) + "0", headers=BROWSER)
    cookie = client.get_cookie("trellis_visitor")
    assert cookie is not None
    with sqlite_database.read() as session:
        identities = Base.metadata.tables["identities"]
        lead_id = session.scalar(sa.select(identities.c.lead_id).where(identities.c.token == cookie.value))
        assert lead_id == session.scalar(sa.select(Lead.id))


def test_only_on_our_own_site_the_address_tells_who_comes(client: FlaskClient, message: int) -> None:
    there = client.get(url("click_base", message) + "3", headers=BROWSER).location
    assert there.startswith("https://www.nordhafen.example/guide?x=1&trl=")
    assert "trl" not in client.get(url("click_base", message) + "1", headers=BROWSER).location


@pytest.mark.parametrize(
    "path",
    [
        "/c/{token}/99",
        "/c/nonsense/0",
        "/c/{other}/0",
        "/c/{token}/https://evil.test",
        "/c/{token}/0/..//evil.test",
        "/c/{token}/-1",
        "/c/{token}/0?url=https://evil.test",
    ],
)
def test_no_address_of_ours_leads_anywhere_else(client: FlaskClient, message: int, path: str) -> None:
    token, other = signing.token("click", message), signing.token("open", message)
    answer = client.get(path.format(token=token, other=other), headers=BROWSER)
    assert answer.status_code == 404 or answer.location == "https://example.com/a?utm_source=x"
    assert "evil" not in (answer.location or "")


def test_machines_are_told_apart(client: FlaskClient, sqlite_database: Database, message: int) -> None:
    client.get(url("click_base", message) + "0", headers={"User-Agent": "Barracuda Sentinel (EE)"})
    client.head(url("click_base", message) + "1", headers=BROWSER)
    assert {event.agent for event in events(sqlite_database, "email_clicked")} == {"machine"}
    assert client.get_cookie("trellis_visitor") is None


def test_three_links_at_once_are_a_machine_also_in_hindsight(
    client: FlaskClient, sqlite_database: Database, message: int
) -> None:
    for place in range(3):
        client.get(url("click_base", message) + str(place), headers=BROWSER)
    assert [event.agent for event in events(sqlite_database, "email_clicked")] == ["machine"] * 3


def test_a_click_right_after_sending_is_a_scanner(client: FlaskClient, sqlite_database: Database, message: int) -> None:
    with sqlite_database.write() as session:
        session.execute(sa.update(Message).values(finished_at=clock.now()))
    client.get(url("click_base", message) + "0", headers=BROWSER)
    assert events(sqlite_database, "email_clicked")[0].agent == "machine"


def test_the_open_picture_is_the_same_for_everybody(
    client: FlaskClient, sqlite_database: Database, message: int
) -> None:
    known, unknown = client.get(url("open_url", message), headers=BROWSER), client.get("/o/nonsense.gif")
    assert known.data == unknown.data and len(known.data) == 43
    assert (unknown.status_code, unknown.headers["Cache-Control"], unknown.mimetype) == (200, "no-store", "image/gif")
    (event,) = events(sqlite_database, "email_opened")
    assert (event.subject, event.agent) == ("welcome", "human")


def test_a_mail_in_doubt_that_is_clicked_has_arrived(
    client: FlaskClient, sqlite_database: Database, message: int
) -> None:
    with sqlite_database.write() as session:
        session.execute(sa.update(Message).values(state="in_doubt", reason="in_doubt"))
        session.execute(sa.delete(Event))
    client.get(url("click_base", message) + "0", headers=BROWSER)
    with sqlite_database.read() as session:
        assert session.execute(sa.select(Message.state, Message.reason)).one() == ("sent", None)
    assert len(events(sqlite_database, "email_sent")) == 1


@pytest.mark.parametrize("page", ["unsubscribe_url", "preferences_url", "why_url", "view_url"])
def test_looking_changes_nothing(client: FlaskClient, sqlite_database: Database, message: int, page: str) -> None:
    before = state(sqlite_database)
    answer = client.get(url(page, message), headers=BROWSER)
    assert answer.status_code == 200
    client.head(url(page, message))
    assert state(sqlite_database) == before
    assert client.get(url(page, message)[:-2] + "AA").status_code == 404


def test_one_click_unsubscribe_needs_no_cookie_no_token_and_no_second_page(
    client: FlaskClient, sqlite_database: Database, message: int
) -> None:
    for _ in range(2):
        answer = client.post(
            url("unsubscribe_url", message),
            data={"List-Unsubscribe": "One-Click"},
            headers={"Sec-Fetch-Site": "cross-site"},
            forged=True,
        )
        assert answer.status_code == 200 and "Set-Cookie" not in answer.headers
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Subscription.state)).all() == ["withdrawn"]
        newest = session.scalars(sa.select(Consent).order_by(Consent.id.desc())).first()
        assert newest is not None and (newest.source, newest.state) == ("One-click unsubscribe", "withdrawn")
        assert session.scalar(sa.select(sa.func.count()).where(Consent.state == "withdrawn")) == 1
        assert session.scalars(sa.select(OptOut)).all() == []


def test_an_unsubscribe_is_counted_for_the_mail_whose_link_was_used(
    client: FlaskClient, sqlite_database: Database, message: int
) -> None:
    client.post(f"/u/{signing.token('unsubscribe', message)}")
    with sqlite_database.read() as session:
        left = session.scalars(sa.select(Event).where(Event.kind == "consent_withdrawn")).one()
    assert left.message_id == message


def test_one_click_also_comes_as_a_multipart_form(client: FlaskClient, sqlite_database: Database, message: int) -> None:
    data = {"List-Unsubscribe": "One-Click"}
    client.post(url("unsubscribe_url", message), data=data, content_type="multipart/form-data", forged=True)
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Subscription.state)).all() == ["withdrawn"]


def test_leaving_everything_and_coming_back(client: FlaskClient, sqlite_database: Database, message: int) -> None:
    page = client.post(url("unsubscribe_url", message), data={"from": "all"}, forged=True)
    assert b"no more mail from us" in page.data
    with sqlite_database.read() as session:
        assert len(session.scalars(sa.select(OptOut)).all()) == 1
    assert b"Good to have you back" in client.post(url("unsubscribe_url", message) + "/return", forged=True).data
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(OptOut)).all() == []
        states = dict(session.execute(sa.select(Subscription.topic_id, Subscription.state)).all())
        assert states == {1: "given", 2: "withdrawn"}


def test_choosing_topics_records_only_what_changed(
    client: FlaskClient, sqlite_database: Database, message: int
) -> None:
    client.post(url("preferences_url", message), data={"topic": ["product-news", "events"]}, forged=True)
    client.post(url("preferences_url", message), data={"topic": ["events"]}, forged=True)
    with sqlite_database.read() as session:
        found = session.execute(
            sa.select(Subscription.topic_id, Subscription.state).order_by(Subscription.topic_id)
        ).all()
        assert [tuple(row) for row in found] == [(1, "withdrawn"), (2, "given")]
        assert session.scalar(sa.select(sa.func.count()).select_from(Consent)) == 3


def test_a_rest_and_its_end(client: FlaskClient, sqlite_database: Database, message: int) -> None:
    assert (
        b"No mail until" in client.post(url("preferences_url", message) + "/rest", data={"days": 30}, forged=True).data
    )
    assert b"rest is over" in client.post(url("preferences_url", message) + "/rest", data={"days": 0}, forged=True).data
    client.post(url("preferences_url", message) + "/rest", data={"days": 9999}, forged=True)
    with sqlite_database.read() as session:
        assert session.execute(sa.text("SELECT count(*) FROM mail_pauses")).scalar() == 0


def test_why_am_i_getting_this_says_when_and_how_i_agreed(client: FlaskClient, message: int) -> None:
    page = client.get(url("why_url", message)).text
    assert "you agreed to hear about" in page and "Product news" in page and "Test" in page


def test_recipients_read_instants_by_the_clock_where_they_live(
    client: FlaskClient, message: int, sqlite_database: Database
) -> None:
    with sqlite_database.write() as session:
        session.execute(sa.update(Lead).values(zone="Asia/Tokyo"))
    assert " JST" in client.get(url("why_url", message)).text


def test_the_mail_in_the_browser_cannot_run_anything(client: FlaskClient, message: int) -> None:
    answer = client.get(url("view_url", message))
    assert "Ours" in answer.text and "script-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_mailbox_shows_the_mail_and_its_links_work(client: FlaskClient, message: int, tmp_path: Any) -> None:
    opened = Mailbox(tmp_path).open(1)
    assert opened is not None
    assert opened.letter.subject == "Hello Ada"
    assert links.pages(message)["click_base"] in opened.html
    assert dict(opened.headers)["List-Unsubscribe"] == f"<{links.pages(message)['unsubscribe_url']}>"
