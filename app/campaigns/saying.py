"""Says what is set in a step, a trigger or a campaign in words, and which settings of two differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.campaigns import editing, palette
from app.kinds import Settings, Widget
from app.segments import ruling
from app.segments.ruletype import Names

WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_NOTHING: tuple[Any, ...] = (None, "", [], {})
_NAMED = frozenset(["mail", "form", "segment", "tag", "field", "topic", "stage", "user", "campaign", "definition"])
_LONG = 300


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that was one thing and is another, in words."""

    label: str
    before: str
    after: str


def settings(kind: str, given: Mapping[str, Any], names: Names, *, what: str = "step") -> dict[str, str]:
    """Label -> value in words, of every setting of a step, a trigger, or ("campaign") the whole."""
    type_ = editing.settings_type(what, kind)
    if type_ is None:
        return {name: _text(value) for name, value in given.items()}
    return _of(type_, given, names)


def entry(trigger: Mapping[str, Any], names: Names) -> dict[str, str]:
    """The same for what every trigger has beside its own settings."""
    already = {"Also those who match when it is published": "yes" if trigger.get("already") else "no"}
    return already | _of(editing.Entering, editing.entering(trigger), names)


def campaign(flow: Mapping[str, Any], names: Names) -> dict[str, str]:
    return _of(editing.Governing, editing.governing(flow), names)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    labels = dict.fromkeys([*before, *after])
    pairs = [(label, before.get(label, "nothing"), after.get(label, "nothing")) for label in labels]
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]


def _of(type_: type[Settings], given: Mapping[str, Any], names: Names) -> dict[str, str]:
    filled = {**palette.first_settings(type_), **given}
    found: dict[str, str] = {}
    for name, widget in type_.widgets().items():
        value = filled.pop(name, None)
        if _is_rows(value):
            found |= {f"{widget.label}: {label}": words for label, words in _rows(value, names)}
        else:
            found[widget.label] = _value(widget, value, names)
    return found | {name: _text(value) for name, value in filled.items()}


def _value(widget: Widget, value: Any, names: Names) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if widget.kind == "weekdays" and isinstance(value, list):
        return ", ".join(WEEKDAYS[day] for day in value if isinstance(day, int) and 0 <= day < 7) or "nothing"
    chosen = dict(widget.choices)
    if isinstance(value, list):
        return ", ".join(chosen.get(str(each), _text(each)) for each in value) or "nothing"
    if isinstance(value, str) and value in chosen:
        return chosen[value]
    if value in _NOTHING:
        return "nothing"
    if widget.kind == "rule":
        return ruling.sentence(value, names)
    if widget.kind in _NAMED:
        return f"“{names.get((widget.kind, str(value)), value)}”"
    return f"{_text(value)} {widget.unit}".strip()


def _text(value: Any) -> str:
    value = int(value) if isinstance(value, float) and value.is_integer() else value
    words = "nothing" if value in _NOTHING else str(value)
    return words if len(words) <= _LONG else f"{words[:_LONG]}…"


# --- lists of rows: paths, shares, bands


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _rows(rows: list[Mapping[str, Any]], names: Names) -> list[tuple[str, str]]:
    told: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        label = str(row.get("name") or row.get("port") or number)
        told[label if label not in told else f"{label} ({number})"] = _row(row, names)
    order = [("order", ", ".join(told))] if len(told) > 1 else []
    return [*told.items(), *order]


def _row(row: Mapping[str, Any], names: Names) -> str:
    told = []
    for name, value in row.items():
        if name in {"port", "name"} or value in _NOTHING:
            continue
        if name == "rule":
            told.append(ruling.sentence(value, names))
        elif name == "percent":
            told.append(f"{_text(value)} %")
        elif isinstance(value, list):
            told.append(", ".join(map(str, value)))
        else:
            told.append(f"{name.replace('_', ' ')} {_text(value)}" if name in {"at_least", "where"} else _text(value))
    return " · ".join(told) or "nothing"
