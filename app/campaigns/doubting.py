"""Worth a thought in a flow: paths that nobody or everybody takes, waits for what cannot happen, holdouts not left alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.campaigns import implying
from app.engine.graph import FlowSpec, Problem

if TYPE_CHECKING:
    from app.campaigns.checking import Checked

# steps after which a lead is as it was before
_STILL = frozenset(
    ["decide", "by_field", "by_score", "by_mail", "split", "ab_test", "send_email", "add_note", "notify"]
)


def doubts(spec: FlowSpec, steps: Mapping[str, Checked]) -> Iterator[Problem]:
    """Warnings about branches, each at its step."""
    for step in steps.values():
        for sentence in _doubts(step, steps):
            yield Problem(sentence, step=step.spec.id, is_warning=True)
    yield from _foregone(spec, steps)


def _doubts(step: Checked, steps: Mapping[str, Checked]) -> Iterator[str]:
    settings: Any = step.settings
    match step.spec.kind:
        case "wait_for_event":
            awaited = [(each.event, each.subject, each.where) for each in (settings, *settings.others)]
            if len(set(awaited)) < len(awaited):
                yield "Two paths wait for the same, so the second is never taken; change or remove one."
        case "decide":
            yield from _of_arms(settings.arms)
        case "by_field":
            yield from (
                f"No value leads to the path “{_called(arm)}”, so nobody takes it; name one, or remove the path."
                for arm in settings.arms
                if not arm.values
            )
            again = _twice([value.strip().casefold() for value in arm.values] for arm in settings.arms)
            if again:
                yield f"The value “{again}” leads to two paths, and only the first is taken; remove it from one."
        case "split" | "ab_test":
            yield from _of_shares(step, steps)


def _since_arriving(rule: Any) -> bool:
    """Whether any condition of the rule counts from the moment at which it is asked."""
    if isinstance(rule, Mapping):
        return rule.get("when") == "arrival" or any(_since_arriving(part) for part in rule.values())
    return isinstance(rule, list) and any(_since_arriving(part) for part in rule)


def _called(arm: Any) -> str:
    return str(arm.name or arm.port)


def _of_arms(arms: Sequence[Any]) -> Iterator[str]:
    """The first arm whose rule holds is taken: what an earlier one takes, a later one never gets."""
    for number, arm in enumerate(arms):
        if _since_arriving(arm.rule):
            yield (
                f"“{_called(arm)}” asks for what happened since arriving here, but is decided on arrival; ask since "
                "entering the campaign, or wait for the event instead."
            )
        earlier = next((e for e in arms[:number] if implying.implies(arm.rule, e.rule)), None)
        if implying.never(arm.rule):
            yield f"Nobody can match “{_called(arm)}”: its conditions exclude each other. Change one, or remove the path."
        elif earlier is not None and earlier.rule == arm.rule:
            yield "Two paths have the same condition, so the second is never taken; change or remove one."
        elif earlier is not None:
            yield (
                f"Whoever matches “{_called(arm)}” has taken “{_called(earlier)}” before, so it is never taken; "
                "put it higher."
            )
        elif implying.always(arm.rule):
            yield f"Everybody matches “{_called(arm)}”, so no path below it is ever taken; narrow its condition."


# --- what is known already where a lead comes to a branch


def _foregone(spec: FlowSpec, steps: Mapping[str, Checked]) -> Iterator[Problem]:
    """Branches whose answer a branch just above has given, with nothing in between that could change it."""
    before: dict[str, list[tuple[str, str]]] = {}
    for drawn in spec.steps:
        for port, target in drawn.next.items():
            before.setdefault(target, []).append((drawn.id, port))
    for step in steps.values():
        if step.spec.kind == "decide" and step.spec.id != spec.start:
            for sentence in _known_above(step, steps, before):
                yield Problem(sentence, step=step.spec.id, is_warning=True)


def _known_above(
    step: Checked, steps: Mapping[str, Checked], before: Mapping[str, list[tuple[str, str]]]
) -> Iterator[str]:
    asked: Any = step.settings
    for above, port in _way_up(step.spec.id, steps, before):
        if above.spec.kind != "decide":
            continue
        arms: Any = above.settings
        taken = next((arm.rule for arm in arms.arms if arm.port == port), None)
        refused = [arm.rule for arm in arms.arms[: _place(arms.arms, port)]]
        for arm in asked.arms:
            if taken is not None and implying.implies(taken, arm.rule):
                yield f"Everybody who comes here matches “{_called(arm)}”: a branch above has asked that already."
            elif (taken is not None and implying.contradicts(taken, arm.rule)) or any(
                implying.implies(arm.rule, rule) for rule in refused
            ):
                yield f"Nobody who comes here matches “{_called(arm)}”: a branch above has sent them elsewhere."


def _place(arms: Sequence[Any], port: str) -> int:
    return next((number for number, arm in enumerate(arms) if arm.port == port), len(arms))


def _way_up(
    here: str, steps: Mapping[str, Checked], before: Mapping[str, list[tuple[str, str]]]
) -> Iterator[tuple[Checked, str]]:
    """The steps above, with the port taken, as long as there is one way only and no time passes."""
    seen = {here}
    while len(before.get(here, [])) == 1:
        here, port = before[here][0]
        if here in seen or here not in steps or steps[here].spec.kind not in _STILL:
            return
        seen.add(here)
        yield steps[here], port


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
