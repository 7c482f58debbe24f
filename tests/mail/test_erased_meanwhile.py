"""SEMANTICS 28: whoever is erased while a mail is on its way, or an answer comes back, stays erased, and nothing breaks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app import signing
from app.db import Database
from app.leads import erasing
from app.leads.models import Lead
from app.mail import leasing, queueing, recovering, resolving, returning
from app.mail.rendering import Envelope
from app.mail.transporttype import Outcome
from app.outbox import Message
from app.preferences.models import OptOut, Suppression
from app.tracking.models import Event
from tests.mail.test_delivering import SENT, Wire, prepare, run, states
from tests.mail.test_feedback import arf, dsn

ADDRESS = "lead0@example.com"
REPLIES = [
    Outcome("sent", f"250 queued for {ADDRESS}"),
    Outcome("failed", f"550 5.1.1 no such user {ADDRESS}", "5.1.1"),
    Outcome("deferred", f"451 4.3.0 not now, {ADDRESS}", "4.3.0"),
    Outcome("in_doubt", f"The connection broke after {ADDRESS}."),
]


def erase(database: Database, at: datetime) -> None:
    with database.write() as session:
        erasing.erase(session, session.scalars(sa.select(sa.func.min(Lead.id))).one(), at=at)


def nobody_is_named(database: Database) -> bool:
    """Whether the address stands nowhere any more, and is suppressed for good."""
    with database.read() as session:
        assert session.scalars(sa.select(Suppression.reason)).all() == ["erased"]
        kept: list[Any] = [tuple(row) for row in session.execute(sa.select(Message.__table__))]
        kept += [tuple(row) for row in session.execute(sa.select(Event.props, Event.evidence))]
        kept += [tuple(row) for row in session.execute(sa.select(Lead.__table__))]
    return ADDRESS not in repr(kept)


@pytest.mark.parametrize("outcome", REPLIES, ids=lambda outcome: outcome.state)
@pytest.mark.parametrize("purpose", ["marketing", "operational"])
def test_rule_28_erased_while_the_mail_is_on_its_way(
    database: Database, now: datetime, outcome: Outcome, purpose: str
) -> None:
    prepare(database, now, 1, purpose)

    def leaves(_envelope: Envelope) -> Outcome:
        erase(database, now)
        return outcome

    run(database, Wire(leaves), now)
    assert nobody_is_named(database)
    again = Wire()
    run(database, again, now + timedelta(hours=2))
    with database.write() as session:
        resolving.try_again(session, sa.true(), at=now + timedelta(hours=2))
    run(database, again, now + timedelta(hours=3))
    assert again.got == []
    assert nobody_is_named(database)


def test_rule_28_a_sender_loses_what_it_has_only_claimed(database: Database, now: datetime) -> None:
    prepare(database, now, 1)
    with database.write() as session:
        [held] = leasing.claim(session, now=now, limit=9, worker="w1")
    erase(database, now)
    assert states(database) == [("cancelled", "suppressed")]
    with database.write() as session:
        begins = leasing.Begins(held, signing.address_hash(ADDRESS), {"facts": {"recipient": ADDRESS}})
        assert leasing.begin(session, [begins], now=now, moment=now) == set()
    assert nobody_is_named(database)


def test_rule_28_a_mail_in_doubt_and_one_to_the_bare_address_are_forgotten_too(
    database: Database, now: datetime
) -> None:
    prepare(database, now, 1)
    with database.write() as session:
        inputs = {"subject": "Please confirm", "text": f"Is {ADDRESS} yours?"}
        queueing.queue_one(session, key="c1", at=now + timedelta(days=1), recipient=ADDRESS, inputs=inputs)
        leasing.claim(session, now=now, limit=9, worker="dead")
        session.execute(sa.update(Message).where(Message.state == "claimed").values(state="in_flight"))
        recovering.recover(session, now + timedelta(days=1))
    erase(database, now)
    wire = Wire()
    run(database, wire, now + timedelta(days=2))
    assert wire.got == [] and nobody_is_named(database)
    assert states(database) == [("in_doubt", "in_doubt"), ("cancelled", "suppressed")]


@pytest.mark.parametrize(
    "data",
    [dsn(diagnostic=f"smtp; 550 5.1.1 no such user {ADDRESS}"), dsn(status="5.7.1"), arf(), arf("opt-out")],
    ids=["bounce", "refusal", "complaint", "opt-out"],
)
def test_rule_28_what_comes_back_about_an_erased_person_is_taken_and_not_kept(
    database: Database, now: datetime, data: bytes
) -> None:
    prepare(database, now, 1)
    run(database, Wire(lambda _envelope: SENT), now)
    erase(database, now)
    with database.write() as session:
        returning.take(session, data, at=now)
    assert nobody_is_named(database)
    with database.read() as session:
        assert session.scalars(sa.select(OptOut)).all() == []
        assert "email_bounced" not in session.scalars(sa.select(Event.kind)).all()
