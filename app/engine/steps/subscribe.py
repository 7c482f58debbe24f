"""Sign each lead up for a topic, where the marketer has a legal ground for it; never over its own no."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Complaint, Settings, Widget
from app.preferences import consenting
from app.segments.ruletype import Names

GROUNDS = (
    ("", "Choose…"),
    ("asked", "they asked for it, and I can show when and how"),
    ("customers", "they are customers, and it is about similar products"),
    ("contract", "it belongs to a contract with them"),
)


class Subscribe(Settings):
    topic: Annotated[str, Field(min_length=1, max_length=200), Widget("Topic", "topic")]
    ground: Annotated[
        str,
        Field(pattern="^(asked|customers|contract)?$"),
        Widget("I may write to these leads, because", "choice", choices=GROUNDS, hint="Kept with every consent."),
    ] = ""
    proof: Annotated[
        str, Field(max_length=500), Widget("Where that can be seen", hint="Such as the form or the contract.")
    ] = ""


def describe(settings: Subscribe, names: Names) -> str:
    return names.get(("topic", settings.topic), settings.topic)


def check(settings: Subscribe) -> list[Complaint]:
    if settings.ground:
        return []
    return [Complaint("ground", "Say why you may write to these leads; without a legal ground nobody is subscribed.")]


def run(batch: Batch, settings: Subscribe) -> None:
    wording = "The marketer confirms: " + dict(GROUNDS)[settings.ground] + "."
    consenting.give(
        batch.session,
        batch.lead_ids,
        settings.topic,
        source=f"Campaign {batch.version.campaign_key}",
        at=batch.now,
        wording=f"{wording} {settings.proof}".strip(),
    )
    batch.leave()


STEP = StepType(
    label="Subscribe",
    icon="mail-heart",
    tone="blue",
    category="Actions",
    settings=Subscribe,
    example={"topic": "news", "ground": "customers", "proof": "Order form"},
    describe=describe,
    check=check,
    run=run,
    keys=lambda settings: [("topic", settings.topic)],
    help="Leads who have unsubscribed from the topic, or from everything, stay unsubscribed.",
)
