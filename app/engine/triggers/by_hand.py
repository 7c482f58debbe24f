"""Lets in whoever is added: by hand, from a file, by the API, or by another campaign."""

from __future__ import annotations

import sqlalchemy as sa

from app.engine.triggertype import TriggerType
from app.kinds import Settings
from app.segments.ruletype import Names


class ByHand(Settings):
    pass


def describe(settings: ByHand, names: Names) -> str:
    return "By hand, file or API"


def matches(settings: ByHand, events: sa.FromClause) -> sa.ColumnElement[bool]:
    return events.c.kind == "campaign_requested"  # for this campaign: the engine adds that


TRIGGER = TriggerType(
    label="Added by hand",
    icon="hand-click",
    category="People",
    settings=ByHand,
    example={},
    describe=describe,
    matches=matches,
)
