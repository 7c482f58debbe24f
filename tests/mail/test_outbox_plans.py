"""The sender and the outbox page find their few rows by an index, however many messages there are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app import signing
from app.db import Database
from app.mail import holding, leasing, queries, recovering

NOW = datetime.fromisoformat("2026-03-02T09:00Z")
HELD = leasing.Held(1, 1, "w")


def plans(database: Database, work: Any) -> list[str]:
    """What SQLite says it does for each statement about messages."""
    seen: list[tuple[str, Any]] = []
    sa.event.listen(database.writer, "before_cursor_execute", lambda *a: seen.append((a[2], a[3])))
    found = []
    with database.write() as session:
        work(session)
        connection = session.connection().connection
        for sql, parameters in list(seen):
            if "messages" in sql:
                rows = connection.cursor().execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
                found += [str(row[3]) for row in rows]
    return found


@pytest.mark.parametrize(
    ("work", "index"),
    [
        (
            lambda s: leasing.claim(s, now=NOW, limit=5, worker="w"),
            "ix_messages_due (priority=? AND not_before<?)",
        ),
        (
            lambda s: leasing.begin(
                s, [leasing.Begins(HELD, signing.address_hash("a@example.com"), {})], now=NOW, moment=NOW
            ),
            "INTEGER PRIMARY KEY",
        ),
        (
            lambda s: s.connection().execute(leasing._finishing(), {"given_rows": [], "given_now": NOW}),
            "INTEGER PRIMARY KEY",
        ),
        (lambda s: recovering.release(s), "ix_messages_held (reason=?)"),
        (lambda s: holding.release(s, NOW), "ix_messages_held"),
        (lambda s: recovering.recover(s, NOW), "ix_messages_leased"),
        (lambda s: queries.counts(s), "ix_messages_attention"),
        (lambda s: queries.waiting(s, "in_doubt"), "ix_messages_attention"),
        (lambda s: queries.waiting(s, "ready"), "ix_messages_due"),
    ],
)
def test_no_scan_of_all_messages(sqlite_database: Database, work: Any, index: str) -> None:
    found = plans(sqlite_database, work)
    assert any(index in line for line in found), found
    assert not [line for line in found if line.startswith("SCAN messages") and "INDEX" not in line], found
