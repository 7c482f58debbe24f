"""Writes the reference of the rule language from what each kind of condition declares, so that it cannot go stale."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import PydanticUndefined

from app.kinds import Settings, Widget
from app.segments import ruling
from app.segments.ruletype import CATEGORIES, RuleType

HEAD = """# Rules: saying who

Segments, decisions, goals, audiences, scoring and the definition of a sales-ready lead all ask "who" in one language. In the
browser a rule is built by choosing; in files and on the command line it is JSON (or YAML in a flow):

    {"all": [{"rule": "visited", "path": "/pricing*", "times": 2, "when": "within", "days": 7},
             {"none": [{"rule": "submitted", "form": "pricing-guide"}]}]}

- `all`, `any` and `none` hold lists of conditions and of further groups, 6 deep, 100 conditions in all. `{}` is everybody.
- Things are named by their key, which never changes; `ana@example.com` names a user.
- Letters are compared without case. What is empty or unknown fails a condition, so `none` holds for it; `is_not`,
  `contains_not` and `none_of` hold for what is empty.
- Events of machines (mail scanners, crawlers) never count. `since` an arrival or an entry exists only inside a campaign.
- `flask segments save NAME --rule FILE` makes a segment of a rule; what is wrong with it is said in sentences.

This page is written by `flask segments reference` from the code.
"""


def reference() -> str:
    """The whole page."""
    types = ruling.RULES.load()
    parts = [HEAD]
    for category in CATEGORIES:
        parts.append(f"## {category}\n")
        parts += [_kind(kind, type_) for kind, type_ in types.items() if type_.category == category]
    return "\n".join(parts)


def _kind(kind: str, type_: RuleType) -> str:
    example = {"rule": kind, **type_.example}
    rows = [_row(type_.Settings, name, widget) for name, widget in type_.Settings.widgets().items()]
    table = "\n".join(["| setting | what | values | else |", "|---|---|---|---|", *rows])
    means = ruling.who(example, {})
    return f"### `{kind}`: {type_.label}\n\n    {json.dumps(example, ensure_ascii=False)}\n\n{means[0].upper()}{means[1:]}.\n\n{table}\n"


def _row(settings: type[Settings], name: str, widget: Widget) -> str:
    hint = f" ({widget.hint})" if widget.hint else ""
    values = ", ".join(f"`{value}`" for value, _ in widget.choices) or _sort(widget)
    return f"| `{name}` | {widget.label}{hint} | {values} | {_default(settings.model_fields[name].default)} |"


def _sort(widget: Widget) -> str:
    keys = ("mail", "form", "segment", "tag", "topic", "campaign")
    return f"{widget.kind} key" if widget.kind in keys else {"user": "address of a user"}.get(widget.kind, widget.kind)


def _default(default: Any) -> str:
    if default is PydanticUndefined:
        return "must be given"
    return "empty" if default in ("", ()) else f"`{default}`"
