"""Let each lead go round so many times, then on: a loop that ends (SEMANTICS 14)."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.batch import Batch, rows
from app.engine.models import Decision
from app.engine.steptype import Port, StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names


class Repeat(Settings):
    times: Annotated[
        int, Field(ge=1, le=1_000), Widget("Again", "number", unit="times", hint="In each passage, at most.")
    ] = 3


def describe(settings: Repeat, names: Names) -> str:
    return "Once again" if settings.times == 1 else f"At most {settings.times} times again"


def run(batch: Batch, settings: Repeat) -> None:
    rounds = (
        sa.select(sa.func.count())
        .select_from(Decision)
        .where(Decision.enrollment_id == rows.c.enrollment_id, Decision.step == batch.step.id, Decision.port == "again")
        .correlate(rows)
        .scalar_subquery()
    )
    why = db.json_object("note", "", "seen", db.json_object("rounds so far", rounds))
    batch.leave("again", where=rounds < settings.times, why=why)
    batch.leave("done", why=why)


STEP = StepType(
    label="Repeat",
    icon="repeat",
    tone="purple",
    category="Logic",
    settings=Repeat,
    example={"times": 3},
    describe=describe,
    run=run,
    ports=lambda settings: (Port("again", "Again"), Port("done", "Enough")),
    help="Draw “Again” back to a step above, with a wait in between.",
)
