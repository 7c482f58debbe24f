"""The settings form beside the canvas: what it draws for each declared setting, and the settings that typing in it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import Field

from app.campaigns import palette
from app.engine import occurring
from app.engine.catalog import STEPS, TRIGGERS
from app.engine.steptype import StepType
from app.kinds import Complaint, Settings, Widget, parse
from app.leads.fields import slug
from app.segments import building, ruling
from app.segments.ruletype import Known, Names

PICKERS = frozenset(["mail", "form", "segment", "field", "topic", "stage", "user", "campaign", "definition"])
OWNERS = frozenset(["owner", "lead_owner"])
# what a row of a list asks for besides its name: (part, how it is typed)
COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "awaited": (("event", "choice"), ("subject", "text"), ("where", "text")),
    "values": (("values", "several"),),
    "bands": (("at_least", "number"),),
}
ROWS = frozenset(["arms", "shares", *COLUMNS])
_NEW: dict[str, dict[str, Any]] = {
    "awaited": {"event": "email_replied", "subject": ""},
    "values": {"values": []},
    "bands": {"at_least": 0},
}

MODES = (
    ("stay", "they stay"),
    ("exit", "they leave"),
    ("exit_on_goal", "they leave when they reach the goal"),
    ("either", "they leave then, or when they reach the goal"),
)
AGAIN = (
    ("never", "never"),
    ("after_exit", "once they have left"),
    ("after_days", "some days after they have left"),
    ("per_key", "for each order, deal or the like, side by side"),
)
UNSUBSCRIBED = (("exit", "leaves the campaign"), ("stay", "stays, without mail"))


class Governing(Settings):
    """What holds for the whole campaign, as the panel draws it; the flow keeps it under its own names."""

    audience: Annotated[
        dict[str, Any], Widget("Only leads who", "rule", hint="Nothing chosen: everybody who enters.")
    ] = Field(default_factory=dict)
    audience_mode: Annotated[str, Widget("When they no longer match", "choice", choices=MODES)] = "stay"
    again: Annotated[str, Widget("May a lead come again?", "choice", choices=AGAIN)] = "never"
    days: Annotated[int, Widget("Days in between", "number", shown_if=("again", "after_days"))] = 30
    exits: Annotated[list[Any], Widget("Leads leave at any time when", "arms")] = Field(default_factory=list)
    on_unsubscribe: Annotated[str, Widget("A lead who unsubscribes", "choice", choices=UNSUBSCRIBED)] = "exit"
    topic: Annotated[
        str,
        Widget(
            "Topic",
            "topic",
            hint="Unsubscribing from it ends the campaign for the lead. None: the topics of its mails.",
        ),
    ] = ""
    zone: Annotated[
        str, Widget("Time zone", "zone", hint="For leads whose own is unknown. Empty: your organisation's.")
    ] = ""
    priority: Annotated[
        int, Widget("Priority", "number", hint="1 comes first when campaigns compete for the same lead.")
    ] = 5
    any_hour: Annotated[
        bool, Widget("Mail at any hour", "switch", hint="Also outside the sending hours of your organisation.")
    ] = False


class Entering(Settings):
    """What every trigger has beside its own settings; the flow keeps it at the trigger."""

    filter: Annotated[
        dict[str, Any], Widget("Only leads who", "rule", hint="Asked when they would enter. Nothing chosen: all.")
    ] = Field(default_factory=dict)
    most_per_day: Annotated[
        int | None, Widget("At most a day", "number", unit="leads", hint="The others wait for the next day, in order.")
    ] = None
    key: Annotated[
        str,
        Widget(
            "Key",
            hint="The property of the event, such as order_id, if leads may come again for each one side by side.",
        ),
    ] = ""


def entering(trigger: Mapping[str, Any]) -> dict[str, Any]:
    """A trigger's own members as the form's settings."""
    return {name: trigger[name] for name in Entering.model_fields if trigger.get(name)}


def entered(settings: Mapping[str, Any]) -> dict[str, Any]:
    """And back: the form's settings as members of the trigger."""
    most = settings.get("most_per_day")
    return {
        "filter": settings.get("filter") or None,
        "most_per_day": None if most in (None, "") else _clamped(most, 1, 1_000_000, 1),
        "key": str(settings.get("key") or "")[:80],
    }


def governing(flow: Mapping[str, Any]) -> dict[str, Any]:
    """The flow's own members as the form's settings."""
    again = flow.get("re_entry") or {}
    exits = [
        {"port": f"e{i}", "name": e["reason"], "rule": e["rule"]} for i, e in enumerate(flow.get("exits") or [], 1)
    ]
    plain = {n: flow.get(n) for n in ("audience_mode", "on_unsubscribe", "topic", "zone", "priority") if flow.get(n)}
    return plain | {
        "audience": flow.get("audience") or {},
        "again": again.get("mode", "never"),
        "days": again.get("days", 30),
        "exits": exits,
        "any_hour": flow.get("quiet_hours") == "ignore",
    }


def governed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """And back: the form's settings as members of the flow."""
    return {
        "zone": settings.get("zone") or "",
        "topic": settings.get("topic") or None,
        "audience": settings.get("audience") or None,
        "audience_mode": settings.get("audience_mode") or "stay",
        "re_entry": {"mode": settings.get("again") or "never", "days": _clamped(settings.get("days"), 1, 3650, 30)},
        "exits": [{"rule": e["rule"], "reason": e["name"] or "left"} for e in settings.get("exits") or []],
        "on_unsubscribe": settings.get("on_unsubscribe") or "exit",
        "priority": _clamped(settings.get("priority"), 1, 9, 5),
        "quiet_hours": "ignore" if settings.get("any_hour") else "",
    }


def _clamped(value: Any, least: int, most: int, otherwise: int) -> int:
    try:
        return min(most, max(least, int(value)))
    except (TypeError, ValueError):
        return otherwise


def settings_type(what: str, kind: str) -> type[Settings] | None:
    """The declaration behind a form: of a step, a trigger, or the campaign."""
    if what == "campaign":
        return Governing
    type_ = TRIGGERS.get(kind) if what == "trigger" else STEPS.get(kind)
    return type_.settings if type_ else None


@dataclass(frozen=True, slots=True)
class Drawn:
    """One setting as the form draws it."""

    name: str
    widget: Widget
    value: Any
    options: list[tuple[str, str]]
    is_required: bool


def drawn(type_: type[Settings], given: Mapping[str, Any], known: Known) -> list[Drawn]:
    """The fields of a form, filled with what is set so far."""
    filled = {**palette.first_settings(type_), **given}
    return [
        Drawn(
            name,
            widget,
            _plain(filled.get(name)),
            _options(type_, name, widget, known.names),
            type_.model_fields[name].is_required(),
        )
        for name, widget in type_.widgets().items()
    ]


def _plain(value: Any) -> Any:
    """24 hours, not 24.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _options(type_: type[Settings], name: str, widget: Widget, names: Names) -> list[tuple[str, str]]:
    if widget.choices:
        return list(widget.choices)
    if widget.kind == "awaited":
        return list(occurring.CHOICES)
    if widget.kind == "zone":
        return [(zone, zone.replace("_", " ")) for zone in sorted(available_timezones()) if "/" in zone]
    if widget.kind == "subject":
        kinds = {*occurring.SUBJECTS.values(), "event"}
        return sorted({(key, f"{label}, {kind}") for (kind, key), label in names.items() if kind in kinds})
    found = [(key, label) for (kind, key), label in names.items() if kind == widget.kind]
    if widget.kind != "stage":  # stages have an order of their own
        found.sort(key=lambda pair: pair[1].casefold())
    default = type_.model_fields[name].default
    return [(str(default), "The lead’s owner"), *found] if widget.kind == "user" and default in OWNERS else found


def typed(type_: type[Settings], form: Any, known: Known) -> dict[str, Any]:
    """What was typed, as settings; what is left empty takes its default, or stays open when it must be chosen."""
    found = {}
    for name, widget in type_.widgets().items():
        value = _value(form, name, widget, known)
        if value is not None:
            found[name] = value
        elif not type_.model_fields[name].is_required():
            found[name] = palette.first_settings(type_).get(name)
    return found


def _value(form: Any, name: str, widget: Widget, known: Known) -> Any:
    if widget.kind in ROWS:
        return _rows(form, name, widget.kind, known)
    if widget.kind == "rule":
        return _rule(form, name, known) or None
    if widget.kind == "switch":
        return form.get(name) == "1"
    if widget.kind in {"choices", "weekdays"}:
        picked = form.getlist(name)
        return [int(day) for day in picked if day.isdigit()] if widget.kind == "weekdays" else picked
    text = str(form.get(name, "")).strip()
    if widget.kind == "number":
        return _number(text)
    if widget.kind == "tag":
        return slug(text) or None
    return text if text or widget.kind in {"text", "textarea", "form"} else None


def _number(text: str) -> Any:
    if not text:
        return None
    try:
        return int(text) if float(text).is_integer() else float(text)
    except (ValueError, OverflowError):
        return text  # the settings say what is wrong with it


def _rule(form: Any, name: str, known: Known) -> dict[str, Any]:
    rule = dict(building.settled(building.given(form, name), known))
    return {} if list(rule.values()) == [[]] else rule  # a group without a condition asks nothing


def _rows(form: Any, name: str, kind: str, known: Known) -> list[dict[str, Any]]:
    rows = []
    for number in form.getlist(f"{name}.row"):
        row = {"port": form.get(f"{name}.{number}.port", ""), "name": form.get(f"{name}.{number}.name", "").strip()}
        if kind == "arms":
            row["rule"] = _rule(form, f"{name}.{number}.rule", known)
        elif kind == "shares":
            row["percent"] = _number(form.get(f"{name}.{number}.percent", "")) or 0
            if form.get(f"{name}.{number}.is_holdout"):
                row["is_holdout"] = True
        else:
            parts = {part: _part(form.get(f"{name}.{number}.{part}", ""), how) for part, how in COLUMNS[kind]}
            row |= {part: value for part, value in parts.items() if value or part in _NEW[kind]}
        rows.append(row)
    return rows


def _part(text: str, how: str) -> Any:
    if how == "several":
        return [part.strip() for part in text.split(",") if part.strip()]
    return (_number(text.strip()) or 0) if how == "number" else text.strip()


def acted(settings: dict[str, Any], act: str) -> dict[str, Any]:
    """The settings after a button of the form: "add arms", "add others awaited", "remove arms 1", "up arms 1"."""
    verb, _, rest = act.partition(" ")
    name, _, number = rest.partition(" ")
    rows = settings.get(name)
    if not isinstance(rows, list):
        return settings
    rows, at = list(rows), int(number) if number.isdigit() else -1
    if verb == "add":
        rows.append(_new_row(rows, number))
    elif verb == "remove" and 0 <= at < len(rows):
        del rows[at]
    elif verb == "up" and 0 < at < len(rows):
        rows[at - 1], rows[at] = rows[at], rows[at - 1]
    return {**settings, name: _even(rows) if verb != "up" else rows}


def _new_row(rows: list[dict[str, Any]], kind: str = "") -> dict[str, Any]:
    taken = {row["port"] for row in rows}
    is_share = bool(rows) and "percent" in rows[0]
    letters = [chr(ord("a") + i) for i in range(26)]
    ports = letters if is_share else [f"a{i}" for i in range(1, 60)]
    port = next(p for p in ports if p not in taken)
    if is_share:
        return {"port": port, "name": port.upper(), "percent": 0}
    if kind in _NEW:
        return {"port": port, "name": "", **_NEW[kind]}
    return {"port": port, "name": "" if not rows else f"Path {len(rows) + 1}", "rule": {}}


def _even(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Shares that are added or taken away are made equal again; they can be changed after."""
    if not rows or "percent" not in rows[0]:
        return rows
    each = 100 // len(rows)
    rest = 100 - each * len(rows)
    return [{**row, "percent": each + (1 if i < rest else 0)} for i, row in enumerate(rows)]


def complaints(what: str, kind: str, settings: Mapping[str, Any], known: Known) -> list[Complaint]:
    """What is wrong with the settings, each at its field."""
    type_ = settings_type(what, kind)
    if type_ is None or what == "campaign":
        return []
    read, found = parse(type_, settings)
    declared = TRIGGERS.get(kind) if what == "trigger" else STEPS.get(kind)
    if read is not None and declared is not None:
        found = [*found, *declared.check(read)]
        found += declared.fits(read, known) if isinstance(declared, StepType) and not found else []
        for name, widget in type_.widgets().items():
            if widget.kind == "rule" and getattr(read, name):
                found += [Complaint(name, c.sentence) for c in ruling.check(getattr(read, name), known)]
    return found


def entry_complaints(trigger: Mapping[str, Any], known: Known) -> list[Complaint]:
    """What is wrong with a trigger's filter."""
    return [Complaint("filter", c.sentence) for c in ruling.check(trigger.get("filter") or {}, known)]
