"""Move each lead to a stage of its life, from subscriber to customer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.leads.models import STAGE_LABELS, STAGES
from app.scoring import staging
from app.segments.ruletype import Names


class SetStage(Settings):
    stage: Annotated[
        str,
        Field(pattern=f"^({'|'.join(STAGES)})$"),
        Widget("Stage", "choice", choices=tuple(STAGE_LABELS.items())),
    ] = "lead"
    only_up: Annotated[bool, Widget("Never move back", "switch")] = True


def describe(settings: SetStage, names: Names) -> str:
    return STAGE_LABELS[settings.stage]


def run(batch: Batch, settings: SetStage) -> None:
    reason = f"Campaign {batch.version.campaign_key}"
    staging.set_stage(
        batch.session, batch.lead_ids, settings.stage, reason=reason, at=batch.now, only_up=settings.only_up
    )
    batch.leave()


STEP = StepType(
    label="Set stage",
    icon="stairs-up",
    tone="blue",
    category="Actions",
    settings=SetStage,
    example={"stage": "lead"},
    describe=describe,
    run=run,
)
