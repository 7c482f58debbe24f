"""The tables in which leads travel do not remember who travelled before: an engine works for months on one connection."""

from __future__ import annotations

import sqlalchemy as sa

from app import db
from app.db import Database
from app.engine.batch import rows
from tests.conftest import NOW

MANY = 2_000


def _fill(database: Database) -> int:
    """One batch; what the table takes on disk by then."""
    fixed = {
        "lead_id": 1,
        "campaign_id": 1,
        "version_id": 1,
        "step": "w1",
        "visit": 1,
        "hops": 0,
        "held": 0,
        "tries": 0,
    }
    fixed |= {"entered_at": NOW, "arrived_at": NOW, "state": "moving", "skips": False}
    with database.write() as session:
        db.scratch(session, rows)
        assert session.scalar(sa.select(sa.func.count()).select_from(rows)) == 0
        session.execute(sa.insert(rows), [{"enrollment_id": number, **fixed} for number in range(MANY)])
        session.execute(sa.update(rows).values(visit=rows.c.visit + 1))
        if database.is_sqlite:
            return 0
        return session.scalar(sa.text("SELECT pg_relation_size('batch')")) or 0


def test_each_batch_starts_on_an_empty_table_that_has_not_grown(database: Database) -> None:
    database.dispose()  # a new connection, as a new engine has
    sizes = [_fill(database) for _ in range(6)]
    assert len(set(sizes)) == 1
