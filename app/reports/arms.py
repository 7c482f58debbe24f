"""What each path of a split or a test has brought, and how much more than the leads that were left alone (SEMANTICS 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.campaigns import palette
from app.engine import winning
from app.engine.models import Decision, Winner
from app.engine.shares import halves
from app.reports.tables import Column, Table, share
from app.segments.ruletype import Names

KINDS = ("split", "ab_test")
COLUMNS = (
    Column("step", "Split or test", "text"),
    Column("path", "Path", "text"),
    Column("is_holdout", "Holdout", "text", is_shown=False),
    Column("has_won", "Has won", "text", is_shown=False),
    Column("leads", "Leads"),
    Column("clicked", "Clicks", "number", "leads who clicked in a mail below", is_shown=False),
    Column("click_rate", "Clicked", "share", "by people, in a mail below"),
    Column("reached", "Reached the goal"),
    Column("rate", "Goal rate", "share"),
    Column("lift", "Points above the holdout", "text", "goal rate, in points of percent"),
)
NOTE = "A lead counts once on each path it took; clicks and goals count when they came after that."


def table(session: Session, campaign_id: int, versions: sa.Select[Any], flow: Mapping[str, Any], names: Names) -> Table:
    """One row for each path of each split and test of the newest version, in its order."""
    steps = [step for step in flow.get("steps", []) if step["kind"] in KINDS]
    rows: list[list[Any]] = []
    if steps:
        figures = _figures(session, versions, [step["id"] for step in steps])
        decided = sa.select(Winner).where(Winner.campaign_id == campaign_id).order_by(Winner.decided_at)
        won = {each.step: each.port for each in session.scalars(decided)}
        for step in steps:
            rows += _of_step(step, figures, won.get(step["id"]), names)
    return Table("paths", "Splits and tests", COLUMNS, rows, note=NOTE, empty="No split and no test.")


def _figures(
    session: Session, versions: sa.Select[Any], steps: Sequence[str]
) -> dict[tuple[str, str], tuple[int, int, int]]:
    """(step, path) -> (leads, of whom so many clicked, and so many reached the goal)."""
    passage = Decision.enrollment_id
    clicked = sa.case((winning.reacted("clicked", clock.now()), passage))
    reached = sa.case((winning.reached_goal(), passage))
    counts = (sa.func.count(each.distinct()) for each in (passage, clicked, reached))
    counted = (
        sa.select(Decision.step, Decision.port, *counts)
        .where(Decision.version_id.in_(versions), Decision.step.in_(steps))
        .group_by(Decision.step, Decision.port)
    )
    return {(row[0], row[1]): (row[2], row[3], row[4]) for row in session.execute(counted)}


def _of_step(
    step: Mapping[str, Any], figures: Mapping[tuple[str, str], tuple[int, int, int]], won: str | None, names: Names
) -> list[list[Any]]:
    shares = step["settings"].get("shares") or [each.model_dump() for each in halves()]
    called = step.get("name") or str(palette.look(step, names)["title"])
    found = [(each, *figures.get((step["id"], each["port"]), (0, 0, 0))) for each in shares]
    alone = [(leads, reached) for each, leads, _, reached in found if each.get("is_holdout")]
    base = share(sum(reached for _, reached in alone), sum(leads for leads, _ in alone))
    rows = []
    for each, leads, clicked, reached in found:
        rate, is_holdout, has_won = share(reached, leads), bool(each.get("is_holdout")), each["port"] == won
        lift = "" if is_holdout or rate is None or base is None else f"{100 * (rate - base):+.1f}"
        name = (each.get("name") or each["port"]) + (" (holdout)" if is_holdout else " (has won)" if has_won else "")
        marks = ["yes" if mark else "" for mark in (is_holdout, has_won)]
        rows.append([called, name, *marks, leads, clicked, share(clicked, leads), reached, rate, lift])
    return rows
