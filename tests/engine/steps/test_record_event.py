"""An event of the marketer's own, written by a flow: it lets leads into other campaigns like any other."""

from __future__ import annotations

import sqlalchemy as sa

from app.db import Database
from app.engine.models import Enrollment
from app.engine.ticking import tick
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import events, passing


def test_the_event_is_in_the_leads_story_with_its_properties_and_is_seen_by_others(database: Database) -> None:
    with database.write() as session:
        ids = factories.leads(session, 2)
        other = factories.flow({"kind": "wait", "settings": {"amount": 1, "unit": "days"}})
        other["triggers"] = [{"id": "t1", "kind": "event_seen", "settings": {"event": "custom", "subject": "invited"}}]
        made = factories.campaign(session, other, key="other").id
    step = {
        "kind": "record_event",
        "settings": {"event": "invited", "values": "plan = pro\nseats = 3\nnew = true\nid = 007"},
    }
    passing(database, step, ids=ids)
    tick(database, NOW)
    told = {"plan": "pro", "seats": 3, "new": True, "id": "007"}
    assert events(database, "custom") == [(lead, "invited", told) for lead in ids]
    with database.read() as session:
        inside = sa.select(sa.func.count()).where(Enrollment.campaign_id == made)
        assert session.scalar(inside) == 2
