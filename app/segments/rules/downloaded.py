"""Leads that downloaded a file, so often, in a period; or did not."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import AfterValidator

from app.kinds import Settings, Widget
from app.segments import behaviour, comparing
from app.segments.paths import path_of
from app.segments.ruletype import Names, RuleContext, RuleType


class DownloadedRule(Settings):
    did: behaviour.Did = "has"
    path: Annotated[
        str, AfterValidator(path_of), Widget("File", "page", hint="/files/guide.pdf, *.pdf or empty for any")
    ] = ""
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def _conditions(s: DownloadedRule) -> behaviour.Conditions:
    def on(events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
        file = [comparing.path(events.c.subject, s.path)] if s.path else []
        return [events.c.kind == "file_downloaded", *file]

    return on


def _sentence(s: DownloadedRule, names: Names) -> str:
    file = s.path or "any file"
    return behaviour.phrase(s, f"downloaded {file}", f"did not download {file}", names)


def _operands(s: DownloadedRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {f"downloads of {s.path or 'any file'}": behaviour.counted(s, ctx, _conditions(s))}


RULE = RuleType(
    label="Downloaded a file",
    icon="download",
    category="Behaviour",
    Settings=DownloadedRule,
    example={"path": "*.pdf", "when": "within", "days": 30},
    predicate=lambda s, ctx: behaviour.seen(s, ctx, _conditions(s)),
    sentence=_sentence,
    operands=_operands,
    drifts=behaviour.drifts,
    check=behaviour.check,
    drawn=behaviour.drawn,
)
