"""Leads, mails and campaigns for tests, in a line each, made by the same functions the product uses."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import rows_of
from app.engine import entering
from app.engine.models import Campaign, Enrollment, Version
from app.leads.creating import create_many
from app.leads.models import LeadField
from app.mail.models import Mail, MailVersion
from app.preferences import consenting
from app.preferences.models import Topic
from tests.conftest import NOW

DAY = timedelta(days=1)


def leads(session: Session, count: int, at: datetime = NOW, topic: str | None = None, **values: Any) -> list[int]:
    """So many leads, lead1@example.com onwards, who agreed to `topic` if one is given."""
    people = [{"email": f"lead{n}@example.com", "first_name": f"Lead {n}", **values} for n in range(1, count + 1)]
    ids = create_many(session, people, source="Test", at=at)
    if topic and count:
        consenting.give(session, sa.select(sa.column("id")).select_from(rows(ids)), topic, source="Test", at=at)
    return ids


def rows(ids: list[int]) -> sa.FromClause:
    """Ids as a selectable with the column `id`."""
    return rows_of([[i] for i in ids], id=sa.BigInteger())


def topic(session: Session, key: str = "news") -> Topic:
    made = Topic(key=key, name=key.title())
    session.add(made)
    session.flush()
    return made


def mail(session: Session, key: str = "welcome", topic_key: str | None = "news") -> Mail:
    """A published mail of one sentence."""
    topic_id = session.scalar(sa.select(Topic.id).where(Topic.key == topic_key))
    made = Mail(key=key, name=key.title(), topic_id=topic_id, draft={}, created_at=NOW, updated_at=NOW)
    session.add(made)
    session.flush()
    version = MailVersion(
        mail_id=made.id,
        number=1,
        subject=key.title(),
        blocks=[],
        html="<p>Hello</p>",
        text="Hello",
        links=[],
        created_at=NOW,
    )
    session.add(version)
    session.flush()
    made.version_id = version.id
    session.flush()
    return made


def flow(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A flow entered by hand. Steps are chained by "out" in the given order unless they say otherwise; an exit is added."""
    listed = [{"id": f"s{n}", "settings": {}, **step} for n, step in enumerate(steps, 1)]
    listed.append({"id": "end", "kind": "exit", "settings": {}, "next": {}})
    for step, following in pairwise(listed):
        step.setdefault("next", {"out": following["id"]})
    return {"triggers": [{"id": "t1", "kind": "by_hand"}], "start": listed[0]["id"], "steps": listed} | more


def campaign(session: Session, given: dict[str, Any], key: str = "nurture", at: datetime = NOW) -> Campaign:
    """A live campaign with one published version."""
    made = Campaign(key=key, name=key.title(), state="live", created_at=at, updated_at=at)
    session.add(made)
    session.flush()
    version = Version(campaign_id=made.id, number=1, flow=given, published_at=at)
    session.add(version)
    session.flush()
    made.version_id = version.id
    session.flush()
    return made


def request(session: Session, made: Campaign, ids: list[int], at: datetime = NOW) -> None:
    """Ask by hand that leads enter a campaign."""
    entering.request(session, made.id, sa.select(rows(ids).c.id), at=at, reason="test")


def states(session: Session) -> dict[str, int]:
    """How many enrollments are in each state."""
    counted = sa.select(Enrollment.state, sa.func.count()).group_by(Enrollment.state)
    return dict(session.execute(counted).tuples().all())


def field(session: Session, name: str, type_: str) -> None:
    """A declared custom field."""
    session.add(LeadField(name=name, label=name.title(), type=type_))
    session.flush()
