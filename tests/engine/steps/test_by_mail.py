"""A branch by mail takes the most telling thing that became of the mail; machines do nothing to it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.db import Database
from app.leads.models import Lead
from app.outbox import Message
from app.preferences import consenting
from app.tracking import recording
from tests import factories
from tests.conftest import NOW
from tests.engine.test_flows import DAY, HOUR, MAIL, WAIT, World

ALL = ["replied", "clicked_link", "clicked", "opened", "bounced", "not_sent"]


def by_mail(**settings: Any) -> dict[str, Any]:
    given = {"outcomes": ALL, "link": "/pricing", **settings}
    return {"kind": "by_mail", "settings": given, "next": dict.fromkeys([*given["outcomes"], "nothing"], "end")}


def happens(world: World, lead: int, kind: str, agent: str = "human", **props: Any) -> None:
    with world.database.write() as session:
        message = session.scalars(sa.select(Message).where(Message.lead_id == lead)).one()
        recording.record(
            session, kind=kind, identity_id=lead, subject="welcome", at=NOW + HOUR, agent=agent, props=props,
            message_id=message.id,
        )  # fmt: skip


def test_rule_9_each_lead_takes_the_path_of_what_became_of_its_mail(database: Database) -> None:
    world = World(database, factories.flow(MAIL, WAIT, by_mail(mail="welcome")), count=8)
    with database.write() as session:
        who = sa.select(Lead.id).where(Lead.id == world.leads[5])
        consenting.withdraw(session, who, "news", source="test", at=NOW - HOUR)
    world.enter()
    happens(world, world.leads[0], "email_clicked", url="https://example.com/Pricing?x=1")
    happens(world, world.leads[0], "email_replied")
    happens(world, world.leads[1], "email_clicked", url="https://example.com/Pricing?x=1")
    happens(world, world.leads[2], "email_clicked", url="https://example.com/blog")
    happens(world, world.leads[3], "email_opened", agent="unknown")
    happens(world, world.leads[4], "email_bounced", type="soft")
    happens(world, world.leads[6], "email_clicked", agent="machine", url="https://example.com/pricing")
    world.settle(NOW + 2 * DAY)
    found = [dict(world.ports(lead))["s3"] for lead in world.leads]
    assert found == ["replied", "clicked_link", "clicked", "opened", "bounced", "not_sent", "nothing", "nothing"]


def test_a_mail_of_an_earlier_passage_counts_only_where_that_was_chosen(database: Database) -> None:
    world = World(database, factories.flow(MAIL, WAIT), count=1)
    world.enter()
    happens(world, world.leads[0], "email_clicked", url="https://example.com/")
    flow = factories.flow(
        by_mail(mail="welcome", scope="passage") | {"next": dict.fromkeys([*ALL, "nothing"], "s2")},
        by_mail(mail="welcome", scope="ever") | {"next": dict.fromkeys([*ALL, "nothing"], "s3")},
        by_mail(scope="ever"),
    )
    with database.write() as session:
        world.campaign = factories.campaign(session, flow, key="second")
    world.enter(NOW + DAY)
    taken = [port for step, port in world.ports(world.leads[0]) if step in {"s1", "s2", "s3"}]
    assert taken[-3:] == ["not_sent", "clicked", "clicked"]
