"""What each path of a split or a test has brought, and how much more than the leads that were left alone (SEMANTICS 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

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
    Column("leads", "Leads"),
    Column("reached", "Reached the goal"),
    Column("rate", "Rate", "share"),
    Column("lift", "More than the holdout", "text", "in points of percent"),
    Column("won", "", "text"),
)
NOTE = "A lead counts once on each path it took; the goal counts when it was reached after that."


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
) -> dict[tuple[str, str], tuple[int, int]]:
    """(step, path) -> (leads, of whom so many reached the goal)."""
    passage = Decision.enrollment_id
    reached = sa.case((winning.reached_goal(), passage))
    counted = (
        sa.select(Decision.step, Decision.port, sa.func.count(passage.distinct()), sa.func.count(reached.distinct()))
        .where(Decision.version_id.in_(versions), Decision.step.in_(steps))
        .group_by(Decision.step, Decision.port)
    )
    return {(step, port): (leads, converted) for step, port, leads, converted in session.execute(counted)}


def _of_step(
    step: Mapping[str, Any], figures: Mapping[tuple[str, str], tuple[int, int]], won: str | None, names: Names
) -> list[list[Any]]:
    shares = step["settings"].get("shares") or [each.model_dump() for each in halves()]
    called = step.get("name") or str(palette.look(step, names)["title"])
    alone = [figures.get((step["id"], each["port"]), (0, 0)) for each in shares if each.get("is_holdout")]
    base = share(sum(reached for _, reached in alone), sum(leads for leads, _ in alone))
    rows = []
    for each in shares:
        leads, reached = figures.get((step["id"], each["port"]), (0, 0))
        rate, is_holdout = share(reached, leads), bool(each.get("is_holdout"))
        lift = "" if is_holdout or rate is None or base is None else f"{100 * (rate - base):+.1f}"
        name = (each.get("name") or each["port"]) + (" (holdout)" if is_holdout else "")
        won_words = "has won" if each["port"] == won else ""
        rows.append([called, name, "yes" if is_holdout else "", leads, reached, rate, lift, won_words])
    return rows
