"""Give each lead points, or take some away; the ledger keeps the reason."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Complaint, Settings, Widget
from app.scoring import scoring
from app.segments.ruletype import Names


class ChangeScore(Settings):
    points: Annotated[int, Field(ge=-100, le=100), Widget("Points", "number", hint="Minus takes points away.")] = 5
    dimension: Annotated[
        str,
        Field(pattern="^(interest|fit)$"),
        Widget("Of", "choice", choices=(("interest", "interest"), ("fit", "fit"))),
    ] = "interest"
    reason: Annotated[str, Field(max_length=200), Widget("Reason", hint="Shown in the lead's score.")] = ""


def describe(settings: ChangeScore, names: Names) -> str:
    return f"{settings.points:+d} {settings.dimension}"


def run(batch: Batch, settings: ChangeScore) -> None:
    reason = settings.reason or f"Campaign {batch.version.campaign_key}"
    scoring.change(
        batch.session, batch.lead_ids, settings.points, dimension=settings.dimension, reason=reason, at=batch.now
    )
    batch.leave()


STEP = StepType(
    label="Change score",
    icon="flame",
    tone="blue",
    category="Actions",
    settings=ChangeScore,
    example={"points": 5, "reason": "test"},
    describe=describe,
    check=lambda s: [] if s.points else [Complaint("points", "Points: write a number other than 0.")],
    run=run,
)
