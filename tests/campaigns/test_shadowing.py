"""A version runs in shadow on live traffic: the real engine moves real leads, and nothing leaves or changes but the shadow."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import drafting, shadowing
from app.campaigns.hurrying import Nobody
from app.campaigns.models import Shadow, ShadowRow
from app.campaigns.shadowing import CannotShadow
from app.db import Base, Database
from app.engine import ticking
from app.engine.models import Campaign
from app.leads import erasing
from app.mail import delivering, links, reacting
from app.mail.models import MailVersion
from app.outbox import Message
from app.tracking import recording
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step
from tests.conftest import NOW

BASE = "https://trellis.example.com"
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
CLICKED = {"rule": "clicked", "mail": "welcome", "times": 1}
PERSON = {"browser": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "medium": "click"}


@pytest.fixture(autouse=True)
def _at_home() -> None:
    links.use(BASE)


def live_flow() -> dict[str, Any]:
    """Mail, two days, over."""
    return drawn(
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait", {"out": "s3"}, amount=2, unit="days"),
        step("s3", "exit"),
    )


def new_flow() -> dict[str, Any]:
    """The same, but then those who clicked go to sales; of the others everything is done that leaves or changes."""
    arms = [{"port": "a1", "name": "Clicked", "rule": CLICKED}]
    return drawn(
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait", {"out": "s4"}, amount=1, unit="days"),
        step("s4", "decide", {"a1": "s5", "else": "s6"}, arms=arms),
        step("s5", "handoff", {"out": "s3"}),
        step("s6", "webhook", {"out": "s7"}, url="https://crm.example.com/hook"),
        step("s7", "create_task", {"out": "s8"}, title="Call once"),
        step("s8", "notify", {"out": "s9"}, text="Look", to="rep@example.com"),
        step("s9", "add_tag", {"out": "s10"}, tag="cold"),
        step("s10", "change_score", {"out": "s11"}, points=-5, reason="Idle"),
        step("s11", "set_stage", {"out": "s12"}, stage="mql"),
        step("s12", "set_field", {"out": "s13"}, field="city", value="Nowhere"),
        step("s13", "add_note", {"out": "s14"}, text="Idle"),
        step("s14", "unsubscribe", {"out": "s3"}, topic="news"),
        step("s3", "exit"),
    )


def prepared(session: Session, flow: dict[str, Any] | None = None, leads: int = 3) -> tuple[Campaign, list[int]]:
    """A live campaign, another draft of it, and leads who agreed to its mail."""
    furnish(session)
    link = {"url": "https://example.com/pricing", "label": "See prices"}
    session.execute(sa.update(MailVersion).values(links=[link]))
    ids = factories.leads(session, leads, topic="news")
    made = factories.campaign(session, drafting.written(live_flow()), at=NOW)
    drafting.replace(session, made.id, flow or new_flow(), user_id=None, at=NOW)
    return made, ids


def pass_on(database: Database, campaign_id: int, until: datetime, *, since: datetime = NOW, hours: int = 6) -> None:
    """Live and shadow go on side by side."""
    at = since
    while at <= until:
        live(database, at)
        shadowing.advance(database, campaign_id, at, base_url=BASE)
        at += timedelta(hours=hours)


def live(database: Database, at: datetime) -> None:
    ticking.tick(database, at)
    delivering.run_once(database, Nobody(), now=at, worker="test")


def started(database: Database, **more: Any) -> tuple[int, list[int]]:
    with database.write() as session:
        made, ids = prepared(session, **more)
        shadowing.start(session, made.id, number=None, user_id=None, at=NOW)
        return made.id, ids


def contents(database: Database) -> dict[str, Any]:
    """Everything there is, but the shadow."""
    with database.read() as session:
        every = [each for each in Base.metadata.sorted_tables if not each.name.startswith("shadow")]
        return {each.name: sorted(map(repr, session.execute(sa.select(each)))) for each in every}


def paths(database: Database) -> dict[int, list[tuple[str, str]]]:
    """Lead -> steps and ports in shadow."""
    found: dict[int, list[tuple[int, str, str]]] = {}
    with database.read() as session:
        for row in session.scalars(sa.select(ShadowRow).where(ShadowRow.name == "decisions")):
            own = row.change["own"]
            found.setdefault(row.lead_id or 0, []).append((own["visit"], own["step"], own["port"]))
    return {lead: [(step, port) for _, step, port in sorted(rows)] for lead, rows in found.items()}


def names(database: Database) -> dict[str, int]:
    with database.read() as session:
        counted = sa.select(ShadowRow.name, sa.func.count()).group_by(ShadowRow.name)
        return dict(session.execute(counted).all())


def test_real_leads_go_through_the_shadow_and_nothing_else_changes(database: Database) -> None:
    campaign_id, ids = started(database)
    with database.write() as session:
        factories.request(session, session.get_one(Campaign, campaign_id), ids[:2])
    at = NOW
    while at <= NOW + 2 * DAY:
        live(database, at)
        before = contents(database)
        assert shadowing.advance(database, campaign_id, at, base_url=BASE)
        assert contents(database) == before
        at += timedelta(hours=6)
    found = paths(database)
    assert found.keys() == set(ids[:2])
    assert [step for step, _ in found[ids[0]]] == ["s1", "s2", "s4", *(f"s{n}" for n in range(6, 15)), "s3"]
    left = names(database)
    for name in ("messages", "webhook_calls", "tasks", "alerts", "notes", "score_entries", "lead_tags", "leads"):
        assert left[name] == 2, name
    assert left["consents"] == left["subscriptions"] == 2


def test_what_the_lead_did_with_the_live_mail_it_did_with_the_same_mail_of_the_shadow(database: Database) -> None:
    campaign_id, ids = started(database)
    with database.write() as session:
        factories.request(session, session.get_one(Campaign, campaign_id), ids[:2])
    live(database, NOW)
    shadowing.advance(database, campaign_id, NOW, base_url=BASE)
    with database.write() as session:
        message = session.scalars(sa.select(Message).where(Message.lead_id == ids[0])).one()
        link = reacting.link_of(session, message, 0)
        assert link is not None
        reacting.click(session, message, 0, link, at=NOW + 30 * MINUTE, evidence=PERSON, remembered=None)
    pass_on(database, campaign_id, NOW + 2 * DAY, since=NOW + timedelta(hours=6))
    found = paths(database)
    assert ("s4", "a1") in found[ids[0]]
    assert ("s4", "else") in found[ids[1]]
    assert names(database)["handoffs"] == 1
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Base.metadata.tables["handoffs"])) == 0


def test_it_ends_and_leaves_nothing(database: Database) -> None:
    campaign_id, ids = started(database)
    with database.write() as session:
        factories.request(session, session.get_one(Campaign, campaign_id), ids)
    pass_on(database, campaign_id, NOW + DAY)
    assert names(database)
    with database.write() as session:
        assert shadowing.end(session, campaign_id)
        assert not shadowing.end(session, campaign_id)
    assert names(database) == {}
    assert not shadowing.advance(database, campaign_id, NOW + 2 * DAY, base_url=BASE)
