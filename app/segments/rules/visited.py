"""Leads that looked at a page of the website, so often, in a period; or did not."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from pydantic import AfterValidator

from app.kinds import Settings, Widget
from app.segments import behaviour, comparing
from app.segments.paths import path_of


class VisitedRule(Settings):
    did: behaviour.Did = "has"
    path: Annotated[str, AfterValidator(path_of), Widget("Page", "page", hint="/pricing, /blog/* or empty for any")] = (
        ""
    )
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _events(s: VisitedRule, events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
    return [events.c.kind == "page_viewed", *([comparing.path(events.c.subject, s.path)] if s.path else [])]


RULE = behaviour.rule_type(
    label="Visited a page",
    icon="world",
    category="Behaviour",
    settings=VisitedRule,
    example={"path": "/pricing", "times": 2, "when": "within", "days": 7},
    events=_events,
    verbs=("visited", "did not visit"),
    what=lambda s, names: s.path or "any page",
    counts=lambda s: f"visits of {s.path or 'any page'}",
)
