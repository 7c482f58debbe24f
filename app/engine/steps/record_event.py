"""Write an event of your own into each lead's story, for scoring, segments, triggers and waits to see."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from app.db import Json
from app.engine import pairs
from app.engine.batch import Batch
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names
from app.tracking import recording


class RecordEvent(Settings):
    event: Annotated[
        str, Field(min_length=1, max_length=200), Widget("Event", "event", hint="Its name, such as webinar_invited.")
    ]
    values: Annotated[str, Field(max_length=2000), Widget("Properties", "textarea", hint="One a line: plan = pro")] = ""


def describe(settings: RecordEvent, names: Names) -> str:
    return settings.event


def run(batch: Batch, settings: RecordEvent) -> None:
    recording.record_for(
        batch.session,
        batch.here,
        kind="custom",
        subject=settings.event,
        at=batch.now,
        props=sa.literal(pairs.plain(pairs.read(settings.values)), Json),
        campaign_id=batch.version.campaign_id,
    )
    batch.leave()


STEP = StepType(
    label="Record event",
    icon="bolt",
    tone="blue",
    category="Actions",
    settings=RecordEvent,
    example={"event": "webinar_invited", "values": "plan = pro\nseats = 3"},
    describe=describe,
    check=lambda settings: pairs.check("values", "Properties", settings.values),
    run=run,
    help="The same kind of event that your site or product reports: it scores, lets leads into campaigns and ends waits.",
)
