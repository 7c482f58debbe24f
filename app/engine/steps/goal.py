"""What the campaign is for: a lead that reaches it, anywhere in the flow, is pulled forward to here (SEMANTICS 10)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app.engine.batch import Batch, rows
from app.engine.steptype import NEVER, Arrival, Port, StepType
from app.kinds import Complaint, Settings, Widget
from app.segments import ruling
from app.segments.ruletype import Names
from app.tracking import recording

THEN = (("end", "end here as converted"), ("go_on", "go on below"))
OTHERWISE = (("wait", "wait here for it"), ("go_on", "go on by “Not reached”"))


class Goal(Settings):
    rule: Annotated[dict[str, Any], Field(min_length=1), Widget("Reached when", "rule")]
    then: Annotated[str, Field(pattern="^(end|go_on)$"), Widget("Leads who reach it", "choice", choices=THEN)] = "end"
    otherwise: Annotated[
        str,
        Field(pattern="^(wait|go_on)$"),
        Widget("Leads who come here without it", "choice", choices=OTHERWISE),
    ] = "wait"


def check(settings: Goal) -> list[Complaint]:
    return [Complaint("rule", "Choose when the goal is reached.")] if settings.rule == {"all": []} else []


def describe(settings: Goal, names: Names) -> str:
    return ruling.sentence(settings.rule, names)


def due(settings: Goal, arrival: Arrival) -> datetime | None:
    return NEVER


def run(batch: Batch, settings: Goal) -> None:
    reached = batch.matching(settings.rule)
    if settings.then == "go_on":
        batch.leave("reached", where=reached, why=batch.seen(settings.rule, "goal reached"))
    else:
        batch.finish("converted", "goal reached", where=reached, withdraws=True)
    _record(batch)
    if settings.otherwise == "go_on":
        batch.leave("missed", why=batch.seen(settings.rule, "goal not reached"))


def _record(batch: Batch) -> None:
    """Say on the event log who has just reached the goal: those of this step that have a port now."""
    batch.settle()
    just = sa.select(rows.c.lead_id).where(
        rows.c.version_id == batch.version.id, rows.c.step == batch.step.id, rows.c.port.in_(["reached", "end"])
    )
    recording.record_for(
        batch.session, just.subquery(), kind="goal_reached", subject=batch.version.campaign_key, at=batch.now
    )


def ports(settings: Goal) -> tuple[Port, ...]:
    reached = (Port("reached", "Reached"),) if settings.then == "go_on" else ()
    missed = (Port("missed", "Not reached"),) if settings.otherwise == "go_on" else ()
    return reached + missed


STEP = StepType(
    label="Goal",
    icon="target-arrow",
    tone="teal",
    category="End",
    settings=Goal,
    example={
        "rule": {"rule": "score", "dimension": "total", "op": "at_least", "value": 50},
        "then": "end",
        "otherwise": "wait",
    },
    describe=describe,
    check=check,
    due=due,
    run=run,
    ports=ports,
    rules=lambda settings: [settings.rule],
    is_goal=True,
    amid={"otherwise": "go_on"},
    help="Watched all the time, for everybody inside. It counts once for each passage.",
)
