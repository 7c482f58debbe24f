"""The palette of the designer: every kind of step and trigger as its card, its first settings, its ways out and its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.engine.catalog import STEPS, TRIGGERS
from app.engine.steptype import OUT, Port, StepType
from app.engine.triggertype import TriggerType
from app.kinds import Settings, parse
from app.segments.ruletype import Names

CATEGORIES = ("Actions", "Timing", "Logic", "End")
TRIGGER_CATEGORIES = ("Behaviour", "Data", "Time", "People")
# How the cards are ordered inside their group: the everyday ones first, any other after them by name.
_WAYS_IN = (
    "form_submitted", "page_visited", "mail_engaged", "joined_segment", "left_segment", "score_reached", "date_field",
    "schedule", "by_hand",
)  # fmt: skip
_EVERYDAY = (
    "send_email", "add_tag", "set_field", "change_score", "handoff", "wait", "wait_until", "wait_for_event",
    "decide", "by_field", "by_score", "by_mail", "split", "ab_test", "goal",
)  # fmt: skip
_FIRST: dict[str, Any] = {
    "arms": [{"port": "a1", "name": "Yes", "rule": {}}],
    "shares": [{"port": "a", "name": "A", "percent": 50}, {"port": "b", "name": "B", "percent": 50}],
    "values": [{"port": "a1", "name": "", "values": []}],
    "bands": [{"port": "a1", "name": "High", "at_least": 70}, {"port": "a2", "name": "Middle", "at_least": 30}],
}


def steps() -> list[dict[str, Any]]:
    """Every kind of step, in the order of the palette."""
    return [_step(kind, type_) for kind, type_ in sorted(STEPS.load().items(), key=_place)]


def triggers() -> list[dict[str, Any]]:
    """Every kind of trigger."""
    found = sorted(
        TRIGGERS.load().items(),
        key=lambda item: (_rank(TRIGGER_CATEGORIES, item[1].category), _rank(_WAYS_IN, item[0]), item[0]),
    )
    return [
        {**_card(kind, type_), "tone": "green", "ports": [], "may_ask_already": type_.already is not None}
        for kind, type_ in found
    ]


def _place(item: tuple[str, StepType]) -> tuple[int, int, str]:
    kind, type_ = item
    return _rank(CATEGORIES, type_.category), _rank(_EVERYDAY, kind), type_.label


def _rank(order: tuple[str, ...], name: str) -> int:
    return order.index(name) if name in order else len(order)


def _step(kind: str, type_: StepType) -> dict[str, Any]:
    first = first_settings(type_.settings)
    amid = first | type_.amid
    return {
        **_card(kind, type_),
        "tone": type_.tone,
        "ports": plain(ports(type_, first) or OUT),
        "amid": {"settings": amid, "ports": plain(ports(type_, amid) or OUT)} if type_.amid else None,
    }


def _card(kind: str, type_: StepType | TriggerType) -> dict[str, Any]:
    return {
        "kind": kind,
        "label": type_.label,
        "icon": type_.icon,
        "category": type_.category,
        "help": type_.help,
        "settings": first_settings(type_.settings),
        "hint": _hint(type_.settings),
        "title": _title(type_, first_settings(type_.settings), {}),
    }


def _hint(settings: type[Settings]) -> str:
    """What a card says before its settings are complete."""
    if any(widget.kind == "arms" for widget in settings.widgets().values()):
        return "Condition: not chosen"
    missing = [
        settings.widgets()[n].label
        for n, f in settings.model_fields.items()
        if f.is_required() and n in settings.widgets()
    ]
    return f"{missing[0]}: not chosen" if missing else ""


def first_settings(settings: type[Settings]) -> dict[str, Any]:
    """What a step starts with: its defaults, and one arm or two shares where it needs some; required choices stay open."""
    given = {n: _FIRST[w.kind] for n, w in settings.widgets().items() if w.kind in _FIRST}
    return plain_settings(settings.model_construct(**given), given)


def plain_settings(settings: Settings, given: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Settings as they are stored: plain JSON, every value written out."""
    dumped: dict[str, Any] = settings.model_dump(mode="json", warnings=False)
    return {**dumped, **given}


def ports(type_: StepType, given: Mapping[str, Any]) -> tuple[Port, ...] | None:
    """The ways out of a step with these settings; None when they are too unfinished to say."""
    settings, _ = parse(type_.settings, given)
    try:
        return type_.ports(
            settings if settings is not None else type_.settings.model_construct(**_readable(type_, given))
        )
    except (AttributeError, TypeError, ValueError):
        return None


def _readable(type_: StepType, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that can be read one by one, so that an unfinished step still shows its paths."""
    found = {}
    for name, field in type_.settings.model_fields.items():
        if name in given:
            settings, _ = parse(type_.settings, {**first_settings(type_.settings), name: given[name]})
            found[name] = getattr(settings, name) if settings is not None else given[name]
        elif not field.is_required():
            found[name] = field.get_default(call_default_factory=True)
    return found


def plain(found: tuple[Port, ...]) -> list[dict[str, Any]]:
    return [{"name": port.name, "label": port.label, "optional": port.optional} for port in found]


def look(item: Mapping[str, Any], names: Names, *, is_trigger: bool = False) -> dict[str, Any]:
    """How one step or trigger is called with its settings, and which ways out it has."""
    kind, given = str(item.get("kind")), item.get("settings") or {}
    type_: StepType | TriggerType | None = TRIGGERS.get(kind) if is_trigger else STEPS.get(kind)
    if type_ is None:
        return {"title": f"Unknown kind {kind}", "ports": None}
    found = None if isinstance(type_, TriggerType) else ports(type_, given)
    return {"title": _title(type_, given, names), "ports": plain(found) if found is not None else None}


def _title(type_: StepType | TriggerType, given: Mapping[str, Any], names: Names) -> str:
    settings, _ = parse(type_.settings, given)
    if settings is None or type_.check(settings):
        return _hint(type_.settings) or "Not finished"
    text = type_.describe(settings, names)
    return f"{text[:1].upper()}{text[1:]}"


def looks(flow: Mapping[str, Any], names: Names) -> dict[str, dict[str, Any]]:
    """The look of every step and trigger of a flow, by id."""
    found = {str(item["id"]): look(item, names) for item in flow.get("steps", [])}
    return found | {str(item["id"]): look(item, names, is_trigger=True) for item in flow.get("triggers", [])}
