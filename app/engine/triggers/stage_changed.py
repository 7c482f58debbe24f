"""Lets in whoever's stage changes, to or from one you choose."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.triggertype import TriggerType
from app.kinds import Complaint, Settings, Widget
from app.leads.models import STAGE_LABELS
from app.segments.ruletype import Names

STAGES = (("", "any"), *STAGE_LABELS.items())


class StageChanged(Settings):
    to: Annotated[str, Field(max_length=40), Widget("To", "choice", choices=STAGES)] = ""
    was: Annotated[str, Field(max_length=40), Widget("From", "choice", choices=STAGES)] = ""


def check(settings: StageChanged) -> list[Complaint]:
    for at in ("to", "was"):
        stage = getattr(settings, at)
        if stage and stage not in STAGE_LABELS:
            return [Complaint(at, f"There is no stage {stage}; it is one of {', '.join(STAGE_LABELS)}.")]
    if settings.to and settings.to == settings.was:
        return [Complaint("was", "A stage never changes into itself; choose two that differ.")]
    return []


def describe(settings: StageChanged, names: Names) -> str:
    was = f" from {STAGE_LABELS.get(settings.was, settings.was)}" if settings.was else ""
    return f"Stage becomes {STAGE_LABELS.get(settings.to, settings.to)}{was}" if settings.to else f"Stage changes{was}"


def matches(settings: StageChanged, events: sa.FromClause) -> sa.ColumnElement[bool]:
    conditions = [events.c.kind == "stage_changed"]
    if settings.to:
        conditions.append(events.c.subject == settings.to)
    if settings.was:
        conditions.append(events.c.props["from"].as_string() == settings.was)
    return sa.and_(*conditions)


def already(settings: StageChanged) -> sa.Select[Any]:
    leads = db.table("leads")
    return sa.select(leads.c.id).where(leads.c.stage == settings.to if settings.to else sa.false())


TRIGGER = TriggerType(
    label="Stage changed",
    icon="stairs-up",
    category="Data",
    settings=StageChanged,
    example={"to": "mql"},
    describe=describe,
    check=check,
    matches=matches,
    already=already,
)
