"""Leads for whom the customer's own site or product reported an event, with conditions on its properties."""

from __future__ import annotations

import re
from typing import Annotated

import sqlalchemy as sa
from pydantic import AfterValidator, Field

from app.kinds import Settings, Widget
from app.segments import behaviour, comparing, fields
from app.segments.ruletype import Names, name_of

_OPS = {
    "is not": "is_not",
    "is known": "is_known",
    "is": "is",
    "contains": "contains",
    "at least": "at_least",
    "at most": "at_most",
}
_CONDITION = re.compile(r"^(?P<name>[A-Za-z0-9_.-]{1,80})\s+(?P<op>" + "|".join(_OPS) + r")(?:\s+(?P<value>.+))?$")


def conditions_read(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Conditions on an event's properties, one a line; raises ValueError at the first that cannot be read."""
    for line in lines:
        found = _CONDITION.match(line)
        if not found:
            raise ValueError(f"write “{line}” as a property, then is, is not, contains, at least, at most or is known")
        if found["op"] != "is known" and not found["value"]:
            raise ValueError(f"“{line}” needs a value at its end")
        if found["op"] in ("at least", "at most") and not re.fullmatch(r"-?\d+(\.\d+)?", found["value"]):
            raise ValueError(f"“{line}” needs a number at its end")
    return lines


class CustomEventRule(Settings):
    did: behaviour.Did = "has"
    event: Annotated[str, Field(min_length=1), Widget("Event", "event", hint="The name your site or product reports")]
    where: Annotated[
        tuple[str, ...],
        AfterValidator(conditions_read),
        Widget("Only where", "textarea", hint="One a line: “plan is pro”, “amount at least 100”"),
    ] = ()
    times: behaviour.Times = 1
    when: behaviour.When = "ever"
    days: behaviour.Days = 30
    after: behaviour.After = ""


def of_property(events: behaviour.Events, line: str) -> sa.ColumnElement[bool]:
    """One such condition, over an event."""
    found = _CONDITION.match(line)
    assert found
    op, value = _OPS[found["op"]], found["value"] or ""
    if op in ("at_least", "at_most"):
        return comparing.number(fields.number_member(events.c.props, found["name"]), op, float(value))
    return comparing.text(events.c.props[found["name"]].as_string(), op, value)


def _events(s: CustomEventRule, events: behaviour.Events) -> list[sa.ColumnElement[bool]]:
    named = [events.c.kind == "custom", events.c.subject == s.event]
    return [*named, *(of_property(events, line) for line in s.where)]


def _what(s: CustomEventRule, names: Names) -> str:
    return name_of(names, "event", s.event) + (f" where {' and '.join(s.where)}" if s.where else "")


RULE = behaviour.rule_type(
    label="Custom event",
    icon="bolt",
    category="Behaviour",
    settings=CustomEventRule,
    example={"event": "trial-started", "where": ["plan is pro", "seats at least 10"], "when": "within", "days": 30},
    events=_events,
    verbs=("did", "did not do"),
    what=_what,
    counts=lambda s: f"events {s.event}",
)
