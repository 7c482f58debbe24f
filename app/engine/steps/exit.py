"""The end of a path: the lead has completed the campaign, or leaves it for a reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names

AS = (("completed", "completed"), ("converted", "converted"), ("exited", "left early"))


class Exit(Settings):
    outcome: Annotated[
        str, Field(pattern="^(completed|converted|exited)$"), Widget("Count the lead as", "choice", choices=AS)
    ] = "completed"
    reason: Annotated[str, Field(max_length=200), Widget("Reason")] = ""


def describe(settings: Exit, names: Names) -> str:
    return settings.reason or ("End of campaign" if settings.outcome == "completed" else dict(AS)[settings.outcome])


def run(batch: Batch, settings: Exit) -> None:
    batch.finish(settings.outcome, settings.reason or None)


STEP = StepType(
    label="Exit",
    icon="flag",
    tone="gray",
    category="End",
    settings=Exit,
    example={},
    describe=describe,
    run=run,
    ports=lambda settings: (),
)
