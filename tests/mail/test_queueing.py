"""What is owed is written once per visit, and a mail that may not go out says why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Key, rows_of
from app.mail import queueing
from app.outbox import Message
from app.preferences import suppressing
from tests.mail.making import make_consenting_lead, make_lead, make_mail


def source(*visits: tuple[int, int, int]) -> sa.Subquery:
    """(lead, enrollment, visit), all at step s1 of campaign 7."""
    rows = [[lead, enrollment, visit, 7, "s1"] for lead, enrollment, visit in visits]
    return rows_of(rows, lead_id=Key, enrollment_id=Key, visit=sa.BigInteger(), campaign_id=Key, step=sa.String())


def outcomes(session: Session) -> list[tuple[Any, ...]]:
    rows = session.execute(sa.select(Message.lead_id, Message.state, Message.reason).order_by(Message.id))
    return [tuple(row) for row in rows]


def test_each_visit_is_owed_one_mail_with_the_reason_why_not(session: Session, now: datetime) -> None:
    mail = make_mail(session, now)
    willing = make_consenting_lead(session, now)
    silent = make_lead(session, now, "b@example.com")
    nowhere = make_lead(session, now, None)
    queueing.queue_for(session, source((willing, 1, 1), (silent, 2, 1), (nowhere, 3, 1)), mail_key="welcome", at=now)
    assert outcomes(session) == [
        (willing, "ready", None),
        (silent, "not_sent", "no_consent"),
        (nowhere, "not_sent", "no_address"),
    ]
    message = session.scalars(sa.select(Message).where(Message.lead_id == willing)).one()
    assert (message.mail_version_id, message.campaign_id, message.step) == (mail.version_id, 7, "s1")
    assert (message.purpose, message.priority, message.bucket) == ("marketing", 5, willing % 64)


def test_the_same_visit_twice_is_one_mail_and_another_visit_another(session: Session, now: datetime) -> None:
    make_mail(session, now)
    lead_id = make_consenting_lead(session, now)
    for visit in (1, 1, 2):
        queueing.queue_for(session, source((lead_id, 1, visit)), mail_key="welcome", at=now)
    assert [row[1] for row in outcomes(session)] == ["ready", "ready"]


def test_a_mail_never_published_is_not_sent_for_that_reason(session: Session, now: datetime) -> None:
    make_mail(session, now).version_id = None
    session.flush()
    queueing.queue_for(session, source((make_consenting_lead(session, now), 1, 1)), mail_key="welcome", at=now)
    assert outcomes(session)[0][1:] == ("not_sent", "no_version")


def test_many_leads_take_as_many_statements_as_one(session: Session, now: datetime) -> None:
    make_mail(session, now)
    visits = [(make_lead(session, now, f"a{n}@example.com"), n, 1) for n in range(1, 60)]
    seen: list[str] = []
    sa.event.listen(session.get_bind(), "before_cursor_execute", lambda *a: seen.append(a[2]))
    queueing.queue_for(session, source(*visits), mail_key="welcome", at=now)
    assert len(seen) == 4
    assert len(outcomes(session)) == 59


def test_one_mail_by_key_is_queued_once(session: Session, now: datetime) -> None:
    whole = {"subject": "New lead", "html": "<p>x</p>", "text": "x"}
    first = queueing.queue_one(session, key="alert:1", at=now, recipient="rep@example.com", inputs=whole)
    assert first is not None
    assert queueing.queue_one(session, key="alert:1", at=now, recipient="rep@example.com", inputs=whole) is None
    message = session.get_one(Message, first)
    assert (message.state, message.purpose, message.priority, message.inputs) == ("ready", "operational", 0, whole)


def test_one_mail_to_a_lead_obeys_its_permission(session: Session, now: datetime) -> None:
    make_mail(session, now)
    lead_id = make_lead(session, now)
    queueing.queue_one(session, key="a", at=now, lead_id=lead_id, mail_key="welcome", purpose="marketing")
    queueing.queue_one(session, key="b", at=now, lead_id=lead_id, mail_key="welcome")
    suppressing.suppress(session, "rep@example.com", "bounce", "", now)
    queueing.queue_one(session, key="c", at=now, recipient="rep@example.com", inputs={"subject": "x"})
    assert [row[1:] for row in outcomes(session)] == [
        ("not_sent", "no_consent"),
        ("ready", None),
        ("not_sent", "suppressed"),
    ]


def test_an_unknown_mail_is_refused_with_a_sentence(session: Session, now: datetime) -> None:
    with pytest.raises(queueing.UnknownMail, match="no mail with the key “nope”"):
        queueing.queue_for(session, source((1, 1, 1)), mail_key="nope", at=now)
