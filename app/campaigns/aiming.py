"""Worth a thought in a flow: goals that leads have reached before anything was done for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from app.campaigns import implying
from app.engine.graph import FlowSpec, Problem, TriggerSpec

if TYPE_CHECKING:
    from app.campaigns.checking import Checked

Rule = Mapping[str, Any]


def doubts(spec: FlowSpec, steps: Mapping[str, Checked]) -> Iterator[Problem]:
    """Warnings, each at its goal."""
    for step in steps.values():
        if not step.type.is_goal:
            continue
        for sentence in _doubts(spec, step):
            yield Problem(sentence, step=step.spec.id, is_warning=True)


def _doubts(spec: FlowSpec, goal: Checked) -> Iterator[str]:
    rule: Rule = getattr(goal.settings, "rule", {})
    if goal.spec.id == spec.start:
        yield "The goal is the first step, so nothing is done before it; put what leads to it above."
    if implying.never(rule):
        yield "Nobody can ever reach this goal: its conditions exclude each other. Change one."
    elif implying.always(rule):
        yield "Everybody has reached this goal from the start; narrow its condition."
    elif spec.audience and implying.implies(spec.audience, rule):
        yield "Everybody in the audience has reached this goal before they enter; choose something they do later."
    else:
        yield from (
            f"Whoever enters by “{trigger.name or words}” has reached this goal already; choose something they do later."
            for trigger in spec.triggers
            for words in _met_by(trigger, rule)
        )


def _met_by(trigger: TriggerSpec, rule: Rule) -> Iterator[str]:
    """What lets leads in by this trigger, in a few words, if it fulfils the rule."""
    known = [("its condition", trigger.filter)] if trigger.filter else []
    found = next((words for words, fact in [*known, *_facts(trigger)] if implying.implies(fact, rule)), None)
    if found is not None:
        yield found


def _facts(trigger: TriggerSpec) -> Iterator[tuple[str, Rule]]:
    """What is true of everybody at the moment this trigger lets them in."""
    given = trigger.settings
    match trigger.kind:
        case "joined_segment":
            yield "joined segment", {"rule": "in_segment", "segment": given.get("segment", "")}
        case "score_reached" if given.get("way", "up") == "up":
            score = {"rule": "score", "dimension": given.get("dimension", "total"), "op": "at_least"}
            yield "score reached", {**score, "value": given.get("points", 50)}
        case "form_submitted":
            yield "form submitted", {"rule": "submitted", "form": given.get("form", "")}
            yield "form submitted", {"rule": "submitted"}
        case "stage_changed" if given.get("to"):
            yield "stage changed", {"rule": "stage", "op": "is", "stage": given["to"]}
        case "tag_changed" if given.get("tag") and given.get("did", "added") == "added":
            yield "tag added", {"rule": "tag", "has": "has", "tag": given["tag"]}
