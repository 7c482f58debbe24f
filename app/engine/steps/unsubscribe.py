"""Take each lead off a topic, or off all marketing mail; what is queued for it is not sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Complaint, Settings, Widget
from app.preferences import consenting
from app.segments.ruletype import Names

FROM = (("topic", "a topic"), ("all", "all marketing mail"))


class Unsubscribe(Settings):
    what: Annotated[str, Field(pattern="^(topic|all)$"), Widget("From", "choice", choices=FROM)] = "topic"
    topic: Annotated[str, Field(max_length=200), Widget("Topic", "topic", shown_if=("what", "topic"))] = ""


def describe(settings: Unsubscribe, names: Names) -> str:
    return names.get(("topic", settings.topic), settings.topic) if settings.what == "topic" else "All marketing mail"


def run(batch: Batch, settings: Unsubscribe) -> None:
    topic = settings.topic if settings.what == "topic" else None
    source = f"Campaign {batch.version.campaign_key}"
    consenting.withdraw(batch.session, batch.lead_ids, topic, source=source, at=batch.now)
    batch.leave()


STEP = StepType(
    label="Unsubscribe",
    icon="mail-off",
    tone="blue",
    category="Actions",
    settings=Unsubscribe,
    example={"topic": "news"},
    describe=describe,
    check=lambda s: [Complaint("topic", "Topic is missing.")] if s.what == "topic" and not s.topic else [],
    run=run,
    keys=lambda s: [("topic", s.topic)] if s.what == "topic" else [],
    help="Counts as the lead's own no: campaigns of the topic end for it, this one too if it is of that topic.",
)
