"""The JSON Schema of campaign files and the tables of their reference page, both made from the declarations in the code."""

from __future__ import annotations

import json
from typing import Any

from app.campaigns import expecting, moments, palette, reactions
from app.campaigns import parts as partly
from app.campaigns.scenarios import MOST, Given, Scenario
from app.engine.catalog import STEPS, TRIGGERS
from app.engine.graph import FlowSpec
from app.kinds import Settings

MOST_CHOICES = 20  # named one by one; of more, the hint says what they are
ADDRESS = "https://json-schema.org/draft/2020-12/schema"


def build() -> dict[str, Any]:
    """The schema: an editor that knows it completes and checks campaign files."""
    flow = FlowSpec.model_json_schema()
    own = {n: p for n, p in flow["properties"].items() if n not in {"triggers", "start", "steps"}}
    definitions = dict(flow.get("$defs", {}))
    for name in ("TriggerSpec", "StepSpec"):
        definitions.pop(name, None)
    names = {
        "trellis": {"const": 1},
        "campaign": {"type": "string", "minLength": 1, "maxLength": 200, "description": "The name."},
        "key": {"type": "string"},
        "description": {"type": "string"},
        "gallery": {"type": "object", "description": "What the gallery of ready programmes says; not imported."},
    }
    lists = {
        "triggers": {"type": "array", "items": _one_of("trigger", TRIGGERS.load(), definitions)},
        "start": {"type": "string", "description": "The first step; by default the first of the list."},
        "steps": {"type": "array", "items": _one_of("step", STEPS.load(), definitions)},
    }
    scenario = Scenario.model_json_schema(ref_template="#/$defs/{model}")
    definitions |= scenario.pop("$defs", {}) | {"Scenario": scenario}
    lists["scenarios"] = {"type": "array", "maxItems": MOST, "items": {"$ref": "#/$defs/Scenario"}}
    parts = {name: {"type": "array", "items": _part()} for name in partly.KINDS}
    return {
        "$schema": ADDRESS,
        "title": "A Trellis campaign",
        "type": "object",
        "required": ["campaign", "steps"],
        "additionalProperties": False,
        "properties": {**names, **own, **lists, **parts},
        "$defs": definitions,
    }


def _part() -> dict[str, Any]:
    return {"type": "object", "required": ["key", "name"]}


def _one_of(what: str, kinds: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """One entry for each kind: `wait: {…settings…}` beside its id, name and paths."""
    return {"oneOf": [_entry(what, kind, type_, definitions) for kind, type_ in sorted(kinds.items())]}


def _entry(what: str, kind: str, type_: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    settings = type_.settings.model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(settings.pop("$defs", {}))
    settings.pop("title", None)
    properties: dict[str, Any] = {
        "id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,40}$"},
        kind: {**settings, "description": type_.help or type_.label},
        "name": {"type": "string", "maxLength": 200},
    }
    if what == "trigger":
        properties |= {
            "already": {"type": "boolean", "description": "Also leads who match when it is published."},
            "filter": {"type": "object", "description": "A rule: of those it concerns, only these enter."},
            "most_per_day": {"type": "integer", "minimum": 1, "description": "The others wait for the next day."},
            "key": {"type": "string", "maxLength": 80, "description": "The event's property for re_entry per_key."},
        }
    else:
        then = {"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}
        properties |= {"note": {"type": "string", "maxLength": 2000}, "then": then}
    return {"type": "object", "required": ["id", kind], "additionalProperties": False, "properties": properties}


def as_text() -> str:
    return json.dumps(build(), indent=2, ensure_ascii=False)


# --- the tables of docs/flow-format.md


def reference() -> str:
    """The part of the page that is generated: every trigger and step with its settings and paths."""
    parts = ["## Triggers", ""]
    for card in palette.triggers():
        parts += _section(card, TRIGGERS.load()[card["kind"]].settings, [])
    parts += ["## Steps", ""]
    for card in palette.steps():
        parts += _section(card, STEPS.load()[card["kind"]].settings, card["ports"])
    return "\n".join([*parts, *_scenarios()])


_TIMES = """\
Times: {how}.

A line of `when` begins with its time. Without one it happens an hour after there is occasion for it; on a day without an
hour, at the hour at which the lead came in, or later on that day once there is occasion. A line of `expect` may end with
`by`, `on`, `at`, `before` or `after` and a time.
"""


def _scenarios() -> list[str]:
    """How scenarios are written: what may be given, what may happen, what may be expected."""
    given = [f"| `{name}` | {field.description} |" for name, field in Given.model_fields.items()]
    happens = [f"- `{each.strip()}`" for each in reactions.HOW.removesuffix(", or nothing").split(", ")]
    expected = [f"| `{words}` | {meaning} |" for words, meaning in expecting.KINDS]
    return [
        *("## Scenarios", "", _TIMES.format(how=moments.HOW)),
        *("| given | what it is |", "|---|---|", *given, ""),
        *("What may happen (`when`):", "", *happens, ""),
        *("| expect | it holds if |", "|---|---|", *expected, ""),
    ]


def _section(card: dict[str, Any], settings: type[Settings], ports: list[dict[str, Any]]) -> list[str]:
    lines = [f"### `{card['kind']}`: {card['label']}", ""]
    lines += [card["help"], ""] if card["help"] else []
    widgets = settings.widgets()
    if widgets:
        lines += ["| setting | what it is | usually |", "|---|---|---|"]
        for name, widget in widgets.items():
            required = settings.model_fields[name].is_required()
            usual = "must be given" if required else f"`{json.dumps(card['settings'].get(name), ensure_ascii=False)}`"
            few = widget.choices if len(widget.choices) <= MOST_CHOICES else ()
            choices = " · ".join(f"`{value}` {words}" for value, words in few)
            what = ". ".join(
                part.rstrip(".") for part in (widget.label, choices or widget.in_files or widget.hint) if part
            )
            lines.append(f"| `{name}` | {what.replace('|', '/')} | {usual.replace('|', '/')} |")
        lines.append("")
    if ports:
        named = ", ".join(f"`{p['name']}`" + (" (may be left out)" if p["optional"] else "") for p in ports)
        lines += [f"Paths: {named}.", ""]
    elif card["category"] == "End":
        lines += ["Ends the path.", ""]
    return lines


MARK = "<!-- What follows is written by `python -m app.campaigns.schema`; a test keeps it true. -->"


def page(current: str) -> str:
    """docs/flow-format.md with its generated part made new."""
    return f"{current.split(MARK)[0]}{MARK}\n\n{reference()}"


if __name__ == "__main__":
    from pathlib import Path

    from app import layers

    layers.load_models()
    file = Path(__file__).parents[2] / "docs" / "flow-format.md"
    file.write_text(page(file.read_text(encoding="utf-8")), encoding="utf-8")
