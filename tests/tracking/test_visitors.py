from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.leads.models import Lead
from app.tracking import queries, recording, visitors
from app.tracking.models import Event, Identity

from .conftest import MakeLead


def test_a_browser_that_comes_back_is_recognised(session: Session) -> None:
    first = visitors.identify(session, None)
    assert visitors.identify(session, first.token).id == first.id
    assert visitors.identify(session, None).id != first.id


def test_a_name_the_site_made_up_itself_is_taken_when_it_is_long_enough(session: Session) -> None:
    name = "a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6"
    assert visitors.identify(session, name).token == name
    for bad in ("short", "x" * 65, "<script>alert(1)</script>", "a b c d e f g h i j k l m n", "é" * 30):
        assert visitors.identify(session, bad).token != bad


def test_joining_gives_the_lead_the_whole_history(session: Session, make_lead: MakeLead, now: datetime) -> None:
    with clock.at(now):
        lead = make_lead(session)
        visitor = visitors.identify(session, None)
        for day in (1, 40):
            recording.record(
                session,
                kind="page_viewed",
                identity_id=visitor.id,
                subject=f"/{day}",
                at=now - timedelta(days=day),
                is_new=False,
            )
        assert visitors.join(session, visitor.id, lead).id == visitor.id
        assert visitors.join(session, visitor.id, lead).id == visitor.id
    assert [e.subject for e in queries.timeline(session, lead)] == ["/1", "/40"]
    assert session.scalar(sa.select(Lead.last_seen_at).where(Lead.id == lead)) == now - timedelta(days=1)
    fresh = session.execute(sa.select(Event.subject, Event.is_new)).all()
    assert {e.subject: e.is_new for e in fresh} == {"/1": True, "/40": False}, "only what is fresh is observed again"


def test_two_people_at_one_computer_are_not_mixed_up(session: Session, make_lead: MakeLead, now: datetime) -> None:
    one, two = make_lead(session), make_lead(session)
    visitor = visitors.identify(session, None)
    recording.record(session, kind="page_viewed", identity_id=visitor.id, subject="/mine", at=now)
    visitors.join(session, visitor.id, one)
    second = visitors.join(session, visitor.id, two)
    assert second.id != visitor.id and second.token != visitor.token
    assert second.lead_id == two
    assert [e.subject for e in queries.timeline(session, one)] == ["/mine"]
    assert queries.timeline(session, two) == []


def test_a_browser_of_a_merged_lead_is_the_survivors(session: Session, make_lead: MakeLead) -> None:
    survivor, merged = make_lead(session), make_lead(session)
    session.execute(sa.update(Identity).where(Identity.id == merged).values(lead_id=survivor))
    visitor = visitors.identify(session, None)
    assert visitors.join(session, visitor.id, merged).lead_id == survivor
    assert visitors.join(session, visitor.id, survivor).id == visitor.id


def test_a_link_from_a_mail_names_its_lead_and_cannot_be_made_up(session: Session, make_lead: MakeLead) -> None:
    lead = make_lead(session)
    assert visitors.arrived(session, visitors.arrival(lead)) == lead
    for forged in ("", "x", visitors.arrival(lead)[:-2] + "xx", "é", str(lead)):
        assert visitors.arrived(session, forged) is None
