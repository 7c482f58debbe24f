"""Fields whose values are codes: a rule may say Switzerland or German, and is asked for CH and de."""

from __future__ import annotations

from collections.abc import Sequence

from app.leads import values
from app.leads.fields import CORE

KINDS = frozenset(("country", "language", "zone"))
_HINTS = {"country": "Names or codes, separated by commas", "language": "German or de", "zone": "Europe/Zurich"}
WHOLE = frozenset(("is", "is_not", "one_of", "none_of"))  # comparisons with a whole value, not with a part of it


def kind_of(field: str) -> str:
    """What sort of code a field of the lead holds; "" when it holds plain words."""
    kind = CORE.get(field, ("", ""))[1]
    return kind if kind in KINDS else ""


def code(kind: str, text: str) -> str:
    """The code that is stored for a name or a code; the text itself when nothing is called so."""
    try:
        return str(values.parse("", kind, text) or "") if kind in KINDS else text
    except values.BadValue:
        return text


def word(kind: str, text: str) -> str:
    """How people read what a rule compares with: a country by its name, the rest as written."""
    return values.country_name(code(kind, text)) if kind == "country" else text


def complaint(kind: str, given: Sequence[str]) -> str:
    """What is wrong with values of such a field, as a sentence; "" when each is known."""
    try:
        for text in given if kind in KINDS else ():
            values.parse("", kind, text)
    except values.BadValue as problem:
        return problem.sentence
    return ""


def options(kind: str, chosen: str) -> tuple[tuple[str, str], ...]:
    """The values to choose from, with what is chosen as it was written; empty when it is to be typed."""
    if kind != "country":
        return ()
    own = code(kind, chosen)
    listed = tuple((chosen if each == own else each, name) for each, name in values.countries())
    lost = () if not chosen or chosen in dict(listed) else ((chosen, f"{chosen} (not a country)"),)
    return (("", "Choose a country…"), *lost, *listed)


def hint(kind: str) -> str:
    return _HINTS.get(kind, "")
