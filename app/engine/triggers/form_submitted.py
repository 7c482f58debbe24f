"""Lets in whoever submits a form."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa

from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names
from app.tracking.queries import lead_events


class FormSubmitted(Settings):
    form: Annotated[str, Widget("Form", "form", hint="Empty: any form.")] = ""


def describe(settings: FormSubmitted, names: Names) -> str:
    return names.get(("form", settings.form), settings.form) or "Any form"


def matches(settings: FormSubmitted, events: sa.FromClause) -> sa.ColumnElement[bool]:
    submitted = events.c.kind == "form_submitted"
    return sa.and_(submitted, events.c.subject == settings.form) if settings.form else submitted


def already(settings: FormSubmitted) -> sa.Select[Any]:
    events = lead_events().subquery()
    return sa.select(events.c.lead_id).where(events.c.lead_id.is_not(None), matches(settings, events))


TRIGGER = TriggerType(
    label="Form submitted",
    icon="forms",
    category="Behaviour",
    settings=FormSubmitted,
    example={"form": "guide"},
    describe=describe,
    matches=matches,
    already=already,
    keys=lambda settings: [("form", settings.form)] if settings.form else [],
)
