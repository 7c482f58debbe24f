"""Consent, segments and campaigns: where a lead stands with us."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.preferences.models import OptOut, Subscription, Topic
from tests.segments import people
from tests.segments.people import NOW, who


def test_consent(session: Session) -> None:
    ids = {name: people.lead(session, name) for name in ("Given", "Pending", "Withdrawn", "Never", "Gone")}
    session.add_all([Topic(id=1, key="news", name="News"), Topic(id=2, key="events", name="Events")])
    session.flush()
    for name in ("Given", "Pending", "Withdrawn", "Gone"):
        state = "given" if name == "Gone" else name.lower()
        session.add(Subscription(lead_id=ids[name], topic_id=1, state=state, at=NOW))
    session.add(OptOut(lead_id=ids["Gone"], at=NOW))
    session.flush()
    consent = {"rule": "consent", "topic": "news"}
    assert who(session, consent | {"state": "given"}) == {"Given"}
    assert who(session, consent | {"state": "pending"}) == {"Pending"}
    assert who(session, consent | {"state": "withdrawn"}) == {"Withdrawn", "Gone"}
    assert who(session, consent | {"state": "never"}) == {"Never"}
    assert who(session, {"rule": "consent", "state": "never", "topic": "events"}) == set(ids) - {"Gone"}
    assert who(session, {"rule": "consent", "state": "given"}) == {"Given"}


def test_segment(session: Session) -> None:
    from app.segments import saving

    people.lead(session, "Ana", country="CH")
    people.lead(session, "Ben", country="DE")
    swiss = {"rule": "field", "field": "country", "op": "is", "value": "CH"}
    saving.save(session, None, name="Swiss", rule=swiss, at=NOW)
    assert who(session, {"rule": "in_segment", "segment": "swiss"}) == {"Ana"}
    assert who(session, {"rule": "in_segment", "segment": "swiss", "member": "is_not"}) == {"Ben"}


def test_campaign(session: Session) -> None:
    ids = {name: people.lead(session, name) for name in ("active", "completed", "converted", "exited", "none")}
    campaign = {"id": 1, "key": "nurture", "name": "Nurture", "description": "", "state": "live"}
    session.execute(sa.insert(db.table("campaigns")).values(**campaign, created_at=NOW, updated_at=NOW))
    version = {"id": 1, "campaign_id": 1, "number": 1, "flow": {}, "published_at": NOW}
    session.execute(sa.insert(db.table("versions")).values(**version))
    for state in ("active", "completed", "converted", "exited"):
        row = {"lead_id": ids[state], "campaign_id": 1, "version_id": 1, "bucket": 0, "occasion": "t1", "state": state}
        row |= {"step": "s1", "visit": 1, "key": "", "entered_at": NOW, "arrived_at": NOW}
        session.execute(sa.insert(db.table("enrollments")).values(**row))
    rule = {"rule": "in_campaign", "campaign": "nurture"}
    for state in ("active", "completed", "converted", "exited"):
        assert who(session, rule | {"state": state}) == {state}
    assert who(session, rule | {"state": "ever"}) == set(ids) - {"none"}
    assert who(session, rule | {"state": "never"}) == {"none"}
    assert who(session, rule | {"state": "not_active"}) == set(ids) - {"active"}
    assert who(session, {"rule": "in_campaign", "state": "never", "campaign": "other"}) == set(ids)
