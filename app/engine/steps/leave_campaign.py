"""Take each lead out of another campaign, and go on here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names
from app.tracking import recording


class LeaveCampaign(Settings):
    campaign: Annotated[str, Field(min_length=1, max_length=200), Widget("Campaign", "campaign")]
    reason: Annotated[
        str, Field(max_length=100), Widget("Reason", hint="Shown in the other campaign; empty: that this one took it.")
    ] = ""


def describe(settings: LeaveCampaign, names: Names) -> str:
    return names.get(("campaign", settings.campaign), settings.campaign)


def run(batch: Batch, settings: LeaveCampaign) -> None:
    props = {"reason": settings.reason or f"taken out by campaign {batch.version.campaign_key}"}
    recording.record_for(
        batch.session, batch.here, kind="campaign_exit_requested", subject=settings.campaign, at=batch.now, props=props
    )
    batch.leave()


STEP = StepType(
    label="Leave campaign",
    icon="logout",
    tone="blue",
    category="Actions",
    settings=LeaveCampaign,
    example={"campaign": "other"},
    describe=describe,
    run=run,
    keys=lambda settings: [("campaign", settings.campaign)],
    help="Its mails that are queued but not yet sent are withdrawn, as with any exit. To end this campaign, use “Exit”.",
)
