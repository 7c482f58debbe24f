"""Entering and leaving other campaigns from within one."""

from __future__ import annotations

import sqlalchemy as sa

from app.db import Database
from app.engine.models import Campaign, Decision, Enrollment
from app.engine.ticking import tick
from app.outbox import Message
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import events, passing

WAIT = {"kind": "wait", "settings": {"amount": 2, "unit": "days"}}


def where(database: Database) -> list[tuple[str, int, str, str | None]]:
    with database.read() as session:
        rows = sa.select(Campaign.key, Enrollment.lead_id, Enrollment.state, Enrollment.reason).join(
            Campaign, Campaign.id == Enrollment.campaign_id
        )
        return sorted((key, lead, state, reason) for key, lead, state, reason in session.execute(rows))


def test_a_lead_enters_another_campaign_and_goes_on_in_this(database: Database) -> None:
    with database.write() as session:
        ids = factories.leads(session, 1)
        factories.campaign(session, factories.flow(WAIT), key="other")
    passing(database, {"kind": "enter_campaign", "settings": {"campaign": "other"}}, WAIT, ids=ids)
    tick(database, NOW)
    assert where(database) == [("nurture", ids[0], "active", None), ("other", ids[0], "active", None)]


def test_a_lead_is_taken_out_of_another_campaign_with_the_reason_and_its_mail_is_withdrawn(database: Database) -> None:
    with database.write() as session:
        factories.topic(session)
        factories.mail(session)
        ids = factories.leads(session, 3, topic="news")
    mail = {"kind": "send_email", "settings": {"mail": "welcome"}}
    passing(database, mail, WAIT, ids=ids, key="other")
    leave = {"kind": "leave_campaign", "settings": {"campaign": "other"}}
    passing(database, leave, WAIT, ids=ids[:2])
    tick(database, NOW)
    reason = "taken out by campaign nurture"
    assert where(database) == [
        ("nurture", ids[0], "active", None),
        ("nurture", ids[1], "active", None),
        ("other", ids[0], "exited", reason),
        ("other", ids[1], "exited", reason),
        ("other", ids[2], "active", None),
    ]
    with database.read() as session:
        assert list(session.scalars(sa.select(Message.state).order_by(Message.lead_id))) == [
            "cancelled",
            "cancelled",
            "ready",
        ]
        assert session.scalar(sa.select(sa.func.count()).where(Decision.port == "end")) == 2
    assert [(lead, props["reason"]) for lead, _, props in events(database, "campaign_left")] == [
        (i, reason) for i in ids[:2]
    ]


def test_both_campaigns_in_one_batch_and_a_reason_of_ones_own(database: Database) -> None:
    with database.write() as session:
        ids = factories.leads(session, 2)
        leave = {"kind": "leave_campaign", "settings": {"campaign": "other", "reason": "bought it"}}
        first = factories.campaign(session, factories.flow(leave), key="nurture")
        other = factories.campaign(
            session, factories.flow({"kind": "add_tag", "settings": {"tag": "x"}}, WAIT), key="other"
        )
        factories.request(session, first, ids)
        factories.request(session, other, ids)
    tick(database, NOW)
    assert [state[2:] for state in where(database)] == [("completed", None)] * 2 + [("exited", "bought it")] * 2
