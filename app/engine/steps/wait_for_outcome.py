"""Hold each lead until sales has answered its handoff, or its task is done, or until patience runs out."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine import patience
from app.engine.batch import Batch, rows
from app.engine.patience import Patience, Unit
from app.engine.steptype import Port, StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names

OF = (("handoff", "the handoff to sales has an answer"), ("task", "the task is done"))
ANSWERS = {"accepted": "Accepted", "rejected": "Rejected", "recycled": "Sent back"}


class WaitForOutcome(Settings):
    of: Annotated[
        str,
        Field(pattern="^(handoff|task)$"),
        Widget("Until", "choice", choices=OF, hint="The latest one before this step."),
    ] = "handoff"
    patience: Patience = 5
    unit: Unit = "days"
    forever: Annotated[bool, Widget("Wait for ever", "switch", hint="Leads nobody answers stay here.")] = False


def describe(settings: WaitForOutcome, names: Names) -> str:
    return f"Until {dict(OF)[settings.of]}, {patience.words(settings)}"


def awaits(settings: WaitForOutcome, events: sa.FromClause) -> sa.ColumnElement[bool]:
    kinds = [f"handoff_{answer}" for answer in ANSWERS] if settings.of == "handoff" else ["task_done"]
    return events.c.kind.in_(kinds)


def run(batch: Batch, settings: WaitForOutcome) -> None:
    if settings.of == "handoff":
        _answered(batch)
    else:
        _done(batch)
    batch.leave("timeout", where=rows.c.due_at <= batch.now)


def _answered(batch: Batch) -> None:
    handoffs = db.table("handoffs")
    # who was with sales already was not handed over again: that handoff is the one to wait for
    still_open = sa.or_(handoffs.c.answered_at.is_(None), handoffs.c.answered_at >= rows.c.entered_at)
    ours = sa.or_(handoffs.c.enrollment_id == rows.c.enrollment_id, still_open)
    latest = sa.select(sa.func.max(handoffs.c.id)).where(handoffs.c.lead_id == rows.c.lead_id, ours).correlate(rows)
    of_it = sa.and_(handoffs.c.id == latest.scalar_subquery(), _in_time(handoffs.c.answered_at, batch))
    seen = db.json_object("answer", handoffs.c.state, "reason", handoffs.c.reason)
    why = sa.select(db.json_object("note", "Sales answered", "seen", seen)).where(of_it).correlate(rows)
    for answer in ANSWERS:
        found = sa.select(handoffs.c.id).where(of_it, handoffs.c.state == answer).correlate(rows)
        batch.leave(answer, where=found.exists(), why=why.scalar_subquery())


def _done(batch: Batch) -> None:
    tasks = db.table("tasks")
    earlier = tasks.alias("earlier")
    here = sa.and_(earlier.c.enrollment_id == rows.c.enrollment_id, earlier.c.visit < rows.c.visit)
    latest = sa.select(sa.func.max(earlier.c.visit)).where(here).correlate(rows).scalar_subquery()
    of_it = sa.and_(tasks.c.enrollment_id == rows.c.enrollment_id, tasks.c.visit == latest)
    done = sa.and_(of_it, _in_time(tasks.c.done_at, batch))
    seen = db.json_object("task", tasks.c.title, "outcome", tasks.c.outcome)
    why = sa.select(db.json_object("note", "The task was done", "seen", seen)).where(done).correlate(rows)
    batch.leave("done", where=sa.select(tasks.c.id).where(done).correlate(rows).exists(), why=why.scalar_subquery())


def _in_time(at: sa.ColumnElement[Any], batch: Batch) -> sa.ColumnElement[bool]:
    return sa.and_(at <= batch.now, sa.or_(rows.c.due_at.is_(None), at <= rows.c.due_at))


def ports(settings: WaitForOutcome) -> tuple[Port, ...]:
    if settings.of == "handoff":
        found = tuple(Port(name, label) for name, label in ANSWERS.items())
    else:
        found = (Port("done", "Done"),)
    return found if settings.forever else (*found, Port("timeout", "No answer in time"))


STEP = StepType(
    label="Wait for outcome",
    icon="clipboard-check",
    tone="orange",
    category="Timing",
    settings=WaitForOutcome,
    example={"of": "handoff", "patience": 5},
    describe=describe,
    due=patience.due,
    freezes=True,
    awaits=awaits,
    run=run,
    ports=ports,
    help="Put it after “Hand to sales” or “Create task”: what people decide chooses the path.",
)
