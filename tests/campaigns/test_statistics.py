"""The figures on the cards add up, tell people from machines, and cost the same whatever the size of the campaign."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import drafting, present, publishing, queries, statistics
from app.db import Database
from app.engine.models import Campaign
from app.engine.ticking import tick
from app.outbox import Message
from app.tracking import recording
from tests import factories
from tests.campaigns.conftest import furnish, whole

DAY = timedelta(days=1)


def _run(database: Database, now: datetime, count: int) -> Campaign:
    """So many leads through the flow up to its wait, their mail sent."""
    with database.write() as session:
        furnish(session)
        campaign = drafting.create(session, name="Nurture", at=now, flow=whole())
        publishing.publish(session, campaign.id, user_id=None, at=now)
        factories.request(session, campaign, factories.leads(session, count, at=now, topic="news"), at=now)
    tick(database, now)
    with database.write() as session:
        session.execute(sa.update(Message).values(state="sent", finished_at=now))
    return campaign


def _react(session: Session, kind: str, agent: str, number: int, now: datetime) -> None:
    message = session.scalars(sa.select(Message).order_by(Message.id).offset(number)).first()
    assert message is not None and message.lead_id is not None
    about = {"identity_id": message.lead_id, "message_id": message.id, "subject": "welcome"}
    recording.record(session, kind=kind, at=now, agent=agent, **about)


def _figures(database: Database, campaign: Campaign, now: datetime) -> dict[str, Any]:
    with database.read() as session:
        flow = drafting.get(session, campaign.id).flow
        return statistics.figures(session, campaign.id, flow, now=now)


def test_cards_and_paths_carry_what_happened(database: Database, now: datetime) -> None:
    campaign = _run(database, now, 5)

    found = _figures(database, campaign, now)

    assert found["triggers"]["t1"]["entered"] == 5
    assert (found["steps"]["s1"]["entered"], found["steps"]["s1"]["left"]) == (5, {"out": 5})
    assert (found["steps"]["s2"]["entered"], found["steps"]["s2"]["here"]) == (5, 5)
    assert found["steps"]["s5"] == {"entered": 0, "here": 0, "left": {}}
    assert found["states"] == {"active": 5}


def test_every_lead_that_entered_is_somewhere(database: Database, now: datetime) -> None:
    campaign = _run(database, now, 7)
    tick(database, now + 3 * DAY)
    with database.write() as session:
        totals = statistics.totals(session, campaign.id, drafting.get(session, campaign.id).flow, now=now)

    assert totals["entered"] == sum(totals["states"].values()) == 7
    assert totals["steps"]["s3"]["left"] == {"else": 7}


def test_machines_do_not_open_mail(database: Database, now: datetime) -> None:
    campaign = _run(database, now, 4)
    with database.write() as session:
        _react(session, "email_opened", "machine", 0, now)
        _react(session, "email_opened", "human", 1, now)
        _react(session, "email_opened", "human", 1, now + DAY)
        _react(session, "email_clicked", "human", 1, now)

    card = _figures(database, campaign, now)["steps"]["s1"]

    assert (card["mail"]["sent"], card["mail"]["opened"], card["mail"]["clicked"]) == (4, 1, 1)
    assert card["result"] == "25% opened"


def test_the_list_shows_every_campaign_with_its_figures(database: Database, now: datetime) -> None:
    campaign = _run(database, now, 3)
    with database.write() as session:
        drafting.create(session, name="Another", at=now)
        _react(session, "email_opened", "human", 0, now)
    with database.read() as session:
        first, second = queries.listed(session)

    assert (first.id, first.in_flow, first.open_rate, first.starts_with) == (
        campaign.id,
        3,
        "33.3%",
        "Added by hand: By hand, file or API",
    )
    assert (second.name, second.state, second.open_rate, second.starts_with) == (
        "Another",
        "draft",
        "–",
        "Nobody enters yet",
    )


def test_who_is_where(database: Database, now: datetime) -> None:
    campaign = _run(database, now, 3)
    with database.read() as session:
        here = present.people(session, campaign.id, "s2", scope="here")
        left = present.people(session, campaign.id, "s1", scope="left", port="out")
        entered = present.people(session, campaign.id, "t1", scope="entered", is_trigger=True)
        nobody = present.people(session, campaign.id, "s4", scope="entered")

    assert (here[0], left[0], entered[0], nobody[0]) == (3, 3, 3, 0)
    assert {p.name for p in here[1]} == {"Lead 1", "Lead 2", "Lead 3"}


def test_the_number_of_statements_does_not_grow(database: Database, now: datetime) -> None:
    campaign, counts = _run(database, now, 3), []
    for more in (0, 6):
        with database.write() as session:
            for number in range(more):
                drafting.create(session, name=f"More {number}", at=now)
        seen: list[str] = []

        def note(_c: Any, _cursor: Any, sql: str, *_: Any, seen: list[str] = seen) -> None:
            seen.append(sql)

        sa.event.listen(database.reader, "before_cursor_execute", note)
        with database.read() as session:
            queries.listed(session)
            statistics.figures(session, campaign.id, whole(), now=now)
        sa.event.remove(database.reader, "before_cursor_execute", note)
        counts.append(len([sql for sql in seen if sql.startswith(("SELECT", "WITH"))]))

    assert counts[0] == counts[1] <= 14
