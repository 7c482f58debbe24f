"""Consent written by a flow: only with a legal ground, never over somebody's no, and with its source."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from app.db import Database
from app.engine.steps import subscribe, unsubscribe
from app.engine.ticking import tick
from app.outbox import Message
from app.preferences import consenting
from app.preferences.models import Consent, OptOut, Subscription
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import events, passing, states


def standing(database: Database) -> dict[int, str]:
    with database.read() as session:
        return dict(session.execute(sa.select(Subscription.lead_id, Subscription.state)).all())


def step(kind: str, **settings: Any) -> dict[str, Any]:
    return {"kind": kind, "settings": {"topic": "news", **settings}}


def test_a_lead_is_subscribed_with_the_ground_but_not_over_its_own_no(database: Database) -> None:
    with database.write() as session:
        factories.topic(session)
        ids = factories.leads(session, 3)
        one = sa.select(sa.column("id")).select_from(factories.rows(ids[1:2]))
        consenting.withdraw(session, one, "news", source="link", at=NOW)
        all_ = sa.select(sa.column("id")).select_from(factories.rows(ids[2:3]))
        consenting.withdraw(session, all_, None, source="link", at=NOW)
    flow = step("subscribe", ground="customers", proof="Order form")
    passing(database, flow, ids=ids, at=NOW + timedelta(hours=1))
    passing(database, flow, ids=ids, key="again", at=NOW + timedelta(hours=2))
    assert standing(database) == {ids[0]: "given", ids[1]: "withdrawn", ids[2]: "withdrawn"}
    with database.read() as session:
        given = session.scalars(sa.select(Consent).where(Consent.state == "given")).all()
        assert [(c.lead_id, c.source) for c in given] == [(ids[0], "Campaign nurture")]
        assert (
            given[0].wording
            == "The marketer confirms: they are customers, and it is about similar products. Order form"
        )


def test_without_a_ground_nobody_can_be_subscribed() -> None:
    assert "why you may write" in subscribe.check(subscribe.Subscribe(topic="news"))[0].sentence
    assert subscribe.check(subscribe.Subscribe(topic="news", ground="asked")) == []


def test_a_topic_is_left_and_its_queued_mail_is_not_sent(database: Database) -> None:
    with database.write() as session:
        factories.topic(session)
        factories.mail(session)
        ids = factories.leads(session, 2, topic="news")
    mail = {"kind": "send_email", "settings": {"mail": "welcome"}}
    passing(database, mail, step("unsubscribe"), ids=ids)
    assert standing(database) == dict.fromkeys(ids, "withdrawn")
    assert {props["source"] for _, _, props in events(database, "consent_withdrawn")} == {"Campaign nurture"}
    with database.read() as session:
        assert set(session.scalars(sa.select(Message.state))) == {"cancelled"}


def test_all_mail_is_left_and_the_flow_ends_as_with_any_unsubscribe(database: Database) -> None:
    with database.write() as session:
        factories.topic(session)
        ids = factories.leads(session, 1, topic="news")
    wait = {"kind": "wait", "settings": {"amount": 2, "unit": "days"}}
    passing(database, step("unsubscribe", what="all", topic=""), wait, ids=ids)
    tick(database, NOW)
    assert states(database) == [("exited", "unsubscribed")]
    with database.read() as session:
        assert session.scalar(sa.select(OptOut.lead_id)) == ids[0]


def test_a_topic_must_be_chosen_to_leave_it() -> None:
    assert unsubscribe.STEP.check(unsubscribe.Unsubscribe())[0].sentence == "Topic is missing."
