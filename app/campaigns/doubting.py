"""Worth a thought in a flow: paths that nobody can take, waits for what cannot happen, holdouts that are not left alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from app.engine.graph import Problem

if TYPE_CHECKING:
    from app.campaigns.checking import Checked

_MAKES = {"handoff": ("handoff", "hands a lead to sales"), "task": ("create_task", "makes a task")}


def doubts(steps: Mapping[str, Checked]) -> Iterator[Problem]:
    """Warnings about waits and branches, each at its step."""
    for step in steps.values():
        for sentence in _doubts(step, steps):
            yield Problem(sentence, step=step.spec.id, is_warning=True)


def _doubts(step: Checked, steps: Mapping[str, Checked]) -> Iterator[str]:
    settings: Any = step.settings
    match step.spec.kind:
        case "wait_for_outcome":
            kind, words = _MAKES[settings.of]
            if not any(other.spec.kind == kind for other in steps.values()):
                yield f"No step of this campaign {words}, so nobody may ever answer; add one before this."
        case "by_mail" if settings.scope == "passage":
            sent = {
                key for s in steps.values() if s.type.owes for what, key in s.type.keys(s.settings) if what == "mail"
            }
            if not sent or (settings.mail and settings.mail not in sent):
                yield "This campaign does not send that mail, so every lead takes the last path; choose another mail."
        case "wait_for_event":
            awaited = [(each.event, each.subject, each.where) for each in (settings, *settings.others)]
            if len(set(awaited)) < len(awaited):
                yield "Two paths wait for the same, so the second is never taken; change or remove one."
        case "decide":
            if _twice([arm.rule] for arm in settings.arms):
                yield "Two paths have the same condition, so the second is never taken; change or remove one."
        case "by_field":
            again = _twice([value.strip().casefold() for value in arm.values] for arm in settings.arms)
            if again:
                yield f"The value “{again}” leads to two paths, and only the first is taken; remove it from one."
        case "split" | "ab_test":
            yield from _of_shares(step, steps)


def _twice(groups: Iterable[list[Any]]) -> Any:
    """The first thing that stands in two of the lists, or None."""
    seen: list[Any] = []
    for group in groups:
        found = next((item for item in group if item in seen), None)
        if found is not None:
            return found
        seen += group
    return None


def _of_shares(step: Checked, steps: Mapping[str, Checked]) -> Iterator[str]:
    settings: Any = step.settings
    for share in settings.shares:
        called = share.name or share.port
        if share.percent == 0:
            yield f"Nobody takes the path “{called}”: its share is 0 %."
        target = steps.get(step.spec.next.get(share.port, ""))
        if share.is_holdout and target is not None and target.type.category == "Actions":
            yield f"The holdout “{called}” should be left alone, but its path does something; let it lead to an exit or a wait."
