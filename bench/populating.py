"""A database with so many leads inside one flow, written by plain SQL so that building it takes seconds."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from measuring import ROOT
from sqlalchemy.orm import Session

from app import layers, signing
from app.db import Database, micros
from app.engine.models import Campaign, Version
from app.mail.models import Mail, MailVersion
from app.preferences.models import Topic
from tests.conftest import NOW

layers.load_models()
signing.use("a secret key for benchmarks only, 32 characters")

FLOW = {
    "triggers": [{"id": "t1", "kind": "by_hand"}],
    "start": "w1",
    "steps": [
        {"id": "w1", "kind": "wait", "settings": {"amount": 2, "unit": "days"}, "next": {"out": "d1"}},
        {
            "id": "d1",
            "kind": "decide",
            "settings": {
                "arms": [
                    {
                        "port": "a",
                        "name": "Ready",
                        "rule": {"rule": "score", "dimension": "total", "op": "at_least", "value": 50},
                    }
                ]
            },
            "next": {"a": "m1", "else": "w2"},
        },
        {"id": "m1", "kind": "send_email", "settings": {"mail": "welcome"}, "next": {"out": "w2"}},
        {"id": "w2", "kind": "wait", "settings": {"amount": 30, "unit": "days"}, "next": {"out": "end"}},
        {"id": "end", "kind": "exit", "settings": {}, "next": {}},
    ],
}


def build(database: Database, enrollments: int, due: int) -> None:
    """So many enrollments at the first wait, the given number of them due at NOW, spread through the table."""
    config = Config(ROOT / "alembic.ini")
    config.set_main_option("script_location", str(ROOT / "migrations"))
    with database.writer.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with database.write() as session:
        topic = Topic(key="news", name="News")
        session.add(topic)
        session.flush()
        mail = Mail(key="welcome", name="Welcome", topic_id=topic.id, draft={}, created_at=NOW, updated_at=NOW)
        session.add(mail)
        session.flush()
        version = MailVersion(
            mail_id=mail.id, number=1, subject="Hi", blocks=[], html="<p>Hi</p>", text="Hi", links=[], created_at=NOW
        )
        session.add(version)
        session.flush()
        mail.version_id = version.id
        campaign = Campaign(key="nurture", name="Nurture", state="live", created_at=NOW, updated_at=NOW)
        session.add(campaign)
        session.flush()
        flow = Version(campaign_id=campaign.id, number=1, flow=FLOW, published_at=NOW - timedelta(days=30))
        session.add(flow)
        session.flush()
        campaign.version_id = flow.id
        _fill(session, enrollments, due, topic.id, campaign.id, flow.id)


LEAD_TEXTS = (
    "first_name last_name job_title phone company_name country city language source search_text stage fit_grade temperature"
).split()

EMPTY = ", ".join("''" for _ in LEAD_TEXTS)

FILLS = (
    "INSERT INTO identities (id, kind, lead_id, created_at) SELECT n, 'lead', n, :now FROM numbers",
    "INSERT INTO leads (id, email, canonical_email, address_hash, score, bucket, created_at, updated_at, fields, fit, "
    f"interest, interest_grade, {', '.join(LEAD_TEXTS)}) SELECT n, 'lead' || n || '@example.com', "
    "'lead' || n || '@example.com', 'hash' || n, n * 37 % 100, n % 64, :now, :now, '{}', 0, 0, 4, "
    f"{EMPTY} FROM numbers",
    "INSERT INTO subscriptions (lead_id, topic_id, state, at) SELECT n, :topic, 'given', :now FROM numbers",
    # a house that mails has mailed before: a table that statistics call empty is planned for as if it stayed so
    "INSERT INTO messages (key, kind, purpose, priority, state, mail_id, mail_version_id, topic_id, lead_id, bucket, created_at, "
    "not_before, attempt, finished_at) SELECT 'earlier ' || n, 'mail', 'marketing', 5, 'sent', 1, 1, :topic, n, n % 64, "
    ":arrived, :arrived, 0, :arrived FROM numbers WHERE n % 7 = 0",
    "INSERT INTO enrollments (id, lead_id, campaign_id, version_id, bucket, occasion, key, state, step, visit, entered_at, "
    "arrived_at, due_at) SELECT n, n, :campaign, :version, n % 64, 't1:bench', '', 'active', 'w1', 1, :arrived, "
    "CASE WHEN n % :every = 0 THEN :arrived ELSE :later END, CASE WHEN n % :every = 0 THEN :now ELSE :late END FROM numbers",
)


def _fill(session: Session, count: int, due: int, topic_id: int, campaign_id: int, version_id: int) -> None:
    given = {
        "count": count,
        "topic": topic_id,
        "campaign": campaign_id,
        "version": version_id,
        "every": max(count // due, 1) if due else count + 1,
        "now": micros(NOW),
        "arrived": micros(NOW - timedelta(days=2)),
        "later": micros(NOW - timedelta(days=1)),
        "late": micros(NOW + timedelta(days=1)),
    }
    series = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count) "
    for fill in FILLS:
        into, _, chosen = fill.partition(" SELECT ")
        statement = sa.text(f"{into} {series} SELECT {chosen}")
        session.execute(statement, {k: v for k, v in given.items() if f":{k}" in statement.text})


def same(database: Database, due: int) -> None:
    """Everybody who was due has been decided about, and waits where the flow ends."""
    with database.read() as session:
        decided = session.scalar(sa.text("SELECT count(*) FROM decisions WHERE step = 'd1'"))
        waiting = session.scalar(sa.text("SELECT count(*) FROM enrollments WHERE step = 'w2'"))
    assert decided == waiting == due, (decided, waiting, due)
