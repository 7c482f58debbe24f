"""BARS S11: a rehearsal over a recorded event log, in leads times days a second, and how that grows with the leads."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import measuring
import populating
import sqlalchemy as sa

from app.campaigns import drafting, performing
from app.campaigns.performing import Wanted
from app.db import Database, micros
from tests.conftest import NOW

BAR = 50_000  # leads times days a second
DAY = timedelta(days=1)
EVENTS = 12  # of each lead in a year, besides the one that lets it in
ADDRESS = "https://trellis.example.com"


def flow() -> dict[str, Any]:
    """Twenty steps: seven waits, five branches, four mails, and what else a programme does."""
    score = {"rule": "score", "dimension": "total", "op": "at_least", "value": 50}
    seen = {"rule": "visited", "path": "/pricing", "times": 1}

    def step(number: int, kind: str, ways: dict[str, int] | None = None, **settings: Any) -> dict[str, Any]:
        leads = {port: f"s{target}" for port, target in (ways or {"out": number + 1}).items()}
        return {"id": f"s{number}", "kind": kind, "settings": settings, "next": leads}

    def wait(number: int, days: int) -> dict[str, Any]:
        return step(number, "wait", amount=days, unit="days")

    def decide(number: int, rule: dict[str, Any], yes: int, no: int) -> dict[str, Any]:
        return step(number, "decide", {"a": yes, "else": no}, arms=[{"port": "a", "name": "Yes", "rule": rule}])

    def mail(number: int) -> dict[str, Any]:
        return step(number, "send_email", mail="welcome", again="always")

    steps = [
        wait(1, 2), mail(2), wait(3, 7), decide(4, seen, 5, 7),
        step(5, "add_tag", tag="keen"), wait(6, 3), mail(7),
        step(8, "wait_for_event", {"happened": 9, "timeout": 10}, event="page_viewed", subject="/pricing", patience=14),
        step(9, "set_field", field="city", value="Basel"), wait(10, 14), decide(11, score, 12, 13),
        step(12, "handoff"), mail(13), wait(14, 30), decide(15, seen, 16, 17), step(16, "remove_tag", tag="keen"),
        wait(17, 30), mail(18), decide(19, score, 20, 20), {"id": "s20", "kind": "exit", "settings": {}, "next": {}},
    ]  # fmt: skip
    trigger = {"id": "t1", "kind": "form_submitted", "settings": {"form": "guide"}}
    return {"triggers": [trigger], "start": "s1", "steps": steps}


MOMENT = ":begin + n * 7919 % :days * 86400000000 + n % 86400 * 1000000"  # everybody on another day
FILLS = (
    "INSERT INTO consents (lead_id, topic_id, state, source, wording, evidence, at) SELECT n, :topic, 'given', 'Form', '', '{}', "
    ":begin FROM numbers",
    "UPDATE leads SET created_at = :begin",
    "INSERT INTO events (at, recorded_at, kind, subject, identity_id, agent, props, is_new) SELECT "
    f"{MOMENT}, :begin, 'form_submitted', 'guide', n, 'human', '{{}}', 0 FROM numbers",
)
VIEWS = (
    "INSERT INTO events (at, recorded_at, kind, subject, identity_id, agent, props, is_new) SELECT :begin + (n * 7919 + :which * "
    "104729) % :days * 86400000000 + (n * 31 + :which) % 86400 * 1000000, :begin, 'page_viewed', CASE WHEN (n + :which) % 9 = 0 "
    "THEN '/pricing' ELSE '/blog/' || :which END, n, 'human', '{}', 0 FROM numbers"
)


def build(database: Database, leads: int, days: int) -> int:
    """So many leads who agreed to mail, each with a form and some visits at other times; the id of the campaign."""
    populating.build(database, leads, 0)
    begin = micros(NOW - days * DAY)
    series = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count) "
    given = {"count": leads, "begin": begin, "days": days, "topic": 1}
    with database.write() as session:
        session.execute(sa.text("DELETE FROM enrollments"))
        session.execute(sa.text("INSERT INTO tags (key, name) VALUES ('keen', 'Keen')"))
        for fill in FILLS:
            _fill(session, series, fill, given)
        for which in range(max(1, EVENTS * days // 365)):
            _fill(session, series, VIEWS, given | {"which": which})
        return int(session.scalar(sa.text("SELECT id FROM campaigns")) or 0)


def _fill(session: Any, series: str, fill: str, given: dict[str, int]) -> None:
    into, _, chosen = fill.partition(" SELECT ")
    statement = sa.text(f"{into} {series} SELECT {chosen}" if chosen else fill)
    session.execute(statement, {k: v for k, v in given.items() if f":{k}" in statement.text})


def rehearse(folder: Path, leads: int, days: int) -> tuple[float, dict[str, Any]]:
    """Seconds from the start to the answer, and the answer."""
    database = Database(f"sqlite:///{folder / f'log-{leads}.sqlite'}")
    campaign_id = build(database, leads, days)
    with database.read() as session:
        wanted = Wanted(campaign_id, drafting.written(flow()), NOW - days * DAY, NOW)
        prepared = performing.prepare(session, wanted)
    found: list[dict[str, Any]] = []
    took = measuring.seconds(lambda: found.append(performing.perform(database, prepared, base_url=ADDRESS)[0]))
    database.dispose()
    assert found[0]["leads"] == found[0]["entered"] == leads, found[0]
    return took, found[0]


def speed(folder: Path, small: int, large: int, days: int) -> None:
    """S11, and whether ten times the leads take ten times as long."""
    _, few = rehearse(folder, small, days)
    worked = time.process_time()
    took, many = rehearse(folder, large, days)
    worked = time.process_time() - worked
    rate = large * days / took
    decisions = sum(count for step in many["steps"].values() for ways in step["left"].values() for _, count in ways)
    grows = many["seconds"]["moving"] / few["seconds"]["moving"] / (large / small)
    measuring.say(
        "S11 rehearsal, leads times days a second against the bar", rate / BAR, leads=large, days=days, steps=20,
        lead_days_per_s=rate, seconds=took, processor_s=worked, copying_s=many["seconds"]["copying"], decisions=decisions,
        growth_against_leads=grows,
    )  # fmt: skip


if __name__ == "__main__":
    full = measuring.arguments(__doc__ or "").full
    with measuring.folder() as place:
        speed(place, *((10_000, 100_000, 365) if full else (1_000, 10_000, 60)))
