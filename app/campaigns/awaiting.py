"""Worth a thought in a flow: waits and questions for what cannot have happened, or cannot happen any more, where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from app.engine import occurring
from app.engine.graph import FlowSpec, Problem
from app.segments import ruling
from app.segments.ruletype import Known

if TYPE_CHECKING:
    from app.campaigns.checking import Checked

_MAKES = {"handoff": ("handoff", "hands a lead to sales"), "task": ("create_task", "makes a task")}
_OF_MAIL = frozenset(event for event, what in occurring.SUBJECTS.items() if what == "mail")
_PAST = {"continue": "leads go on at once", "skip": "leads skip the next step", "exit": "leads leave the campaign"}
_REACTIONS = ("clicked", "opened")


def doubts(
    spec: FlowSpec, steps: Mapping[str, Checked], known: Known, *, today: date, holds: Callable[[Checked], bool]
) -> Iterator[Problem]:
    """Warnings, each at its step. `holds` says whether a lead rests at a step for an hour or longer."""
    above = _above(spec)
    for step in steps.values():
        before = [steps[each] for each in above.get(step.spec.id, ()) if each in steps]
        just = _just_sent(spec, step.spec.id, steps, holds)
        for sentence in _doubts(step, before, just, known, today):
            yield Problem(sentence, step=step.spec.id, is_warning=True)


def _above(spec: FlowSpec) -> dict[str, set[str]]:
    """For each step those that a lead may have been at before it; itself, too, in a loop."""
    before: dict[str, set[str]] = {}
    for step in spec.steps:
        for target in step.next.values():
            before.setdefault(target, set()).add(step.id)
    found: dict[str, set[str]] = {}
    for step in spec.steps:
        seen: set[str] = set()
        open_ = list(before.get(step.id, ()))
        while open_:
            here = open_.pop()
            if here not in seen:
                seen.add(here)
                open_ += before.get(here, ())
        found[step.id] = seen
    return found


def _mails(steps: list[Checked]) -> set[str]:
    return {key for step in steps if step.type.owes for what, key in step.type.keys(step.settings) if what == "mail"}


def _doubts(step: Checked, before: list[Checked], just: set[str], known: Known, today: date) -> Iterator[str]:
    settings: Any = step.settings
    sent = _mails(before)
    match step.spec.kind:
        case "wait_for_outcome":
            kind, words = _MAKES[settings.of]
            if not any(other.spec.kind == kind for other in before):
                yield f"No step of this campaign {words} before this one, so nobody may ever answer; add one above it."
        case "by_mail" if settings.scope == "passage":
            if not sent or (settings.mail and settings.mail not in sent):
                yield (
                    "This campaign does not send that mail before this step, so every lead takes the last path; "
                    "choose another mail."
                )
            elif settings.mail in just or (not settings.mail and just):
                yield _too_soon(settings.mail or next(iter(just)), known)
        case "decide":
            readable = [arm.rule for arm in settings.arms if not ruling.read(arm.rule)[1]]
            asked = {key for rule in readable for key in _reactions(rule)}
            yield from (_too_soon(key, known) for key in sorted(just) if key in asked or "" in asked)
        case "wait_for_event":
            yield from _of_event(settings, sent, known)
        case "wait_until" if settings.mode == "date" and settings.on_date and settings.on_date < today:
            yield (
                f"{settings.on_date:%-d %B %Y} is past, so nobody waits here any more: {_PAST[settings.if_past]}. "
                "Choose a later date."
            )


def _of_event(settings: Any, sent: set[str], known: Known) -> Iterator[str]:
    for each in (settings, *settings.others):
        if each.event not in _OF_MAIL or "*" in each.subject:
            continue
        if each.subject and each.subject not in sent:
            yield (
                f"No step before this one sends the mail “{_called(each.subject, known)}”, so only leads who have it "
                "from elsewhere can ever do this."
            )
        elif not each.subject and not sent:
            yield "No mail is sent before this step, so only mail from elsewhere can be meant; send one above it."
    if settings.look_back == "mail" and settings.after not in sent:
        yield (
            f"It counts from the sending of “{_called(settings.after, known)}”, but no step before this one sends it."
        )


def _called(key: str, known: Known) -> str:
    return known.names.get(("mail", key), key)


def _too_soon(key: str, known: Known) -> str:
    return (
        f"“{_called(key, known)}” has only just been sent when a lead comes here, so hardly anybody can have reacted; "
        "put a wait in between."
    )


def _reactions(rule: Any) -> Iterator[str]:
    """The mails whose opening or clicking a rule asks for; "" for any."""
    if not isinstance(rule, Mapping):
        return
    if rule.get("rule") in _REACTIONS and rule.get("did", "has") == "has":
        yield str(rule.get("mail", ""))
    for members in (rule.get("all", ()), rule.get("any", ())):
        for member in members:
            yield from _reactions(member)


def _just_sent(spec: FlowSpec, here: str, steps: Mapping[str, Checked], holds: Callable[[Checked], bool]) -> set[str]:
    """The mails that are sent above a step with no wait in between, on every way to it."""
    before = [step.id for step in spec.steps if here in step.next.values()]
    seen = {here}
    while len(before) == 1 and before[0] in steps and before[0] not in seen:
        step = steps[before[0]]
        if holds(step):
            return set()
        if step.type.owes and (found := _mails([step])):
            return found
        seen.add(step.spec.id)
        before = [each.id for each in spec.steps if step.spec.id in each.next.values()]
    return set()
