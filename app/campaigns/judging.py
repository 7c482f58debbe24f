"""Holds what came of a scenario against what was expected: each line with what happened, or what happened instead and why."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.campaigns import moments
from app.campaigns.expecting import Expectation

THINGS = {"mail": "mail", "handoff": "handoff", "task": "task", "alert": "alert", "call": "call to another system"}
ENDS = {"goal": "converted", "end": "completed", "exit": "exited"}
_ENDED = {
    "converted": "it reached the goal",
    "completed": "it came to the end",
    "exited": "it left",
    "failed": "it failed",
}

Span = tuple[datetime | None, datetime | None]  # from when to before when; None: without a border


@dataclass(frozen=True, slots=True)
class Happening:
    """A mail, handoff, task, alert or call, and when."""

    kind: str
    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Stay:
    """At which step the lead stood, from when to when (None: still)."""

    step: str
    since: datetime
    until: datetime | None


@dataclass(slots=True)
class Facts:
    """All a scenario may ask about, as the run left it."""

    began: datetime
    zone: ZoneInfo
    state: str  # active | converted | completed | exited | failed | outside
    ended_at: datetime | None
    end: str  # how it ended, as a sentence
    reasons: list[tuple[datetime, str]] = field(default_factory=list)  # of each decision, as a sentence
    happened: list[Happening] = field(default_factory=list)
    withheld: Mapping[str, str] = field(default_factory=dict)  # key of a mail that was not sent -> why
    stays: list[Stay] = field(default_factory=list)
    titles: Mapping[str, str] = field(default_factory=dict)  # id of a step -> its name
    mails: frozenset[str] = frozenset()  # every key there is
    fields: Mapping[str, Any] = field(default_factory=dict)
    points: Mapping[str, int] = field(default_factory=dict)
    tags: frozenset[str] = frozenset()
    stage: str = ""
    is_cut: bool = False  # the run was ended before it came to its end

    def said(self, at: datetime) -> str:
        return moments.told(at, self.began, self.zone)

    def steps(self, called: str) -> list[str]:
        """The ids of the steps that are meant."""
        if called in self.titles:
            return [called]
        return [id_ for id_, title in self.titles.items() if title.casefold() == called.casefold()]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a line came true, and as a sentence what happened instead."""

    text: str
    is_met: bool
    sentence: str
    at: datetime | None = None  # of what it expected


def judge(expected: list[Expectation], facts: Facts) -> list[Verdict]:
    """Line by line: “further” is after what the line above found."""
    found: list[Verdict] = []
    last = facts.began
    for each in expected:
        verdict = _CHECKS[each.verb](each, facts, last)
        if facts.is_cut and verdict.is_met and _awaits_the_end(each, facts):
            verdict = Verdict(each.text, False, f"So far; but nobody knows how it ends. {facts.end}")
        found.append(verdict)
        last = verdict.at or last
    return found


def _awaits_the_end(each: Expectation, facts: Facts) -> bool:
    """Whether what comes later may still change it."""
    is_denied = each.is_not or each.verb == "nothing"
    in_the_end = each.verb in ("inside", "field", "score", "tag", "stage", "at")
    return (is_denied or in_the_end) and within(each, facts.began, facts.zone)[1] is None


def within(each: Expectation, began: datetime, zone: ZoneInfo) -> Span:
    """From when to before when it counts."""
    if each.moment is None:
        return None, None
    begins, ends = (edge(began, zone) for edge in (each.moment.begins, each.moment.ends))
    spans = {
        "by": (None, ends),
        "before": (None, begins),
        "after": (ends, None),
        "on": (begins, ends),
        "at": (begins, ends),
    }
    return spans[each.when]


def _in_time(at: datetime, span: Span) -> bool:
    return (span[0] is None or at >= span[0]) and (span[1] is None or at < span[1])


def _meets(stay: Stay, span: Span) -> bool:
    begins, ends = span
    return (ends is None or stay.since < ends) and (begins is None or stay.until is None or stay.until > begins)


def _thing(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    if each.value and each.value not in facts.mails:
        keys = difflib.get_close_matches(each.value, sorted(facts.mails), n=3, cutoff=0.3)
        near = f" Nearest are: {', '.join(keys)}." if keys else ""
        return Verdict(each.text, False, f"There is no mail with the key {each.value}.{near}")
    of_kind = [h for h in facts.happened if h.kind == each.what and (not each.value or h.key == each.value)]
    span = (last, None) if each.is_further else within(each, facts.began, facts.zone)
    counted = [h for h in of_kind if _in_time(h.at, span) and not (each.is_further and h.at == last)]
    if each.is_not:
        told = f"There was one: {_named(counted[0])} on {facts.said(counted[0].at)}." if counted else "There was none."
        return Verdict(each.text, not counted, told)
    if counted:
        return Verdict(each.text, True, f"{_named(counted[0])} on {facts.said(counted[0].at)}.", counted[0].at)
    if of_kind:
        late = ", ".join(facts.said(h.at) for h in of_kind[:3])
        return Verdict(each.text, False, f"{_named(of_kind[0])} came on {late}.", of_kind[0].at)
    why = facts.withheld.get(each.value or next(iter(facts.withheld), ""), "") if each.what == "mail" else ""
    return Verdict(each.text, False, f"There was none. {why or _story(facts, span[1])}".strip())


def _named(happening: Happening) -> str:
    return f"{THINGS[happening.kind].capitalize()} {happening.key}".strip()


def _story(facts: Facts, until: datetime | None = None) -> str:
    """The last decision that could have mattered, and how it ended."""
    decided = [words for at, words in facts.reasons if until is None or at < until][-1:]
    return " ".join([*decided, facts.end])


def _nothing(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    since, until = within(each, facts.began, facts.zone) if each.moment else (last, None)
    later = [h for h in facts.happened if _in_time(h.at, (since, until)) and (each.moment or h.at > last)]
    told = f"There was more: {_named(later[0]).lower()} on {facts.said(later[0].at)}." if later else "There was none."
    return Verdict(each.text, not later, told)


def _left(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    at = facts.ended_at
    if facts.state != ENDS[each.what] or at is None:
        return Verdict(each.text, False, _story(facts))
    told = f"{_ENDED[facts.state].capitalize()} on {facts.said(at)}."
    return Verdict(each.text, _in_time(at, within(each, facts.began, facts.zone)), told, at)


def _inside(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    return Verdict(each.text, facts.state == "active", facts.end)


def _outside(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    return Verdict(each.text, facts.state == "outside", facts.end)


def _where(each: Expectation, facts: Facts) -> tuple[list[Stay], str]:
    """When it stood there; or that there is no such step."""
    ids = facts.steps(each.value)
    if not ids:
        listed = ", ".join(f"{id_} ({title})" for id_, title in facts.titles.items())
        return [], f"There is no step “{each.value}” in this flow; its steps are {listed}."
    return [stay for stay in facts.stays if stay.step in ids], ""


def _passes(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    stays, problem = _where(each, facts)
    if problem:
        return Verdict(each.text, False, problem)
    span = within(each, facts.began, facts.zone)
    came = [stay for stay in stays if _in_time(stay.since, span)]
    if came:
        return Verdict(each.text, not each.is_not, f"It came there on {facts.said(came[0].since)}.", came[0].since)
    otherwise = f"It did not come there. {_story(facts, span[1])}"
    told = f"It came there on {facts.said(stays[0].since)}." if stays else otherwise
    return Verdict(each.text, each.is_not, told)


def _at(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    stays, problem = _where(each, facts)
    if problem:
        return Verdict(each.text, False, problem)
    if each.moment is None:
        is_met = facts.state == "active" and any(stay.until is None for stay in stays)
        return Verdict(each.text, is_met, facts.end)
    span = within(each, facts.began, facts.zone)
    there = [stay for stay in stays if _meets(stay, span)]
    if there:
        return Verdict(each.text, True, f"It was there from {facts.said(there[0].since)} on.", there[0].since)
    then = [stay for stay in facts.stays if _meets(stay, span)]
    where = f"It stood at “{facts.titles.get(then[-1].step, then[-1].step)}”." if then else _story(facts)
    return Verdict(each.text, False, where)


def _field(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    if each.what not in facts.fields:
        return Verdict(each.text, False, f"There is no field {each.what}.")
    held = _plain(facts.fields[each.what])
    wanted = "" if each.value == "empty" else each.value
    told = f"It holds “{held}”." if held else "It is empty."
    return Verdict(each.text, held.casefold() == wanted.casefold(), told)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _score(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    points, border = facts.points[each.what], int(each.value)
    return Verdict(each.text, points < border if each.is_not else points >= border, f"It is {points}.")


def _tag(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    has = each.value in facts.tags
    return Verdict(each.text, has != each.is_not, f"It has {'the' if has else 'not that'} tag.")


def _stage(each: Expectation, facts: Facts, last: datetime) -> Verdict:
    return Verdict(each.text, facts.stage == each.value, f"It is {facts.stage}.")


_CHECKS: dict[str, Callable[[Expectation, Facts, datetime], Verdict]] = {
    "thing": _thing, "nothing": _nothing, "left": _left, "inside": _inside, "outside": _outside, "passes": _passes,
    "at": _at, "field": _field, "score": _score, "tag": _tag, "stage": _stage,
}  # fmt: skip
