"""The statements a tick runs all the time must find their rows by an index, however many leads there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database, table
from app.engine.ticking import tick
from tests import factories
from tests.conftest import NOW

MAIL = {"kind": "send_email", "settings": {"mail": "welcome"}}
SCORE = {"rule": "score", "dimension": "total", "op": "at_least", "value": 50}
DECIDE = {"kind": "decide", "settings": {"arms": [{"port": "a", "rule": SCORE}]}, "next": {"a": "s3", "else": "end"}}
AWAIT = {"kind": "wait_for_event", "settings": {"event": "email_clicked"}, "next": {"happened": "s2", "timeout": "s2"}}
LARGE = ("enrollments", "events", "messages", "decisions")


@pytest.mark.parametrize("only", ["nothing is due", "leads come in and move"])
def test_no_statement_of_a_tick_scans_a_table_that_grows(sqlite_database: Database, only: str) -> None:
    database = sqlite_database
    with database.write() as session:
        factories.topic(session)
        factories.mail(session)
        ids = factories.leads(session, 20, topic="news")
        campaign = factories.campaign(session, factories.flow(AWAIT, DECIDE, MAIL))
        if only != "nothing is due":
            factories.request(session, campaign, ids)
    if only == "nothing is due":
        tick(database, NOW)
    statements: list[tuple[str, Any]] = []
    sa.event.listen(
        database.writer, "before_cursor_execute", lambda c, cur, sql, given, *_: statements.append((sql, given))
    )
    tick(database, NOW)
    scans = []
    with database.writer.connect() as connection:
        for sql, given in statements:
            if sql.lstrip().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given).all()
                scans += [(row[3], sql) for row in plan if _scans(row[3])]
    assert statements
    assert scans == []


def _scans(line: str) -> bool:
    words = line.split()
    return words[0] == "SCAN" and words[1] in LARGE and "INDEX ix_events_new" not in line


@pytest.fixture
def without_the_leads_index(database: Database) -> Iterator[None]:
    """Nothing better is there than the campaign's index; afterwards the tests share the schema again."""
    index = next(i for i in table("messages").indexes if i.name == "ix_messages_lead_id_created_at")
    index.drop(database.writer)
    yield
    index.create(database.writer)


@pytest.mark.usefixtures("without_the_leads_index")
def test_no_plan_can_look_for_a_mail_had_by_its_campaign(database: Database) -> None:
    """Before statistics that index looks as good as the lead's, and each lead would read all mails of the campaign."""
    once = {"kind": "send_email", "settings": {"mail": "welcome", "again": "passage"}}
    with database.write() as session:
        factories.topic(session)
        factories.mail(session)
        ids = factories.leads(session, 20, topic="news")
        factories.request(session, factories.campaign(session, factories.flow(once)), ids)
    plans: list[str] = []

    def explain(connection: Any, _cursor: Any, sql: str, given: Any, *_: Any) -> None:
        if "INSERT INTO messages" in sql and not sql.startswith("EXPLAIN"):
            how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
            plans.append(str(connection.exec_driver_sql(f"{how} {sql}", given).all()))

    sa.event.listen(database.writer, "before_cursor_execute", explain)
    tick(database, NOW)
    sa.event.remove(database.writer, "before_cursor_execute", explain)  # the tests of PostgreSQL share it
    assert len(plans) == 1
    assert "messages_1" in plans[0]
    assert "ix_messages_campaign_id_step" not in plans[0]
