"""What a scenario expects, in words: “handoff by day 3 17:00”, “no further mail”, “left by goal”."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.campaigns import moments
from app.campaigns.moments import Moment

_WHEN = ("by", "on", "at", "before", "after")
KINDS = (
    ("mail KEY", "it gets this mail; `mail` alone: any"),
    ("handoff", "it is handed to sales"),
    ("task", "a task is made"),
    ("alert", "somebody is notified"),
    ("call", "another system is called"),
    ("no mail KEY", "it does not get it; the same with `no handoff`, `no task`, `no alert`, `no call`"),
    ("no further mail", "none after what the line above expects; the same with the others"),
    ("nothing more", "none of all that after what the line above expects, or `after` a time"),
    ("at STEP", "it stands at the step, by its id or name, `on` a day or `at` a time; without: in the end"),
    ("passes STEP", "it comes by the step; the opposite is `does not pass STEP`"),
    ("left by goal", "it reaches the goal; also `left by exit`, `left by end` (it comes to the end)"),
    ("still inside", "it has not left in the end"),
    ("does not enter", "nothing lets it in"),
    ("field NAME is VALUE", "the field holds that in the end; `field NAME is empty`"),
    ("score at least 50", "in the end; also `fit` and `interest`, and `below 50`"),
    ("tag KEY", "it has the tag in the end; `no tag KEY`"),
    ("stage is KEY", "it is at the stage in the end"),
)
HOW = ", ".join(words for words, _ in KINDS)


class BadExpectation(ValueError):
    """An expectation that cannot be read, in one sentence that says how to write it."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line: what is asked, of what, and within which time."""

    text: str
    verb: str
    what: str = ""
    value: str = ""
    is_not: bool = False
    is_further: bool = False
    when: str = ""
    moment: Moment | None = None


_FORMS: tuple[tuple[str, str], ...] = (
    ("thing", r"(?P<no>no )?(?P<further>further )?(?P<what>mail|handoff|task|alert|call)s?(?: (?P<value>\S+))?"),
    ("nothing", r"nothing (?:more|further)"),
    ("left", r"left by (?P<what>goal|exit|end)"),
    ("inside", r"(?:is )?still inside"),
    ("outside", r"does not enter"),
    ("field", r"(?:the )?field (?P<what>\w+) is (?P<value>.+)"),
    ("score", r"(?P<what>score|fit|interest) (?:is )?(?P<no>at least|below) (?P<value>-?\d+)"),
    ("tag", r"(?P<no>no )?tag (?P<value>\S+)"),
    ("stage", r"stage is (?P<value>\w+)"),
    ("passes", r"(?P<no>does not pass|passes) (?P<value>.+)"),
    ("at", r"at (?P<value>.+)"),
)
_TIMED = ("thing", "nothing", "left", "passes", "at")


def read(text: str) -> Expectation:
    """Raises BadExpectation."""
    words = " ".join(text.split())
    bare, when, moment = _timed(words)
    for verb, form in _FORMS:
        if found := re.fullmatch(form, bare):
            if moment and verb not in _TIMED:
                raise BadExpectation(f"“{words}” is asked in the end; leave out “{when} {moment.text}”.")
            return _expectation(words, verb, found.groupdict(), when, moment)
    raise BadExpectation(f"“{words}” is no expectation; write, with by, on, before or after {moments.HOW}, {HOW}.")


def _timed(words: str) -> tuple[str, str, Moment | None]:
    """The line without its time."""
    found = re.fullmatch(rf"(.+?) ({'|'.join(_WHEN)}) ({moments.PATTERN})", words)
    moment = moments.read(found[3]) if found else None
    return (found[1], found[2], moment) if found and moment else (words, "", None)


def _expectation(words: str, verb: str, found: dict[str, str | None], when: str, moment: Moment | None) -> Expectation:
    value = (found.get("value") or "").strip("“”\"'")
    what = found.get("what") or ""
    is_not = found.get("no") in {"no ", "below", "does not pass"}
    if verb == "thing" and value and what != "mail":
        raise BadExpectation(f"“{words}”: only mails are named; write “{what}” and when.")
    if found.get("further") and (not is_not or moment):
        raise BadExpectation(f"“{words}”: write “no further {what}”, without a time.")
    return Expectation(words, verb, what, value, is_not, bool(found.get("further")), when, moment)
