"""Puts what a flow holds into the order in which it is declared, so that the same flow always reads the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.campaigns import palette
from app.engine.catalog import STEPS, TRIGGERS
from app.segments.ruling import OPERATORS, RULES

# of rows of settings, such as the arms of a decision; and of what a flow keeps beside its steps
_FIRST = (
    "mode",
    "step",
    "warning",
    "port",
    "name",
    "event",
    "subject",
    "rule",
    "reason",
    "values",
    "at_least",
    "percent",
)


def settings(kind: str, given: Mapping[str, Any], *, is_trigger: bool) -> dict[str, Any]:
    """The settings of a step or trigger as its form shows them."""
    type_ = TRIGGERS.get(kind) if is_trigger else STEPS.get(kind)
    return {name: value(given[name]) for name in _by(given, type_.settings.model_fields if type_ else ())}


def paths(kind: str, given: Mapping[str, Any], leads: Mapping[str, str]) -> dict[str, str]:
    """The ways out of a step as they are drawn, from left to right."""
    type_ = STEPS.get(kind)
    ports = palette.ports(type_, given) if type_ else None
    return {name: leads[name] for name in _by(leads, [port.name for port in ports or ()])}


def value(given: Any) -> Any:
    """A rule begins with what it asks about; rows with what they are called."""
    if isinstance(given, list):
        return [value(each) for each in given]
    if not isinstance(given, Mapping):
        return given
    kind = given.get("rule")
    rule = RULES.get(kind) if isinstance(kind, str) else None
    names = ["rule", *rule.Settings.model_fields] if rule else [*OPERATORS, *_FIRST]
    return {name: value(given[name]) for name in _by(given, names)}


def _by(given: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    known = [name for name in names if name in given]
    return [*known, *sorted(set(given) - set(known))]
