"""What follows from a rule: that nobody can match it, that everybody does, or that whoever matches one matches another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from math import inf
from typing import Any

from app.leads.models import STAGES
from app.segments import choosing, ruling
from app.segments.ruling import RULES

Rule = Mapping[str, Any]
# settings by which a condition says yes or no to the same thing
_OPPOSITE = {"has": "has_not", "is": "is_not", "is_known": "is_empty", "is_yes": "is_no"}
OPPOSITE = _OPPOSITE | {no: yes for yes, no in _OPPOSITE.items()}
_SAYS = ("did", "has", "member", "op")
_OF = ("dimension", "field", "about")  # settings that name what is asked about
_MOST = 12  # conditions of one rule that are compared with each other


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers a condition allows."""

    low: float = -inf
    high: float = inf
    above: bool = False  # low itself is not allowed
    below: bool = False

    @property
    def is_empty(self) -> bool:
        return self.low > self.high or (self.low == self.high and (self.above or self.below))

    def both(self, other: Span) -> Span:
        low, above = max((self.low, self.above), (other.low, other.above))
        high, below = min((self.high, not self.below), (other.high, not other.below))
        return Span(low, high, above, not below)

    def within(self, other: Span) -> bool:
        return self.both(other) == self


def never(rule: Rule) -> bool:
    """Whether no lead can match: its conditions exclude each other."""
    return _is_readable(rule) and _never(rule)


def always(rule: Rule) -> bool:
    """Whether every lead matches: its conditions leave nobody out."""
    return _is_readable(rule) and _always(rule)


def implies(rule: Rule, other: Rule) -> bool:
    """Whether whoever matches the first matches the second, too, as far as can be seen from the rules alone."""
    return _is_readable(rule, other) and _implies(rule, other)


def contradicts(rule: Rule, other: Rule) -> bool:
    """Whether nobody can match both."""
    return _is_readable(rule, other) and any(
        excludes(a, b) for a, b in product(list(_facts(rule))[:_MOST], list(_facts(other))[:_MOST])
    )


def _is_readable(*rules: Rule) -> bool:
    """From others nothing follows; what is wrong with them is said as an error."""
    return not any(ruling.read(rule)[1] for rule in rules)


def _never(rule: Rule) -> bool:
    if "any" in rule:
        return bool(rule["any"]) and all(_never(member) for member in rule["any"])
    facts = list(_facts(rule))[:_MOST]
    return any(excludes(a, b) for a, b in combinations(facts, 2))


def _always(rule: Rule) -> bool:
    if "all" in rule:
        return bool(rule["all"]) and all(_always(member) for member in rule["all"])
    if "none" in rule:
        return bool(rule["none"]) and all(_never(member) for member in rule["none"])
    members = [fact for each in rule.get("any", [])[:_MOST] if (fact := _alone(each))]
    return any(_always(member) for member in rule.get("any", [])) or any(
        _cover(a, b) for a, b in combinations(members, 2)
    )


def _implies(rule: Rule, other: Rule) -> bool:
    if rule == other:
        return True
    if "any" in rule:
        return bool(rule["any"]) and all(_implies(member, other) for member in rule["any"])
    if "any" in other:
        return any(_implies(rule, member) for member in other["any"])
    facts, wanted = list(_facts(rule))[:_MOST], _exactly(other)
    return bool(wanted) and all(any(_follows(fact, each) for fact in facts) for each in wanted or ())


# --- single conditions


def _facts(rule: Rule) -> Iterator[Rule]:
    """The conditions that every matching lead fulfils."""
    if "rule" in rule:
        yield _whole(rule)
    for member in rule.get("all", []):
        yield from _facts(member)
    for member in rule.get("none", []):
        if opposite := _opposite(member):
            yield opposite
    if len(rule.get("any", [])) == 1:
        yield from _facts(rule["any"][0])


def _exactly(rule: Rule) -> list[Rule] | None:
    """The conditions that are the whole rule; None where it asks for more than all of a list."""
    if "rule" in rule:
        return [_whole(rule)]
    if len(rule.get("any", [])) > 1:
        return None
    found = [_exactly(member) for name in ("all", "any") for member in rule.get(name, [])]
    found += [[opposite] if (opposite := _opposite(member)) else None for member in rule.get("none", [])]
    return None if None in found else [fact for each in found for fact in each or ()]


def _alone(rule: Rule) -> Rule | None:
    """The one condition that is the whole rule."""
    found = _exactly(rule)
    return found[0] if found is not None and len(found) == 1 else None


def _opposite(rule: Rule) -> Rule | None:
    alone = _alone(rule)
    return _turned(alone) if alone else None


def _whole(rule: Rule) -> Rule:
    """A condition with everything written out that it leaves to the defaults."""
    said = RULES.load()[str(rule["rule"])].Settings.model_validate({k: v for k, v in rule.items() if k != "rule"})
    return {"rule": rule["rule"], **said.model_dump(mode="json")}


def _turned(fact: Rule) -> Rule | None:
    """The condition that says the opposite."""
    for name in _SAYS:
        if fact.get(name) in OPPOSITE:
            return {**fact, name: OPPOSITE[fact[name]]}
    if fact["rule"] in ("field", "company"):
        return None  # what is empty is neither at least nor below a number
    turned = {"at_least": "below", "below": "at_least", "at_most": "above", "above": "at_most"}.get(str(fact.get("op")))
    return {**fact, "op": turned} if turned else None


def _about(fact: Rule) -> tuple[Any, ...]:
    return (fact["rule"], *(fact.get(name) for name in _OF))


def span(fact: Rule) -> Span | None:
    """The numbers a condition on points, a stage or a field allows; None where it is not about numbers."""
    value: Any = fact.get("value")
    if fact["rule"] == "stage":
        value = STAGES.index(fact["stage"]) if fact.get("stage") in STAGES else None
    if isinstance(value, str):
        value = _number(value)
    if value is None or isinstance(value, bool | list | tuple):
        return None
    spans = {
        "at_least": Span(low=value),
        "above": Span(low=value, above=True),
        "at_most": Span(high=value),
        "below": Span(high=value, below=True),
        "is": Span(value, value),
    }
    return spans.get(str(fact.get("op")))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _values(fact: Rule) -> set[str] | None:
    """The values a field may have, where a condition names them."""
    value = fact.get("value")
    if fact["rule"] != "field" or fact.get("op") not in {"is", "one_of"}:
        return None
    several = value if isinstance(value, list | tuple) else str(value).split(",") if fact["op"] == "one_of" else [value]
    stored = choosing.kind_of(fact["field"])
    return {choosing.code(stored, str(each).strip()).casefold() for each in several}


def excludes(a: Rule, b: Rule) -> bool:
    """Whether two conditions cannot both hold."""
    if _about(a) != _about(b):
        return False
    if _turned(a) == b:
        return True
    spans, values = (span(a), span(b)), (_values(a), _values(b))
    if spans[0] and spans[1]:
        return spans[0].both(spans[1]).is_empty
    if values[0] is not None and values[1] is not None:
        return not values[0] & values[1]
    return any(x.get("op") == "is_empty" and _needs_value(y) for x, y in ((a, b), (b, a)))


def _needs_value(fact: Rule) -> bool:
    return fact["rule"] == "field" and str(fact.get("op")) not in {
        "is_empty",
        "is_not",
        "none_of",
        "contains_not",
        "is_no",
    }


def _follows(fact: Rule, wanted: Rule) -> bool:
    """Whether the second condition holds wherever the first does."""
    if fact == wanted:
        return True
    if _about(fact) != _about(wanted):
        return False
    spans, values = (span(fact), span(wanted)), (_values(fact), _values(wanted))
    if spans[0] and spans[1]:
        return spans[0].within(spans[1])
    if values[0] is not None and values[1] is not None:
        return values[0] <= values[1]
    return wanted.get("op") == "is_known" and _needs_value(fact)


def _cover(a: Rule, b: Rule) -> bool:
    """Whether one of the two always holds."""
    if _about(a) != _about(b):
        return False
    if _turned(a) == b:
        return True
    opposite = _turned(a)
    return opposite is not None and _follows(opposite, b)
