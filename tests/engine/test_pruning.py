"""What is old and done with is forgotten, and why a lead went on is still told."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from app.db import Database
from app.engine import explaining, pruning
from app.engine.models import Enrollment, WebhookCall
from app.mail import queueing
from app.outbox import Message
from tests.conftest import NOW
from tests.engine.steps.test_webhook import World, receiving

DAY = timedelta(days=1)
LATER = NOW + pruning.KEPT + DAY


def test_old_calls_are_forgotten_once_their_leads_have_gone_on_and_why_is_still_told(database: Database) -> None:
    with receiving((200, b"{}"), (500, b""), (404, b"")) as receiver:
        world = World(database, receiver.authority, count=3)
        world.call()
    with database.write() as session:
        first = session.scalars(sa.select(Enrollment).where(Enrollment.state == "completed")).one()
        before = explaining.why(session, first.lead_id, world.campaign.id)
        assert pruning.prune(session, NOW + DAY) == 0
        assert pruning.prune(session, LATER) == 1
        # one waits for its next try, one is parked as failed: their calls are needed
        assert sorted(session.scalars(sa.select(WebhookCall.state))) == ["failed", "ready"]
        assert explaining.why(session, first.lead_id, world.campaign.id) == before


def test_old_mail_to_users_is_forgotten_and_mail_to_leads_kept(database: Database) -> None:
    inputs = {"subject": "Lead 1 is ready", "text": "Call her."}
    with receiving((200, b"{}")) as receiver:
        [lead] = World(database, receiver.authority).leads
    with database.write() as session:
        for place, to in enumerate(("rep@example.com", "rep@example.com", None)):
            lead_id = None if to else lead
            queueing.queue_one(session, key=f"m{place}", at=NOW, recipient=to, lead_id=lead_id, inputs=inputs)
        done = sa.update(Message).where(Message.key != "m1")
        session.execute(done.values(state="sent", finished_at=NOW))
        pruning.prune(session, LATER)
        assert session.scalars(sa.select(Message.key).order_by(Message.id)).all() == ["m1", "m2"]
