"""Where leads stand and where they come from, over time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant
from app.leads.models import STAGE_LABELS, STAGES, Lead
from app.reports.overview import new_leads, reached
from app.reports.periods import Period
from app.reports.tables import Column, Table, share
from app.tracking.models import Event

TONES = ("gray", "indigo", "purple", "orange", "teal", "green", "pink", "blue")
MOST_SOURCES = 7
STAGE = (
    Column("stage", "Stage", "text"),
    Column("now", "Now"),
    Column("reached", "Reached in these days"),
    Column("before", "In the days before"),
    Column("change", "Change", "share"),
)
SOURCE = (
    Column("source", "Source", "text"),
    Column("new", "New leads"),
    Column("share", "Share", "share"),
    Column("qualified", "Marketing qualified or beyond", "number", "of these new leads, by now"),
    Column("qualified_rate", "Qualified", "share"),
    Column("customers", "Customers", "number", "of these new leads, by now"),
)


@dataclass(frozen=True, slots=True)
class Report:
    """Two tables with their courses, each course a list of lines for a chart."""

    stages: Table
    stage_lines: list[dict[str, Any]]
    sources: Table
    source_lines: list[dict[str, Any]]


def report(session: Session, period: Period) -> Report:
    """Six statements, whatever the number of leads."""
    standing = _standing(session)
    created, moves = new_leads(session, period), reached(session, period)
    stages = [_stage(period, stage, standing.get(stage, 0), moves.get(stage, {})) for stage in STAGES]
    stages[0] = _stage(period, "subscriber", standing.get("subscriber", 0), created)
    by_source, buckets = _sources(session, period)
    return Report(
        Table("stages", "Stages", STAGE, stages, "Every new lead begins as a subscriber."),
        _stock(session, period, standing, created),
        Table("sources", "Sources", SOURCE, by_source),
        _source_lines(period, [row[0] for row in by_source], buckets),
    )


def _stage(period: Period, stage: str, now: int, counts: dict[int, int]) -> list[Any]:
    course, before = period.split(counts)
    return [STAGE_LABELS[stage], now, sum(course), before, share(sum(course) - before, before)]


def _standing(session: Session) -> dict[str, int]:
    """About how many leads stand at each stage: an index is counted, merged ones included."""
    counted = sa.select(Lead.stage, sa.func.count().label("count_")).group_by(Lead.stage)
    return {row.stage: row.count_ for row in session.execute(counted)}


def _stock(session: Session, period: Period, standing: dict[str, int], created: dict[int, int]) -> list[dict[str, Any]]:
    """How many stood at each stage at the end of each step: today's number, walked backwards through the log."""
    moved = (
        sa.select(
            Event.subject, Event.props["from"].as_string().label("before"), period.bucket(Event.at).label("bucket")
        )
        .where(Event.kind == "stage_changed", Event.subject.in_(STAGES), period.within(Event.at))
        .subquery()
    )
    columns = (moved.c.subject, moved.c.before, moved.c.bucket)
    moves = sa.select(*columns, sa.func.count()).group_by(*columns)
    change: dict[str, dict[int, int]] = {stage: defaultdict(int) for stage in STAGES}
    for number, count in created.items():
        change["subscriber"][number] += count
    for to, before, number, count in session.execute(moves):
        change[to][int(number)] += count
        if before in change:
            change[before][int(number)] -= count
    return [
        {"label": STAGE_LABELS[stage], "tone": TONES[i], "values": _walk(period, standing.get(stage, 0), change[stage])}
        for i, stage in enumerate(STAGES)
    ]


def _walk(period: Period, now: int, change: dict[int, int]) -> list[int]:
    values, at = [], now - change.get(period.count, 0)
    for number in reversed(range(period.count)):
        values.append(max(at, 0))
        at -= change.get(number, 0)
    return values[::-1]


def _sources(session: Session, period: Period) -> tuple[list[list[Any]], dict[str, dict[int, int]]]:
    """New leads by source, with what became of them, and the same by step."""
    bucket = period.bucket(Lead.created_at).label("bucket")
    beyond = STAGES[STAGES.index("mql") :]
    counted = (
        sa.select(
            Lead.source,
            bucket,
            sa.func.count().label("new"),
            sa.func.count(sa.case((Lead.stage.in_(beyond), 1))).label("qualified"),
            sa.func.count(sa.case((Lead.stage == "customer", 1))).label("customers"),
        )
        .where(_created(period), Lead.merged_into_id.is_(None))
        .group_by(Lead.source, bucket)
    )
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    buckets: dict[str, dict[int, int]] = defaultdict(dict)
    for row in session.execute(counted):
        source = row.source or "Unknown"
        buckets[source][int(row.bucket)] = row.new
        for i, value in enumerate((row.new, row.qualified, row.customers)):
            totals[source][i] += value
    everything = sum(new for new, _, _ in totals.values())
    ranked = sorted(totals.items(), key=lambda item: (-item[1][0], item[0]))
    rows = [[name, new, share(new, everything), good, share(good, new), won] for name, (new, good, won) in ranked]
    return rows, buckets


def _created(period: Period) -> sa.ColumnElement[bool]:
    """Of long periods the whole table is read in order: following an index to most of its rows took ten times as long."""
    if period.days <= 30:
        return period.within(Lead.created_at)
    return period.within(sa.type_coerce(sa.type_coerce(Lead.created_at, sa.BigInteger) + 0, Instant))


def _source_lines(period: Period, names: list[str], buckets: dict[str, dict[int, int]]) -> list[dict[str, Any]]:
    """The largest sources as lines, the others together."""
    shown, rest = names[:MOST_SOURCES], set(names[MOST_SOURCES:])
    lines = [
        {"label": name, "tone": TONES[(i + 1) % 8], "values": period.series(buckets[name])}
        for i, name in enumerate(shown)
    ]
    if rest:
        others = [sum(values) for values in zip(*(period.series(buckets[name]) for name in rest), strict=True)]
        lines.append({"label": f"{len(rest)} others", "tone": "gray", "values": others})
    return lines
