"""A flow is run over recorded history: the same engine on a copy, another clock, and nothing of it reaches real leads."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.campaigns import copying, drafting, rehearsing
from app.campaigns.hurrying import Nobody
from app.campaigns.models import RehearsedPassage, Rehearsal
from app.campaigns.rehearsing import CannotRehearse, Wanted
from app.db import Base, Database
from app.engine import ticking
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.leads import erasing, tagging, updating
from app.mail import delivering, links
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import consenting
from app.preferences.models import FrequencyCap, SendingWindow
from app.scoring.models import ScoreModel
from app.tracking import recording
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step
from tests.conftest import NOW

BASE = "https://trellis.example.com"
HOUR, EVERY, DAY = timedelta(hours=1), timedelta(hours=6), timedelta(days=1)
CLICKED = {"rule": "clicked", "mail": "welcome", "times": 1}
PRICING = {"rule": "visited", "path": "/pricing", "times": 1}
END = NOW + 8 * DAY


@pytest.fixture(autouse=True)
def _at_home() -> None:
    links.use(BASE)


def nurture() -> dict[str, Any]:
    """Mail, wait for a click, then sales; the others by what they looked at, a field, and another mail."""
    arms = [{"port": "a1", "name": "Looked at prices", "rule": PRICING}]
    return drawn(
        step("s1", "send_email", {"out": "s2", "not_sent": "s9"}, mail="welcome"),
        step("s2", "wait_for_event", {"happened": "s3", "timeout": "s5"}, event="email_clicked", subject="welcome"),
        step("s3", "add_tag", {"out": "s4"}, tag="keen"),
        step("s4", "handoff", {"out": "s9"}),
        step("s5", "decide", {"a1": "s6", "else": "s7"}, arms=arms),
        step("s6", "set_field", {"out": "s7"}, field="city", value="Basel"),
        step("s7", "send_email", {"out": "s8"}, mail="second"),
        step("s8", "wait", {"out": "s9"}, amount=1, unit="days"),
        step("s9", "exit"),
    )


def happened(session: Session, lead_id: int, kind: str, subject: str, at: datetime, **more: Any) -> None:
    with clock.at(at):
        recording.record(session, kind=kind, identity_id=lead_id, subject=subject, at=at, agent="human", **more)


def clicked(session: Session, lead_id: int, at: datetime) -> None:
    message = session.scalars(sa.select(Message).where(Message.lead_id == lead_id, Message.state == "sent")).first()
    assert message is not None
    key = session.get_one(Mail, message.mail_id).key
    happened(session, lead_id, "email_clicked", key, at, message_id=message.id, campaign_id=message.campaign_id)


def furnished(session: Session, flow: dict[str, Any], leads: int) -> tuple[Campaign, list[int]]:
    """A house, a live campaign, and leads who agreed to its mail before the period."""
    furnish(session)
    factories.mail(session, "second")
    tagging.ensure(session, "Keen")
    before = NOW - 10 * DAY
    ids = factories.leads(session, leads, at=before, topic="news", city="Zurich")
    made = factories.campaign(session, drafting.written(flow), at=NOW)
    drafting.replace(session, made.id, drafting.written(flow), user_id=None, at=NOW)
    return made, ids


def go_on(database: Database, at: datetime) -> None:
    """What the sender does in earnest, and every six hours the engine."""
    with clock.at(at):
        for _ in range(1 if (at - NOW) % EVERY else 3):
            if not (at - NOW) % EVERY:
                ticking.tick(database, at)
            delivering.run_once(database, Nobody(), now=at, worker="test")


def record(database: Database, flow: dict[str, Any] | None = None, *, until: datetime = END) -> tuple[int, list[int]]:
    """A campaign that ran for a week on leads who did this and that."""
    with database.write() as session:
        made, ids = furnished(session, flow or nurture(), 8)
        session.add(FrequencyCap(most=1, period="days", days=2, topic_id=None, created_at=NOW))
        session.add(SendingWindow(weekdays=[0, 1, 2, 3, 4], opens=8 * 60, closes=18 * 60, created_at=NOW))
        campaign_id = made.id
    at = NOW
    while at <= until:
        with database.write() as session:
            _live(session, campaign_id, ids, at)
        go_on(database, at)
        at += HOUR
    return campaign_id, ids


def _live(session: Session, campaign_id: int, ids: list[int], at: datetime) -> None:
    """What happens at one hour of the week."""
    one = lambda lead: sa.select(factories.rows([lead]).c.id)  # noqa: E731
    made = session.get_one(Campaign, campaign_id)
    hour = (at - NOW) // HOUR
    for place, lead in enumerate(ids[:7]):
        if hour == 1 + 7 * place:
            factories.request(session, made, [lead], at=at)
    if hour == 30:
        clicked(session, ids[0], at)
    if hour == 31:
        happened(session, ids[1], "page_viewed", "/pricing", at)
    if hour == 40:
        consenting.withdraw(session, one(ids[2]), "news", source="Page", at=at)
    if hour == 44:
        updating.set_values(session, ids[3], {"city": "Bern"}, at=at)
        tagging.add(session, one(ids[3]), "keen", at=at)
    if hour == 60:
        clicked(session, ids[4], at)


def wanted(campaign_id: int, flow: dict[str, Any] | None = None, **more: Any) -> Wanted:
    given = {"begins_at": NOW, "ends_at": END, "every": EVERY, "lens": "recorded", **more}
    return Wanted(campaign_id, drafting.written(flow or nurture()), **given)


def rehearse(database: Database, asked: Wanted) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with database.read() as session:
        prepared = rehearsing.prepare(session, asked)
    return rehearsing.perform(database, prepared, base_url=BASE)


def decided(database: Database, campaign_id: int) -> dict[int, list[tuple[str, str, datetime]]]:
    """Lead -> the steps it left in earnest, by which port, when."""
    found: dict[int, list[tuple[str, str, datetime]]] = {}
    with database.read() as session:
        query = sa.select(Enrollment.lead_id, Decision.step, Decision.port, Decision.at)
        joined = query.join(Decision, Decision.enrollment_id == Enrollment.id)
        mine = joined.where(Enrollment.campaign_id == campaign_id)
        for lead, step_id, port, at in session.execute(mine.order_by(Enrollment.id, Decision.visit)):
            found.setdefault(lead, []).append((step_id, port, at))
    return found


def ways(passages: list[dict[str, Any]]) -> dict[int, list[tuple[str, str, datetime]]]:
    """The same of a rehearsal."""
    from app.db import EPOCH

    return {
        one["lead_id"]: [(v[1], v[2], EPOCH + timedelta(microseconds=v[4])) for v in one["told"]["visits"]]
        for one in passages
    }


def contents(database: Database) -> dict[str, Any]:
    """Everything there is, but rehearsals."""
    with database.read() as session:
        every = [each for each in Base.metadata.sorted_tables if not each.name.startswith("rehears")]
        return {each.name: sorted(map(repr, session.execute(sa.select(each)))) for each in every}


def test_the_published_flow_as_recorded_decides_what_the_engine_decided(database: Database) -> None:
    campaign_id, ids = record(database)
    before = contents(database)
    told, passages = rehearse(database, wanted(campaign_id))
    real = decided(database, campaign_id)
    assert ways(passages) == real
    assert {step_id for one in real.values() for step_id, *_ in one} == {f"s{n}" for n in range(1, 10)}
    assert (told["entered"], told["states"]) == (7, {"completed": 6, "exited": 1})
    assert contents(database) == before, "nothing is written to real leads, and nothing is sent"
