"""Alerts from a flow reach somebody who is there."""

from __future__ import annotations

import sqlalchemy as sa

from app.db import Database
from app.leads.models import Lead
from app.outbox import Message
from app.sales import mailing
from app.sales.models import Alert
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import passing, user


def test_the_owner_is_told_and_the_administrators_where_no_owner_is_there(database: Database) -> None:
    with database.write() as session:
        boss, own = user(session, "boss", role="administrator").id, user(session, "own").id
        gone = user(session, "gone", is_active=False).id
        ids = factories.leads(session, 3)
        session.execute(sa.update(Lead).where(Lead.id == ids[0]).values(owner_id=own))
        session.execute(sa.update(Lead).where(Lead.id == ids[1]).values(owner_id=gone))
    passing(database, {"kind": "notify", "settings": {"text": "Look at {{ lead.first_name }}"}}, ids=ids)
    passing(
        database, {"kind": "notify", "settings": {"text": "Hey", "to": "gone@example.com"}}, ids=ids[:1], key="person"
    )
    with database.write() as session:
        told = session.execute(sa.select(Alert.lead_id, Alert.user_id, Alert.text).order_by(Alert.id)).all()
        assert sorted(map(tuple, told)) == sorted(
            [
                (ids[0], own, "Look at Lead 1"),
                (ids[1], boss, "Look at Lead 2"),
                (ids[2], boss, "Look at Lead 3"),
                (ids[0], boss, "Hey"),
            ]
        )
        mailing.run_once(session, NOW)
        sent = session.scalars(sa.select(Message.recipient).order_by(Message.recipient)).all()
        assert sent == ["boss@example.com"] * 3 + ["own@example.com"]
