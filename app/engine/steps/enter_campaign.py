"""Ask that each lead enter another campaign, too, and go on here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names
from app.tracking import recording


class EnterCampaign(Settings):
    campaign: Annotated[str, Field(min_length=1, max_length=200), Widget("Campaign", "campaign")]


def describe(settings: EnterCampaign, names: Names) -> str:
    return names.get(("campaign", settings.campaign), settings.campaign)


def run(batch: Batch, settings: EnterCampaign) -> None:
    props = {"reason": f"sent by campaign {batch.version.campaign_key}"}
    recording.record_for(
        batch.session, batch.here, kind="campaign_requested", subject=settings.campaign, at=batch.now, props=props
    )
    batch.leave()


STEP = StepType(
    label="Enter campaign",
    icon="login",
    tone="blue",
    category="Actions",
    settings=EnterCampaign,
    example={"campaign": "other"},
    describe=describe,
    run=run,
    keys=lambda settings: [("campaign", settings.campaign)],
    help="The other campaign needs the trigger “Added by hand”; its own re-entry rule decides who may come.",
)
