"""Tell somebody in the house about each lead, on their page and by mail if wanted."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app import db
from app.db import json_object
from app.engine import wording
from app.engine.batch import Batch, rows
from app.engine.steptype import StepType
from app.kinds import Settings, Widget
from app.sales import alerting
from app.segments.ruletype import Names


class Notify(Settings):
    text: Annotated[
        str,
        Field(min_length=1, max_length=500),
        Widget("Message", "textarea", hint="May name fields, such as {{ lead.company_name }}."),
    ]
    to: Annotated[str, Widget("To", "user", hint="The lead's owner, or one person.")] = "owner"
    by_mail: Annotated[bool, Widget("Also by mail", "switch")] = True


def describe(settings: Notify, names: Names) -> str:
    return settings.text


def run(batch: Batch, settings: Notify) -> None:
    text = wording.filled(settings.text, db.table("leads"))
    alerting.notify(batch.session, batch.here, text=text, to=settings.to, at=batch.now, by_mail=settings.by_mail)
    batch.leave(why=json_object("note", alerting.told(rows.c.enrollment_id, rows.c.visit)))


STEP = StepType(
    label="Notify",
    icon="bell-ringing",
    tone="pink",
    category="Actions",
    settings=Notify,
    example={"text": "Look at this lead", "to": "owner"},
    describe=describe,
    fits=lambda settings, known: wording.check("text", "Message", settings.text),
    keys=lambda settings: wording.keys(settings.text),
    run=run,
)
