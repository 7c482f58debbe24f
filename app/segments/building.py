"""The rule builder without its pages: a rule as inputs to draw, inputs as a rule again, and one change at a time.

The browser holds the whole state as inputs called `name|path|setting`: `rule|0.1|days` is a setting of the second member
of the first member of the rule, `rule|0|@` the operator of a group, `rule|0.1|@rule` the kind of a condition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticUndefined

from app.kinds import Settings, Widget
from app.segments import comparing, ruling
from app.segments.fields import CORE
from app.segments.ruletype import CATEGORIES, Known, RuleType

NEW = {"rule": "field", "field": "", "op": "is", "value": ""}
# said also when it is the default, because the rule reads better so
_ALWAYS = frozenset("dimension op value of about state has member field days".split())


@dataclass(frozen=True, slots=True)
class Input:
    """One setting as it is drawn."""

    name: str
    id: str
    setting: str
    widget: Widget
    value: Any
    options: tuple[tuple[str, Any], ...] = ()
    reshapes: bool = False  # another value changes which inputs there are
    suggests: str = ""  # a field or kind of event whose values so far may be chosen, as `suggested` names it


@dataclass(frozen=True, slots=True)
class Node:
    """A group (with members) or a condition (with inputs) as it is drawn."""

    name: str
    id: str
    path: str
    kind: str  # of a condition; "" for a group
    operator: str
    members: tuple[Node, ...]
    inputs: tuple[Input, ...]
    complaints: tuple[str, ...]
    depth: int


def kinds() -> list[tuple[str, list[tuple[str, str]]]]:
    """The kinds of condition to pick from, by category."""
    types = ruling.RULES.load()
    return [(c, [(kind, t.label) for kind, t in types.items() if t.category == c]) for c in CATEGORIES]


def given(form: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The rule a submitted form carries under `name`: from the builder's inputs, else as JSON. Unreadable: {}."""
    from_inputs = _from_inputs(form, name)
    return from_inputs if from_inputs is not None else loads(form.get(name, ""))


def loads(text: Any) -> dict[str, Any]:
    """A rule from JSON text; anything else is an empty rule."""
    try:
        rule = json.loads(text) if isinstance(text, str) and text else text
    except (ValueError, RecursionError):
        return {}
    return rule if isinstance(rule, dict) else {}


def _from_inputs(form: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    parts: dict[str, dict[str, str]] = {}
    for key in form:
        if key.startswith(f"{name}|") and key.count("|") >= 2:
            path, setting = key.removeprefix(f"{name}|").split("|", 1)
            parts.setdefault(path, {})[setting] = form[key]
    if "" not in parts:
        return None
    children: dict[str, list[str]] = {}
    for path in parts:
        if path and all(step.isdecimal() for step in path.split(".")):
            children.setdefault(path.rpartition(".")[0], []).append(path)

    def build(path: str) -> dict[str, Any]:
        if "@rule" in parts[path]:
            return _condition(parts[path])
        operator = parts[path].get("@", "all")
        below = sorted(children.get(path, []), key=lambda p: int(p.rpartition(".")[2]))
        return {operator if operator in ruling.OPERATORS else "all": [build(p) for p in below]}

    return build("")


def _condition(values: Mapping[str, str]) -> dict[str, Any]:
    kind = values["@rule"]
    type_ = ruling.RULES.get(kind)
    found: dict[str, Any] = {"rule": kind}
    # what another kind was compared by means something else here: a score "is" 50 where a city "is" Basel
    stale = {"op", "value"} if values.get("@was", kind) != kind else set()
    for setting, widget in (type_.Settings.widgets() if type_ else {}).items():
        if setting in values and setting not in stale:
            found[setting] = _typed(setting, widget, values)
    return found


def _typed(setting: str, widget: Widget, values: Mapping[str, str]) -> Any:
    text = values[setting].strip()
    if widget.kind == "textarea":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if setting == "value" and values.get("op") in comparing.OF_SEVERAL:
        return [part.strip() for part in text.split(",") if part.strip()]
    if widget.kind == "number" or (setting == "value" and values.get("op") in comparing.OF_DAYS):
        return _number(text)
    return text


def _number(text: str) -> int | float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def settled(rule: Any, known: Known) -> dict[str, Any]:
    """The rule as a group, each condition with the settings its choices leave open and nothing else."""
    if not isinstance(rule, dict) or not rule:
        return {"all": []}
    if "rule" in rule:
        return {"all": [_settled(rule, known)]}
    return _settled(rule, known)


def _settled(rule: dict[str, Any], known: Known) -> dict[str, Any]:
    if "rule" not in rule:
        operator = next((o for o in ruling.OPERATORS if o in rule), "all")
        members = rule.get(operator)
        return {
            operator: [_settled(m, known) for m in members if isinstance(m, dict)] if isinstance(members, list) else []
        }
    type_ = ruling.RULES.get(str(rule["rule"]))
    if type_ is None:
        return rule
    found: dict[str, Any] = {"rule": rule["rule"]}
    for setting, widget, drawn_value in _drawn(type_, rule, known):
        value = _number(drawn_value) if widget.kind == "number" and isinstance(drawn_value, str) else drawn_value
        is_said = setting in _ALWAYS or type_.Settings.model_fields[setting].is_required()
        if is_said or value != _default(type_.Settings, setting):
            found[setting] = value
    return found


def _drawn(type_: RuleType, rule: Mapping[str, Any], known: Known) -> Iterator[tuple[str, Widget, Any]]:
    values = {name: rule.get(name, _default(type_.Settings, name)) for name in type_.Settings.widgets()}
    for _ in range(2):  # a field decides the comparisons, a comparison decides whether there is a value
        widgets = type_.drawn(values, known, type_.Settings.widgets())
        for name, widget in widgets.items():
            allowed = [value for value, _ in widget.choices]
            if allowed and values[name] not in allowed:
                values[name] = allowed[0]
    for name, widget in widgets.items():
        if widget.shown_if is None or values.get(widget.shown_if[0]) == widget.shown_if[1]:
            yield name, widget, values[name]


def _default(settings: type[Settings], name: str) -> Any:
    default = settings.model_fields[name].default
    return "" if default is PydanticUndefined else list(default) if isinstance(default, tuple) else default


def changed(rule: dict[str, Any], do: str, at: str) -> dict[str, Any]:
    """The rule after `add` or `group` in the group at a path, or `remove` of what is there; unknown places change nothing."""
    steps = [int(step) for step in at.split(".") if step.isdecimal()]
    if do == "remove":
        parent = _members(rule, steps[:-1])
        if steps and parent is not None and steps[-1] < len(parent):
            del parent[steps[-1]]
        return rule
    members = _members(rule, steps)
    if members is not None and do in ("add", "group"):
        members.append(dict(NEW) if do == "add" else {"any": [dict(NEW)]})
    return rule


def _members(rule: dict[str, Any], steps: list[int]) -> list[Any] | None:
    found: Any = rule
    for step in [*steps, None]:
        operator = next((o for o in ruling.OPERATORS if o in found), None)
        if operator is None:
            return None
        members: list[Any] = found[operator]
        if step is None:
            return members
        if step >= len(members):
            return None
        found = members[step]
    return None


def drawn(rule: dict[str, Any], name: str, known: Known) -> Node:
    """The (settled) rule as what the page draws."""
    return _node(rule, name, "", 0, known)


def _node(rule: dict[str, Any], name: str, path: str, depth: int, known: Known) -> Node:
    id_ = "-".join(part for part in (ident(name), path.replace(".", "-")) if part)
    if "rule" in rule:
        type_ = ruling.RULES.get(str(rule["rule"]))
        inputs = tuple(_inputs(type_, rule, f"{name}|{path}", id_, known)) if type_ else ()
        complaints = tuple(dict.fromkeys(c.sentence for c in ruling.check(rule, known)))
        return Node(f"{name}|{path}", id_, path, str(rule["rule"]), "", (), inputs, complaints, depth)
    operator = next(o for o in ruling.OPERATORS if o in rule)
    members = tuple(
        _node(member, name, f"{path}.{i}".lstrip("."), depth + 1, known) for i, member in enumerate(rule[operator])
    )
    return Node(f"{name}|{path}", id_, path, "", operator, members, (), (), depth)


def _inputs(type_: RuleType, rule: dict[str, Any], name: str, id_: str, known: Known) -> Iterator[Input]:
    shapes = {w.shown_if[0] for w in type_.Settings.widgets().values() if w.shown_if} | {"field", "op", "of", "about"}
    for setting, widget, value in _drawn(type_, rule, known):
        shown = (
            "\n".join(value) if widget.kind == "textarea" else ", ".join(value) if isinstance(value, list) else value
        )
        options = _options(widget, str(shown), known)
        suggests = _suggests(rule, setting, widget)
        yield Input(
            f"{name}|{setting}", f"{id_}-{setting}", setting, widget, shown, options, setting in shapes, suggests
        )


def _suggests(rule: Mapping[str, Any], setting: str, widget: Widget) -> str:
    if widget.kind in ("page", "event"):
        return str(rule["rule"])
    is_one_text = setting == "value" and widget.kind == "text" and rule.get("op") not in comparing.OF_SEVERAL
    return f"field-{rule.get('field')}" if rule["rule"] == "field" and is_one_text else ""


def suggested(node: Node) -> set[str]:
    """What the inputs of a drawn rule suggest: a kind of condition about pages or events, or field-… and its name."""
    return {each.suggests for each in node.inputs if each.suggests}.union(*(suggested(m) for m in node.members))


def _options(widget: Widget, value: str, known: Known) -> tuple[tuple[str, Any], ...]:
    if widget.choices:
        return widget.choices
    if widget.kind == "field":
        own = [(name, known.names.get(("field", name), name)) for name in known.fields if name not in CORE]
        core = [(name, CORE[name][0]) for name in CORE]
        return (("Fields", core), ("Your own fields", own)) if own else tuple(core)
    if widget.kind not in ("mail", "form", "segment", "tag", "topic", "user", "campaign"):
        return ()
    named = sorted(((k, n) for (kind, k), n in known.names.items() if kind == widget.kind), key=lambda o: o[1].lower())
    missing = [(value, f"{value} (does not exist)")] if value and value not in dict(named) else []
    return (*missing, *named)


def ident(name: str) -> str:
    """A name as the id of an element."""
    return "rule-" + "".join(c if c.isalnum() else "-" for c in name)
