"""Where the path of one lead in shadow leaves its path in earnest, as one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

_STATES = {
    "completed": "came to the end",
    "converted": "reached the goal",
    "exited": "left",
    "failed": "failed",
    "merged": "was merged",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage, live or in shadow: `left` holds (visit, step, port, at)."""

    entered_at: datetime
    step: str
    state: str
    left: Sequence[tuple[int, str, str, datetime]]


@dataclass(frozen=True, slots=True)
class Words:
    """How steps are called, and their ways out."""

    titles: Mapping[str, str]
    ways: Mapping[tuple[str, str], str]

    def title(self, step: str) -> str:
        return self.titles.get(step, step)

    def way(self, step: str, port: str) -> str:
        own = {"out": "Went on", "end": "Ended here"}
        return self.ways.get((step, port)) or own.get(port, port.replace("_", " ").capitalize())

    def went(self, step: str, port: str) -> str:
        return {"out": "went on", "end": "ended"}.get(port, f"left by “{self.way(step, port)}”")


def sentence(ours: Sequence[Passage], theirs: Sequence[Passage], words: Words, settled: datetime) -> str:
    """How the shadow's passages of a lead differ from the live ones; "" if they do not.

    What only one of them did after `settled` does not count yet: the other may be about to do it.
    """
    for number in range(max(len(ours), len(theirs))):
        mine, live = (each[number] if number < len(each) else None for each in (ours, theirs))
        again = " again" if number else ""
        if mine is None or live is None:
            one = mine or live
            if one is not None and one.entered_at <= settled:
                return f"Entered{again} {'live' if mine is None else 'in shadow'} only."
        elif told := _along(mine, live, words, settled):
            return told
    return ""


def _along(mine: Passage, live: Passage, words: Words, settled: datetime) -> str:
    before = ""
    for (_, step, port, _), (_, live_step, live_port, _) in zip(mine.left, live.left, strict=False):
        if step != live_step:
            return _elsewhere(before, words.title(step), words.title(live_step))
        if port != live_port:
            return f"{words.title(step)}: {words.went(step, port)} in shadow, {words.went(step, live_port)} live."
        before = words.title(step)
    return _at_the_end(mine, live, before, words, settled)


def _elsewhere(before: str, mine: str, live: str) -> str:
    after = f"After “{before}”" if before else "At once"
    return f"{after} came to “{mine}” in shadow, to “{live}” live."


def _at_the_end(mine: Passage, live: Passage, before: str, words: Words, settled: datetime) -> str:
    """As far as both have gone they went the same way."""
    count = min(len(mine.left), len(live.left))
    further = (mine.left[count:] or live.left[count:])[:1]
    if further:
        [(_, step, port, at)] = further
        stands, who, other = (live, "in shadow", "live") if len(mine.left) > count else (mine, "live", "in shadow")
        if at > settled:
            return ""
        if stands.step == step and stands.state == "active":
            return f"{words.title(step)}: {words.went(step, port)} {who}, still there {other}."
        if stands.state == "active":
            pair = (step, stands.step) if who == "in shadow" else (stands.step, step)
            return _elsewhere(before, *map(words.title, pair))
        return f"{_ended(stands)} {other} at “{words.title(stands.step)}”, went on {who}."
    if mine.step != live.step and (mine.state, live.state) == ("active", "active"):
        return _elsewhere(before, words.title(mine.step), words.title(live.step))
    if mine.state != live.state and "active" not in (mine.state, live.state):
        return f"{_ended(mine)} in shadow, {_ended(live).lower()} live."
    return ""


def _ended(passage: Passage) -> str:
    return _STATES.get(passage.state, passage.state).capitalize()
