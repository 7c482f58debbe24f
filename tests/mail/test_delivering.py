"""A mail leaves at most once, a crash loses nothing, and every outcome is a stated state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
from app.leads.models import Lead
from app.mail import delivering, leasing, publishing, queueing
from app.mail.rendering import Envelope
from app.mail.transporttype import Outcome
from app.outbox import Message
from app.preferences import consenting
from app.preferences.models import Suppression
from app.tracking.models import Event
from tests.mail.making import make_consenting_lead, make_lead

SENT = Outcome("sent", "250 2.0.0 queued as 1")


@dataclass
class Wire:
    """A transport of the test's own: it does what the test says and keeps what it was given."""

    answer: Callable[[Envelope], Outcome] = lambda _envelope: SENT
    got: list[Envelope] = field(default_factory=list)

    def deliver(self, envelope: Envelope, then: Envelope | None = None) -> Outcome:
        self.got.append(envelope)
        return self.answer(envelope)

    def close(self) -> None:
        pass


class Killed(BaseException):
    """The process dies here."""


def run(database: Database, wire: Wire, now: datetime, worker: str = "w1", **more: Any) -> delivering.Delivered:
    return delivering.run_once(database, wire, now=now, worker=worker, **more)


def prepare(database: Database, now: datetime, count: int = 3, purpose: str = "marketing") -> list[int]:
    """So many consenting leads, each owed the published mail."""
    with database.write() as session:
        ids = [make_consenting_lead(session, now, f"lead{n}@example.com", first_name=f"N{n}") for n in range(count)]
        mail = publishing.create(session, name="Welcome", at=now, purpose=purpose, topic_id=1, draft=DRAFT)
        publishing.publish(session, mail.id, at=now)
        for lead_id in ids:
            queueing.queue_one(session, key=f"m{lead_id}", at=now, lead_id=lead_id, mail_key="welcome", purpose=purpose)
    return ids


DRAFT = {
    "subject": "Hello {{ lead.first_name }}",
    "preheader": "",
    "blocks": [{"kind": "text", "text": "Dear {{ lead.first_name }}, [look](https://example.com/x)."}],
}


def states(database: Database) -> list[tuple[str, str | None]]:
    with database.read() as session:
        rows = session.execute(sa.select(Message.state, Message.reason).order_by(Message.id))
        return [(row[0], row[1]) for row in rows]


def test_every_owed_mail_leaves_once_and_the_log_knows(database: Database, now: datetime) -> None:
    ids = prepare(database, now)
    wire = Wire()
    report = run(database, wire, now)
    assert (report.sent, [e.recipient for e in wire.got]) == (3, [f"lead{n}@example.com" for n in range(3)])
    assert run(database, wire, now).sent == 0
    assert states(database) == [("sent", None)] * 3
    with database.read() as session:
        events = session.execute(
            sa.select(Event.identity_id, Event.subject, Event.at).where(Event.kind == "email_sent")
        )
        assert sorted(tuple(row) for row in events) == [(lead_id, "welcome", now) for lead_id in ids]
        message = session.scalars(sa.select(Message)).first()
        assert message is not None
        assert (message.reply, message.finished_at, message.claimed_by) == ("250 2.0.0 queued as 1", now, None)


def test_mail_is_not_sent_before_its_time(database: Database, now: datetime) -> None:
    prepare(database, now)
    assert run(database, Wire(), now - timedelta(minutes=1)).sent == 0


def test_mail_whose_time_comes_later_is_not_read_past_to_find_what_is_due(database: Database, now: datetime) -> None:
    prepare(database, now, 1)
    later = {
        "kind": "mail",
        "purpose": "marketing",
        "state": "ready",
        "created_at": now,
        "not_before": now + timedelta(days=1),
    }
    with database.write() as session:
        session.execute(sa.insert(Message), [{**later, "priority": n % 10} for n in range(5_000)])
        session.execute(sa.update(Message).where(Message.key.is_not(None)).values(priority=9))
    if not database.is_sqlite:
        with database.writer.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE messages"))
    asked: list[tuple[str, Any]] = []
    sa.event.listen(database.writer, "before_cursor_execute", lambda *a: asked.append((a[2], a[3])))
    with database.write() as session:
        assert len(leasing.claim(session, now=now, limit=50, worker="w")) == 1
        [claimed] = [each for each in asked if "lease_until" in each[0] and "UNION ALL" in each[0]]
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        found = "\n".join(
            str(row) for row in session.connection().connection.cursor().execute(explain + claimed[0], claimed[1])
        )
    sought = "priority=? AND not_before<?" if database.is_sqlite else "(not_before <="
    assert found.count(sought) == 10, found


def test_operational_mail_leaves_before_marketing(database: Database, now: datetime) -> None:
    prepare(database, now, 2)
    with database.write() as session:
        queueing.queue_one(session, key="a", at=now, recipient="rep@example.com", inputs={"subject": "s", "text": "t"})
    wire = Wire()
    run(database, wire, now)
    assert wire.got[0].recipient == "rep@example.com"


def test_a_temporary_refusal_is_tried_again_later_with_the_same_bytes(database: Database, now: datetime) -> None:
    prepare(database, now, 1)
    wire = Wire(lambda _e: Outcome("deferred", "451 4.3.0 try later", "4.3.0"))
    assert run(database, wire, now).deferred == 1
    assert states(database) == [("deferred", "deferred")]
    with database.write() as session:
        session.execute(sa.update(Lead).values(first_name="Changed"))
    assert run(database, Wire(), now + timedelta(minutes=1)).sent == 0
    wire.answer = lambda _e: SENT
    assert run(database, wire, now + timedelta(minutes=10)).sent == 1
    assert wire.got[0] == wire.got[1]


def test_tries_grow_apart_and_end_after_five_days(database: Database, now: datetime) -> None:
    prepare(database, now, 1)
    wire = Wire(lambda _e: Outcome("deferred", "451 4.3.0 try later", "4.3.0"))
    moment, tries = now, 0
    while states(database)[0][0] in {"ready", "deferred"}:
        run(database, wire, moment)
        moment, tries = moment + timedelta(hours=2), tries + 1
    assert states(database) == [("failed", "gave_up")]
    assert moment - now > timedelta(days=5) and tries == len(wire.got) > 50
    assert leasing.delay(1, 1) < leasing.delay(1, 2) < leasing.delay(1, 4) < timedelta(minutes=62)


def test_an_address_that_does_not_exist_is_never_mailed_again(database: Database, now: datetime) -> None:
    ids = prepare(database, now, 1)
    assert run(database, Wire(lambda _e: Outcome("failed", "550 5.1.1 no such user", "5.1.1")), now).failed == 1
    assert states(database) == [("failed", "bounced")]
    with database.write() as session:
        assert session.scalars(sa.select(Suppression.reason)).all() == ["bounce"]
        assert session.scalars(sa.select(Event.kind).where(Event.kind == "email_bounced")).all() == ["email_bounced"]
        queueing.queue_one(session, key="again", at=now, lead_id=ids[0], mail_key="welcome")
    assert states(database)[1] == ("not_sent", "suppressed")


def test_a_refusal_by_policy_does_not_suppress_the_person(database: Database, now: datetime) -> None:
    prepare(database, now, 1)
    run(database, Wire(lambda _e: Outcome("failed", "550 5.7.1 looks like spam", "5.7.1")), now)
    assert states(database) == [("failed", "refused")]
    with database.read() as session:
        assert session.scalars(sa.select(Suppression)).all() == []


def test_when_the_server_is_down_all_claimed_mail_waits_and_says_why(database: Database, now: datetime) -> None:
    prepare(database, now, 3)
    wire = Wire(lambda _e: Outcome("deferred", "The mail server cannot be reached: refused", is_down=True))
    report = run(database, wire, now)
    assert (report.deferred, report.stopped, len(wire.got)) == (3, "The mail server cannot be reached: refused", 1)
    assert states(database) == [("deferred", "deferred")] * 3
    assert run(database, Wire(), now + timedelta(minutes=7)).sent == 3


@pytest.mark.parametrize("purpose", ["marketing", "operational"])
def test_a_lost_answer_leaves_marketing_in_doubt_and_resends_operational(
    database: Database, now: datetime, purpose: str
) -> None:
    prepare(database, now, 1, purpose)
    wire = Wire(lambda _e: Outcome("in_doubt", "connection lost", is_down=True))
    assert run(database, wire, now).in_doubt == 1
    expected = {"marketing": ("in_doubt", "in_doubt"), "operational": ("deferred", "resent")}
    assert states(database) == [expected[purpose]]
    again = run(database, wire, now + timedelta(hours=1))
    assert again.in_doubt == (0 if purpose == "marketing" else 1)
    assert states(database)[0][0] == "in_doubt"
    assert run(database, Wire(), now + timedelta(hours=2)).sent == 0
    assert len({e.data for e in wire.got}) == 1


def test_a_sender_killed_on_the_wire_leaves_its_mail_in_doubt_and_the_rest_due(
    database: Database, now: datetime
) -> None:
    prepare(database, now, 3)

    def die(envelope: Envelope) -> Outcome:
        if envelope.recipient == "lead1@example.com":
            raise Killed
        return SENT

    with pytest.raises(Killed):
        run(database, Wire(die), now)
    assert [state for state, _ in states(database)] == ["sent", "in_flight", "claimed"]
    assert run(database, Wire(), now + timedelta(minutes=5), "w2").sent == 0
    wire = Wire()
    run(database, wire, now + timedelta(minutes=30), "w2")
    assert [state for state, _ in states(database)] == ["sent", "in_doubt", "sent"]
    assert [e.recipient for e in wire.got] == ["lead2@example.com"]


def test_a_worker_that_finishes_too_late_loses(database: Database, now: datetime) -> None:
    prepare(database, now, 1)

    def slow(_envelope: Envelope) -> Outcome:
        run(database, Wire(), now + timedelta(hours=1), "w2")
        return SENT

    assert run(database, Wire(slow), now).sent == 0
    assert states(database) == [("in_doubt", "in_doubt")]


def test_two_workers_never_claim_the_same(database: Database, now: datetime) -> None:
    prepare(database, now, 5)
    with database.write() as session:
        first = leasing.claim(session, now=now, limit=3, worker="a")
    with database.write() as session:
        second = leasing.claim(session, now=now, limit=3, worker="b")
    assert not {h.id for h in first} & {h.id for h in second}
    assert len(first) + len(second) == 5


def test_an_unsubscribe_after_the_claim_still_counts(database: Database, now: datetime) -> None:
    ids = prepare(database, now, 2)

    def leave(_envelope: Envelope) -> Outcome:
        with database.write() as session:
            consenting.withdraw(session, sa.select(Lead.id).where(Lead.id == ids[1]), None, source="One-click", at=now)
        return SENT

    wire = Wire(leave)
    run(database, wire, now)
    assert states(database) == [("sent", None), ("cancelled", "unsubscribed")]
    assert len(wire.got) == 1


def test_permission_is_looked_at_again_just_before_sending(database: Database, now: datetime) -> None:
    ids = prepare(database, now, 1)
    with database.write() as session:
        consenting.pause(session, ids[0], now + timedelta(days=30), at=now)
        session.execute(sa.update(Message).values(state="ready", reason=None, finished_at=None))
    assert run(database, Wire(), now).not_sent == 1
    assert states(database) == [("not_sent", "paused_by_lead")]


def test_mail_of_a_paused_campaign_is_held_and_leaves_when_it_resumes(database: Database, now: datetime) -> None:
    from app.engine.models import Campaign

    prepare(database, now, 1)
    with database.write() as session:
        campaign = Campaign(key="c", name="C", state="paused", created_at=now, updated_at=now)
        session.add(campaign)
        session.flush()
        session.execute(sa.update(Message).values(campaign_id=campaign.id))
    assert run(database, Wire(), now).held == 1
    assert states(database) == [("held", "campaign_paused")]
    assert run(database, Wire(), now).sent == 0
    with database.write() as session:
        session.execute(sa.update(Campaign).values(state="live"))
    assert run(database, Wire(), now).sent == 1


def test_a_mail_that_cannot_be_written_is_not_sent_and_stops_nobody(database: Database, now: datetime) -> None:
    prepare(database, now, 2)
    with database.write() as session:
        first = session.scalars(sa.select(Message).order_by(Message.id)).first()
        assert first is not None
        first.mail_version_id = 999
    report = run(database, Wire(), now)
    assert (report.sent, report.not_sent) == (1, 1)
    assert states(database)[0] == ("not_sent", "bad_template")


def test_a_lead_without_address_ends_as_that(database: Database, now: datetime) -> None:
    with database.write() as session:
        lead_id = make_lead(session, now)
        queueing.queue_one(session, key="x", at=now, lead_id=lead_id, inputs={"subject": "s", "text": "t"})
        session.execute(sa.update(Lead).values(email=None, canonical_email=None, address_hash=None))
    assert run(database, Wire(), now).not_sent == 1
    assert states(database) == [("not_sent", "no_address")]


def test_a_pass_sends_no_more_than_its_limit(database: Database, now: datetime) -> None:
    prepare(database, now, 5)
    assert run(database, Wire(), now, limit=2).sent == 2
    assert run(database, Wire(), now, limit=100).sent == 3
