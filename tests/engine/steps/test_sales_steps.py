"""What goes to sales is told in the lead's journal with the person and the reason."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.accounts.models import User
from app.db import Database
from app.engine import explaining
from app.leads import updating
from app.sales.models import Rep, Task
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import passing, user
from tests.engine.test_flows import World

HANDOFF = {"kind": "handoff", "settings": {}}
TO_OWNER = {"kind": "handoff", "settings": {"route": "lead_owner"}}
TASK = {"kind": "create_task", "settings": {"title": "Call"}}
ALERT = {"kind": "notify", "settings": {"text": "Look"}}


@pytest.mark.parametrize("has_rep", [True, False])
def test_why_names_the_person_and_the_way(database: Database, has_rep: bool) -> None:
    with database.write() as session:
        boss = User(email="ada@example.com", name="Ada Boss", role="administrator", password_hash="-", created_at=NOW)
        rep = User(email="rep@example.com", name="Jonas Keller", role="sales", password_hash="-", created_at=NOW)
        session.add_all([boss, rep])
        session.flush()
        if has_rep:
            session.add(Rep(user_id=rep.id))
    world = World(database, factories.flow(HANDOFF, TO_OWNER, TASK, ALERT), count=1)
    world.enter()
    with database.read() as session:
        lines = explaining.why(session, world.leads[0], world.campaign.id)[0].lines
        told = [line.sentence for line in lines[:4]]
    waits = "Not handed over again, for it waits for sales already."
    if has_rep:
        assert told == ["Given to Jonas Keller, next in turn.", waits, "A task for Jonas Keller.", "Told Jonas Keller."]
    else:
        nobody = "Nobody was there to take the lead; the administrators were told."
        assert told == [nobody, waits, "A task for nobody; it shows under Everybody's.", "Told Ada Boss."]


def test_what_is_said_with_a_handoff_names_the_lead(database: Database) -> None:
    with database.write() as session:
        user(session, "rosa", rep=True)
        ids = factories.leads(session, 2)
        updating.set_values(session, ids[1], {"first_name": ""}, at=NOW)
    note = 'Ask {{ lead.first_name | default("them") }} about the offer.'
    passing(database, {"kind": "handoff", "settings": {"note": note}}, ids=ids)
    with database.read() as session:
        told = session.scalars(sa.select(Task.note).order_by(Task.lead_id)).all()
    assert told == ["Ask Lead 1 about the offer.", "Ask them about the offer."]
