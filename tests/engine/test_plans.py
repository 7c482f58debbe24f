"""The statements a tick runs all the time must find their rows by an index, however many leads there are."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.db import Database
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
