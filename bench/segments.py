"""BARS S10: a segment's SQL against the best written by hand, and 1,000 touched leads against everybody."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import measuring
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import layers
from app.db import Base, Database, micros
from app.leads.models import Lead
from app.segments import refreshing, ruling
from app.segments.models import Segment
from tests.conftest import NOW

RULE = {
    "all": [
        {"rule": "visited", "path": "/pricing*", "times": 2, "when": "within", "days": 7},
        {"rule": "field", "field": "country", "op": "is", "value": "CH"},
        {"none": [{"rule": "submitted", "form": "guide"}]},
    ]
}
BY_HAND = """
SELECT count(*) FROM leads WHERE country = 'CH' AND merged_into_id IS NULL AND erased_at IS NULL
AND id IN (SELECT i.lead_id FROM events e JOIN identities i ON i.id = e.identity_id WHERE e.kind = 'page_viewed'
    AND e.subject >= '/pricing' AND e.subject < '/pricinh' AND e.at >= :since AND e.agent <> 'machine'
    GROUP BY i.lead_id HAVING count(*) >= 2)
AND id NOT IN (SELECT i.lead_id FROM events e JOIN identities i ON i.id = e.identity_id WHERE e.kind = 'form_submitted'
    AND e.subject = 'guide' AND e.agent <> 'machine' AND i.lead_id IS NOT NULL)
"""
ROWS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"


def populate(database: Database, leads: int) -> None:
    """So many leads with five events each: a third page views in the last weeks, some of them of the prices."""
    given = {"count": leads, "now": micros(NOW), "day": 86_400_000_000}
    with database.writer.begin() as connection:
        run = lambda sql, **more: connection.execute(sa.text(sql), given | more)  # noqa: E731
        run(
            f"{ROWS} INSERT INTO identities (id, kind, lead_id, created_at) SELECT i, 'lead', i, :now + 0 * :day FROM n"
        )
        columns = [
            c.name for c in Lead.__table__.columns if not c.nullable and c.name not in ("id", "country", "bucket")
        ]
        zero = {
            "fit_grade": "'D'",
            "interest_grade": "4",
            "temperature": "'cold'",
            "stage": "'subscriber'",
            "fields": "'{}'",
        }
        zero |= {"created_at": ":now + 0 * :day", "updated_at": ":now"}
        numbers = ("fit", "interest", "score")
        values = ", ".join(zero.get(c, "0" if c in numbers else "''") for c in columns)
        country = "CASE i % 5 WHEN 0 THEN 'CH' WHEN 1 THEN 'DE' ELSE 'FR' END"
        run(
            f"{ROWS} INSERT INTO leads (id, bucket, country, {', '.join(columns)}) SELECT i, i % 64, {country}, {values} FROM n"
        )
        kind = "CASE WHEN h / 64 % 12 = 0 THEN 'form_submitted' WHEN h / 64 % 3 = 0 THEN 'page_viewed' ELSE 'email_sent' END"
        subject = (
            "CASE WHEN h / 64 % 12 = 0 THEN CASE h / 4096 % 2 WHEN 0 THEN 'guide' ELSE 'demo' END WHEN h / 64 % 3 = 0 "
            "THEN CASE WHEN h / 4096 % 4 = 0 THEN '/pricing/teams' ELSE '/blog/' || (i % 50) END ELSE 'welcome' END"
        )
        rows = f"{ROWS}, r AS (SELECT i, i * 2654435761 % 4294967296 AS h FROM n)"
        run(
            f"{rows} INSERT INTO events (at, recorded_at, kind, subject, identity_id, agent, props, is_new) SELECT "
            f":now - (h / 1048576 % 40) * :day / 2, :now, {kind}, {subject}, 1 + (i / 5 * 7919) % :leads, 'human', '{{}}', 0 FROM r",
            count=leads * 5,
            leads=leads,
        )
        connection.execute(sa.text("ANALYZE"))


def counted(session: Session) -> int:
    """How many match by our SQL."""
    query = sa.select(sa.func.count()).select_from(Lead)
    return session.scalar(query.where(ruling.living(), ruling.predicate(RULE, ruling.context(session, NOW)))) or 0


def counted_by_hand(session: Session) -> int:
    """How many match by the best SQL we could write."""
    return session.scalar(sa.text(BY_HAND), {"since": micros(NOW - timedelta(days=7))}) or 0


def refreshed(database: Database, touched: int | None, at: int) -> float:
    """Seconds of one refresh of a built segment, for everybody or for so many leads."""
    few = None if touched is None else sa.select(Lead.id).where(Lead.id <= touched)
    with database.write() as session:
        return measuring.seconds(lambda: refreshing.refresh(session, now=NOW + timedelta(seconds=at), touched=few))


def main() -> None:
    full = measuring.arguments(__doc__ or "").full
    leads, touched = (1_000_000, 1_000) if full else (60_000, 60)
    layers.load_models()
    with measuring.folder() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'bench.sqlite'}")
        Base.metadata.create_all(database.writer)
        populate(database, leads)
        with database.read() as session:
            assert counted(session) == counted_by_hand(session) > 0
            pairs = [
                (measuring.seconds(lambda: counted(session)), measuring.seconds(lambda: counted_by_hand(session)))
                for _ in range(5)
            ]
        with database.write() as session:
            session.add(Segment(key="s", name="S", rule=RULE, created_at=NOW, updated_at=NOW))
        refreshed(database, None, 0)
        whole = measuring.median([refreshed(database, None, n) for n in range(3)])
        part = measuring.median([refreshed(database, touched, n) for n in range(5)])
        database.dispose()
    ours, by_hand = (measuring.median([pair[side] for pair in pairs]) for side in (0, 1))
    measuring.say(
        "S10 segments",
        ours / by_hand,
        ours=ours,
        by_hand=by_hand,
        leads=leads,
        touched_of_all=part / whole,
        part=part,
        whole=whole,
    )


if __name__ == "__main__":
    main()
