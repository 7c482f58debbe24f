"""Publishing makes versions that never change; pausing holds, resuming gives the waits their time back, ending lets go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import drafting, pausing, publishing
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.engine.ticking import tick
from app.leads import updating
from app.tracking import recording
from app.tracking.models import Event
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step, whole

DAY = timedelta(days=1)


def campaign_of(session: Session, flow: Any, now: datetime) -> Campaign:
    return drafting.create(session, name="Nurture", at=now, flow=flow)


def test_the_draft_becomes_a_version_and_the_campaign_live(session: Session, now: datetime) -> None:
    furnish(session)
    campaign = campaign_of(session, whole(), now)

    version = publishing.publish(session, campaign.id, user_id=None, at=now)

    assert (campaign.state, campaign.version_id, version.number) == ("live", version.id, 1)
    assert version.flow == drafting.get(session, campaign.id).flow


def test_a_flow_with_problems_is_refused_with_all_of_them(session: Session, now: datetime) -> None:
    flow = drawn(step("s1", "send_email", {"out": "s2"}), step("s2", "decide", {}))
    campaign = campaign_of(session, flow, now)

    with pytest.raises(publishing.Unpublishable, match="problems stand in the way") as refusal:
        publishing.publish(session, campaign.id, user_id=None, at=now)

    assert {p.step for p in refusal.value.problems} >= {"s1", "s2"}
    assert campaign.state == "draft"


def test_a_draft_that_moved_on_is_not_published_unseen(session: Session, now: datetime) -> None:
    furnish(session)
    campaign = campaign_of(session, whole(), now)

    with pytest.raises(publishing.Unpublishable, match="Somebody changed the draft"):
        publishing.publish(session, campaign.id, user_id=None, at=now, revision=7)


def test_publishing_again_needs_a_change_and_keeps_the_old_version(session: Session, now: datetime) -> None:
    furnish(session)
    campaign = campaign_of(session, whole(), now)
    first = publishing.publish(session, campaign.id, user_id=None, at=now)
    with pytest.raises(publishing.Unpublishable, match="Nothing has changed"):
        publishing.publish(session, campaign.id, user_id=None, at=now + DAY)

    drafting.replace(session, campaign.id, drawn(step("s9", "exit")), user_id=None, at=now)
    second = publishing.publish(session, campaign.id, user_id=None, at=now + DAY)

    assert (second.number, campaign.version_id) == (2, second.id)
    assert session.get_one(Version, first.id).flow["start"] == "s1"


def test_those_who_match_already_enter_only_when_asked_for(session: Session, now: datetime) -> None:
    factories.leads(session, 3, at=now - DAY)
    session.execute(sa.text("UPDATE leads SET score = 80"))
    trigger = {"id": "t1", "kind": "score_reached", "settings": {"points": 50}}
    for already in (False, True):
        flow = {
            **drawn(step("s1", "wait", {"out": "s2"}), step("s2", "exit")),
            "triggers": [{**trigger, "already": already}],
        }
        made = drafting.create(session, name=f"A{already}", at=now, flow=flow)
        publishing.publish(session, made.id, user_id=None, at=now)

        entered = session.scalar(sa.select(sa.func.count()).where(Enrollment.campaign_id == made.id))
        assert entered == (3 if already else 0)


def _inside(session: Session, now: datetime) -> Campaign:
    """A live campaign with two leads in a wait of two days."""
    campaign = campaign_of(session, drawn(step("s1", "wait", {"out": "s2"}, amount=2), step("s2", "exit")), now)
    publishing.publish(session, campaign.id, user_id=None, at=now)
    factories.request(session, campaign, factories.leads(session, 2, at=now), at=now)
    return campaign


def test_a_pause_stops_the_clock_of_waits(database: Any, now: datetime) -> None:
    with database.write() as session:
        campaign_id = _inside(session, now).id
    tick(database, now)
    with database.write() as session:
        assert pausing.pause(session, campaign_id, at=now + DAY)
    tick(database, now + 5 * DAY)
    with database.write() as session:
        assert set(session.scalars(sa.select(Enrollment.state))) == {"active"}
        assert pausing.resume(session, campaign_id, at=now + 5 * DAY)
    tick(database, now + 5 * DAY + timedelta(hours=23))
    with database.read() as session:
        assert set(session.scalars(sa.select(Enrollment.state))) == {"active"}
    tick(database, now + 6 * DAY)
    with database.read() as session:
        assert set(session.scalars(sa.select(Enrollment.state))) == {"completed"}


def test_rule_25_patience_for_an_event_is_longer_by_the_pause(database: Any, now: datetime) -> None:
    ports = {"happened": "s2", "timeout": "s3"}
    waits = step("s1", "wait_for_event", ports, event="page_viewed", patience=2, unit="days")
    with database.write() as session:
        flow = drawn(waits, step("s2", "exit"), step("s3", "exit"))
        campaign = campaign_of(session, flow, now)
        publishing.publish(session, campaign.id, user_id=None, at=now)
        lead = factories.leads(session, 1, at=now)[0]
        factories.request(session, campaign, [lead], at=now)
        campaign_id = campaign.id
    tick(database, now)
    with database.write() as session:
        pausing.pause(session, campaign_id, at=now + DAY)
    with database.write() as session:
        pausing.resume(session, campaign_id, at=now + 5 * DAY)
        recording.record(session, kind="page_viewed", identity_id=lead, subject="/pricing", at=now + 5.5 * DAY)
    tick(database, now + 5.6 * DAY)
    with database.read() as session:
        assert session.scalar(sa.select(Decision.port).where(Decision.step == "s1")) == "happened"


def test_only_a_live_campaign_is_paused_and_only_a_paused_one_resumed(session: Session, now: datetime) -> None:
    campaign = campaign_of(session, drawn(step("s1", "exit")), now)

    assert not pausing.pause(session, campaign.id, at=now)
    assert not pausing.resume(session, campaign.id, at=now)


def test_ending_takes_everybody_out_and_says_so_on_the_event_log(database: Any, now: datetime) -> None:
    with database.write() as session:
        campaign_id = _inside(session, now).id
    tick(database, now)
    with database.write() as session:
        assert publishing.end(session, campaign_id, at=now + DAY) == 2
    with database.read() as session:
        assert factories.states(session) == {"exited": 2}
        left = session.scalars(sa.select(Event.props).where(Event.kind == "campaign_left")).all()
        assert [props["reason"] for props in left] == ["campaign ended"] * 2
        assert session.get_one(Campaign, campaign_id).state == "ended"


def test_a_date_that_fell_in_the_archive_lets_nobody_in_when_the_same_flow_is_published_again(
    database: Any, now: datetime
) -> None:
    with database.write() as session:
        factories.field(session, "renewal", "date")
        for lead_id, days in zip(factories.leads(session, 2), (3, 9), strict=True):
            updating.set_values(session, lead_id, {"renewal": f"{now + days * DAY:%Y-%m-%d}"}, at=now)
        triggers = [{"id": "t1", "kind": "date_field", "settings": {"field": "renewal", "at": "12:00"}}]
        campaign_id = campaign_of(session, {**drawn(step("s1", "exit")), "triggers": triggers}, now).id
        publishing.publish(session, campaign_id, user_id=None, at=now)
    tick(database, now)
    with database.write() as session:
        publishing.end(session, campaign_id, at=now + DAY)
    with database.write() as session:
        publishing.reopen(session, campaign_id, at=now + 5 * DAY)
        publishing.publish(session, campaign_id, user_id=None, at=now + 5 * DAY)
    tick(database, now + 6 * DAY)
    with database.read() as session:
        assert factories.states(session) == {}
    tick(database, now + 10 * DAY)
    with database.read() as session:
        assert factories.states(session) == {"completed": 1}
