"""Ask that each lead enter another campaign, and go on here or leave."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import Port, StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names
from app.tracking import recording


class GoToCampaign(Settings):
    campaign: Annotated[str, Field(min_length=1, max_length=200), Widget("Campaign", "campaign")]
    stay: Annotated[bool, Widget("Also go on here", "switch")] = False


def describe(settings: GoToCampaign, names: Names) -> str:
    return names.get(("campaign", settings.campaign), settings.campaign)


def run(batch: Batch, settings: GoToCampaign) -> None:
    props = {"reason": f"sent by campaign {batch.version.campaign_key}"}
    recording.record_for(
        batch.session, batch.here, kind="campaign_requested", subject=settings.campaign, at=batch.now, props=props
    )
    if settings.stay:
        batch.leave()
    else:
        batch.finish("completed", f"went to {settings.campaign}")


STEP = StepType(
    label="Go to campaign",
    icon="arrow-ramp-right",
    tone="gray",
    category="End",
    settings=GoToCampaign,
    example={"campaign": "other"},
    describe=describe,
    run=run,
    ports=lambda settings: (Port("out"),) if settings.stay else (),
    keys=lambda settings: [("campaign", settings.campaign)],
    help="The other campaign needs the trigger “Added by hand”; its own re-entry rule decides who may come.",
)
