"""Leads that downloaded a file, so often, in a period; or did not."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from pydantic import AfterValidator

from app.kinds import Settings, Widget
from app.segments import behaviour, comparing
from app.segments.paths import path_of


class DownloadedRule(Settings):
    did: behaviour.Did = "has"
    path: Annotated[
        str, AfterValidator(path_of), Widget("File", "page", hint="/files/guide.pdf, *.pdf or empty for any")
    ] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _events(s: DownloadedRule, events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
    return [events.c.kind == "file_downloaded", *([comparing.path(events.c.subject, s.path)] if s.path else [])]


RULE = behaviour.rule_type(
    label="Downloaded a file",
    icon="download",
    category="Behaviour",
    settings=DownloadedRule,
    example={"path": "*.pdf", "when": "within", "days": 30},
    events=_events,
    verbs=("downloaded", "did not download"),
    what=lambda s, names: s.path or "any file",
    counts=lambda s: f"downloads of {s.path or 'any file'}",
)
