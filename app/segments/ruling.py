"""The one rule language: a rule as data becomes a SQL predicate, an English sentence, and the values it looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.kinds import Catalog, Complaint, Settings, parse
from app.leads.models import Lead
from app.segments import fields, naming
from app.segments.ruletype import Known, Names, RuleContext, RuleType

Rule = Mapping[str, Any]
RULES: Catalog[RuleType] = Catalog("app.segments.rules", "RULE")
OPERATORS = {"all": "all of these", "any": "any of these", "none": "none of these"}
MOST_DEEP, MOST_CONDITIONS = 6, 100
_PICKED = frozenset(
    ["mail", "form", "segment", "tag", "field", "topic", "stage", "user", "campaign", "event", "definition"]
)

names = naming.names
known = naming.known


class BadRule(ValueError):
    """A rule that cannot be read; its text is one sentence."""


@dataclass(frozen=True, slots=True)
class Condition:
    kind: str
    type: RuleType
    settings: Settings


@dataclass(frozen=True, slots=True)
class Group:
    operator: str
    members: tuple[Group | Condition, ...]


EVERYBODY = Group("all", ())


def read(rule: Any) -> tuple[Group | Condition, list[Complaint]]:
    """The rule as a tree, and what is wrong with it; `Complaint.at` is the path to it, such as "all.1.value"."""
    complaints: list[Complaint] = []
    tree = _read(rule, "", 0, complaints)
    if sum(1 for _ in _conditions(tree)) > MOST_CONDITIONS:
        complaints.append(
            Complaint("", f"A rule can have at most {MOST_CONDITIONS} conditions; make segments of its parts.")
        )
    return tree, complaints


def _read(rule: Any, at: str, depth: int, complaints: list[Complaint]) -> Group | Condition:
    if rule is None or rule == {}:
        return EVERYBODY
    if not isinstance(rule, Mapping):
        complaints.append(Complaint(at, "A rule is an object with all, any, none or rule in it."))
        return EVERYBODY
    if "rule" in rule:
        return _read_condition(rule, at, complaints)
    operator = next(iter(rule))
    if len(rule) != 1 or operator not in OPERATORS or not isinstance(rule[operator], list | tuple):
        complaints.append(Complaint(at, "A group of conditions has exactly one of all, any, none, and a list in it."))
        return EVERYBODY
    if depth >= MOST_DEEP:
        complaints.append(Complaint(at, f"Groups can be nested {MOST_DEEP} deep; make a segment of the inner ones."))
        return EVERYBODY
    members = [
        _read(member, f"{at}.{operator}.{i}".lstrip("."), depth + 1, complaints)
        for i, member in enumerate(rule[operator])
    ]
    return Group(str(operator), tuple(members))


def _read_condition(rule: Rule, at: str, complaints: list[Complaint]) -> Group | Condition:
    kind = str(rule["rule"])
    type_ = RULES.get(kind)
    if type_ is None:
        complaints.append(Complaint(f"{at}.rule".lstrip("."), f"There is no condition called {kind!r}."))
        return EVERYBODY
    settings, wrong = parse(type_.Settings, {name: value for name, value in rule.items() if name != "rule"})
    if settings is None:
        complaints += [Complaint(f"{at}.{c.at}".strip("."), _about(type_.label, c.sentence)) for c in wrong]
        return EVERYBODY
    return Condition(kind, type_, settings)


def _about(label: str, sentence: str) -> str:
    """A complaint with the condition it is about, unless it says so itself."""
    return sentence if sentence.startswith(f"{label} ") else f"{label}: {sentence}"


def _tree(rule: Any) -> Group | Condition:
    tree, complaints = read(rule)
    if complaints:
        raise BadRule(complaints[0].sentence)
    return tree


def _conditions(tree: Group | Condition) -> Iterator[Condition]:
    if isinstance(tree, Condition):
        yield tree
    else:
        for member in tree.members:
            yield from _conditions(member)


def context(session: Session, now: datetime, **more: Any) -> RuleContext:
    """The context of this database at this instant; `more` are further members of RuleContext."""
    given: dict[str, Any] = {"leads": Lead.__table__, "dialect": session.get_bind().dialect.name} | more
    if "fields" not in given:
        given["fields"] = fields.types(session)
    return RuleContext(now=now, **given)


def living(leads: Any = Lead.__table__) -> sa.ColumnElement[bool]:
    """Leads that exist: neither merged away nor erased."""
    return sa.and_(leads.c.merged_into_id.is_(None), leads.c.erased_at.is_(None))


def predicate(rule: Any, ctx: RuleContext) -> sa.ColumnElement[bool]:
    """The rule over `ctx.leads`; an empty rule is everybody. Raises BadRule."""
    return _predicate(_tree(rule), ctx)


def _predicate(tree: Group | Condition, ctx: RuleContext) -> sa.ColumnElement[bool]:
    if isinstance(tree, Condition):
        return tree.type.predicate(tree.settings, ctx)
    inner = [_predicate(member, ctx) for member in tree.members]
    if not inner:
        return sa.true()
    if tree.operator == "all":
        return sa.and_(*inner)
    # an unknown value (NULL) fails its condition, so "none of" must hold for it
    return sa.or_(*inner) if tree.operator == "any" else sa.not_(sa.func.coalesce(sa.or_(*inner), sa.false()))


def sentence(rule: Any, names: Names) -> str:
    """The rule as a clause, for a branch or the journal: "country is CH and visited /pricing"; `who` names the people."""
    tree, complaints = read(rule)
    if complaints:
        wrong = complaints[0].sentence.rstrip(".")
        return f"not finished: {wrong[:1].lower()}{wrong[1:]}"
    if not any(True for _ in _conditions(tree)):
        return "everybody"
    return _sentence(tree, names, outer=True)


def _sentence(tree: Group | Condition, names: Names, *, outer: bool = False) -> str:
    if isinstance(tree, Condition):
        return tree.type.sentence(tree.settings, names)
    parts = [_sentence(m, names) for m in tree.members if isinstance(m, Condition) or m.members]
    if tree.operator == "none":
        return f"none of these is true: {'; '.join(parts)}" if len(parts) > 1 else f"it is not true that {parts[0]}"
    if tree.operator == "any":
        words = " or ".join(parts)
    else:
        words = ", and ".join(parts) if outer and len(parts) > 2 else " and ".join(parts)
    return words if outer or len(parts) < 2 else f"({words})"


def who(rule: Any, names: Names) -> str:
    """The rule as the people it means: "everybody", "leads whose country is CH and who visited /pricing"."""
    tree, complaints = read(rule)
    if complaints:
        return sentence(rule, names)
    if not any(True for _ in _conditions(tree)):
        return "everybody"
    words = _who(tree, names)
    return f"everybody{words}" if words.startswith(" except") else f"leads {words}"


def _who(tree: Group | Condition, names: Names) -> str:
    if isinstance(tree, Condition):
        words = tree.type.sentence(tree.settings, names)
        return f"whose {words}" if tree.type.possessive else f"who {_plural(words)}"
    members = [m for m in tree.members if isinstance(m, Condition) or m.members]
    if tree.operator == "none":
        return f" except those {' or '.join(_inner(m, names) for m in members)}"
    if tree.operator == "any":
        return " or ".join(_inner(m, names) for m in members)
    without = [m for m in members if isinstance(m, Group) and m.operator == "none"]
    said = " and ".join(_inner(m, names) for m in members if m not in without)
    but = "".join(f"{',' if said else ''}{_who(m, names)}" for m in without)
    return said + but


def _plural(words: str) -> str:
    verbs = {"has ": "have ", "is ": "are ", "was ": "were ", "does ": "do "}
    return next((many + words.removeprefix(one) for one, many in verbs.items() if words.startswith(one)), words)


def _inner(tree: Group | Condition, names: Names) -> str:
    words = _who(tree, names).strip()
    return f"({words})" if isinstance(tree, Group) and len(tree.members) > 1 else words


def operands(rule: Any, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    """What the rule looks at, per lead of `ctx.leads`, by a short name: for the journal and for "why not"."""
    found: dict[str, sa.ColumnElement[Any]] = {}
    for condition in _conditions(_tree(rule)):
        found |= condition.type.operands(condition.settings, ctx)
    return found


def called(label: str, rules: Iterable[Any], names: Names) -> str:
    """A short name of `operands` with what the rules refer to as people call it: clicks in “Welcome”."""
    named = {key: names.get((kind, key)) for rule in rules for kind, key in references(rule) if kind != "field"}
    return " ".join(f"“{named[word]}”" if named.get(word) else word for word in label.split(" "))


def check(rule: Any, known: Known) -> list[Complaint]:
    """Everything wrong with a rule, its unknown keys included, each as a sentence."""
    tree, complaints = read(rule)
    for condition in _conditions(tree):
        complaints += condition.type.check(condition.settings, known)
    for kind, key in sorted(references(rule)):
        if kind not in ("event", "field", "stage") and (kind, key) not in known.names:
            complaints.append(Complaint("", f"There is no {kind} called “{key}”; choose another."))
    return complaints


def drifts(rule: Any) -> bool:
    """Whether the passing of time alone changes who matches."""
    return any(c.type.drifts(c.settings) for c in _conditions(read(rule)[0]))


def references(rule: Any) -> set[tuple[str, str]]:
    """The things the rule names: ("segment", "swiss-leads"), ("mail", "welcome"), …"""
    found = set()
    for condition in _conditions(read(rule)[0]):
        for name, widget in condition.settings.widgets().items():
            key = getattr(condition.settings, name)
            if widget.kind in _PICKED and isinstance(key, str) and key:
                found.add((widget.kind, key))
    return found
