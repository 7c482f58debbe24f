"""A field of the lead, core or declared, compared as its type allows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from app.kinds import Complaint, Settings, Widget
from app.segments import choosing, comparing, fields
from app.segments.ruletype import Known, Names, RuleContext, RuleType

_EVERY_OP = tuple(dict.fromkeys(op for ops in comparing.OPS.values() for op in ops))
Op = Literal[
    "is", "is_not", "contains", "contains_any", "contains_not", "starts_with", "one_of", "none_of", "at_least", "at_most", "above", "below",
    "before", "after", "within_last", "longer_ago", "within_next", "is_yes", "is_no", "is_known", "is_empty",
]  # fmt: skip


class FieldRule(Settings):
    field: Annotated[str, Field(min_length=1), Widget("Field", "field")]
    op: Annotated[Op, Widget("Comparison", "choice", choices=tuple((op, comparing.WORDS[op]) for op in _EVERY_OP))] = (
        "is"
    )
    value: Annotated[str | bool | int | float | tuple[str, ...], Widget("Value")] = ""


def _predicate(s: FieldRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    column = fields.value(ctx, s.field)
    kind = ctx.fields.get(s.field, "")
    if column is None or _complaint(s, kind):
        return sa.false()
    if kind == "switch":
        return column if s.op == "is_yes" else sa.not_(column)
    if kind == "number":
        return comparing.number(column, s.op, _number(s))
    if kind in ("date", "instant"):
        compare = comparing.day if kind == "date" else comparing.moment
        return compare(column, s.op, _day_or_days(s), ctx.now)
    stored = choosing.kind_of(s.field) if s.op in choosing.WHOLE else ""
    codes = tuple(choosing.code(stored, v) for v in _several(s))
    return comparing.text(column, s.op, choosing.code(stored, _text(s)), codes)


def _text(s: FieldRule) -> str:
    return ", ".join(s.value) if isinstance(s.value, tuple) else str(s.value)


def _several(s: FieldRule) -> tuple[str, ...]:
    return s.value if isinstance(s.value, tuple) else tuple(v.strip() for v in str(s.value).split(",") if v.strip())


def _number(s: FieldRule) -> float:
    return 0.0 if s.op in comparing.WITHOUT_VALUE else float(_text(s))


def _day_or_days(s: FieldRule) -> float | date | None:
    if s.op in comparing.WITHOUT_VALUE:
        return None
    return float(_text(s)) if s.op in comparing.OF_DAYS else date.fromisoformat(_text(s))


def _complaint(s: FieldRule, kind: str) -> Complaint | None:
    allowed = comparing.OPS.get(kind, comparing.TEXT_OPS)
    if s.op not in allowed:
        return Complaint("op", f"{s.field} is a {kind}: choose one of {', '.join(allowed)}.")
    if s.op in comparing.WITHOUT_VALUE:
        return None
    if not _text(s).strip():
        return Complaint("value", f"Say what {s.field} is compared with.")
    try:
        if kind == "number":
            _number(s)
        elif kind in ("date", "instant"):
            days = _day_or_days(s)
            if isinstance(days, float) and not 0 < days <= 36_500:
                return Complaint("value", "The number of days must be between 1 and 36,500.")
    except ValueError:
        wanted = "a day like 2026-03-31" if kind != "number" and s.op not in comparing.OF_DAYS else "a number"
        return Complaint("value", f"“{_text(s)}” is not {wanted}.")
    return None


def _check(s: FieldRule, known: Known) -> list[Complaint]:
    if s.field not in known.fields:
        return [Complaint("field", f"There is no field called {s.field}; choose another, or declare it first.")]
    complaint = _complaint(s, known.fields[s.field])
    if complaint:
        return [complaint]
    given = _several(s) if s.op in comparing.OF_SEVERAL else (_text(s),)
    unknown = choosing.complaint(choosing.kind_of(s.field) if s.op in choosing.WHOLE else "", given)
    return [Complaint("value", unknown)] if unknown else []


def _sentence(s: FieldRule, names: Names) -> str:
    label = fields.CORE[s.field][0].lower() if s.field in fields.CORE else names.get(("field", s.field), s.field)
    words = comparing.WORDS[s.op]
    if s.op in comparing.WITHOUT_VALUE:
        return f"{label} {words}"
    if s.op in comparing.OF_DAYS:
        return f"{label} {words.replace('…', _text(s))}"
    kind = choosing.kind_of(s.field) if s.op in choosing.WHOLE else ""
    if s.op in comparing.OF_SEVERAL:
        return f"{label} {words} {', '.join(choosing.word(kind, v) for v in _several(s))}"
    return f"{label} {words} {choosing.word(kind, _text(s))}"


def _operands(s: FieldRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    column = fields.value(ctx, s.field)
    return {} if column is None else {s.field: column}


def _drawn(given: Mapping[str, Any], known: Known, declared: dict[str, Widget]) -> dict[str, Widget]:
    kind = known.fields.get(str(given.get("field", "")), "text")
    ops = comparing.OPS.get(kind, comparing.TEXT_OPS)
    op = given.get("op") if given.get("op") in ops else next(iter(ops))
    drawn = declared | {"op": Widget("Comparison", "choice", choices=tuple(ops.items()))}
    choices = known.choices.get(str(given.get("field", "")), ())
    code = choosing.kind_of(str(given.get("field", "")))
    if op in comparing.WITHOUT_VALUE:
        del drawn["value"]
    elif op in comparing.OF_DAYS:
        drawn["value"] = Widget("Days", "number", unit="days")
    elif kind == "number":
        drawn["value"] = Widget("Value", "number")
    elif kind in ("date", "instant"):
        drawn["value"] = Widget("Day", "instant")
    elif op in comparing.OF_SEVERAL:
        hint = choosing.hint(code) if code == "country" and op in choosing.WHOLE else "Separate them by commas"
        drawn["value"] = Widget("Values", "text", hint=hint)
    elif code and op in ("is", "is_not"):
        options = choosing.options(code, str(given.get("value", "")))
        drawn["value"] = Widget("Value", "choice" if options else "text", choosing.hint(code), options)
    elif choices and op in ("is", "is_not"):
        drawn["value"] = Widget("Value", "choice", choices=tuple((c, c) for c in choices))
    return drawn


RULE = RuleType(
    label="Field",
    icon="id",
    category="Profile",
    Settings=FieldRule,
    example={"field": "country", "op": "one_of", "value": ["CH", "DE"]},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
    possessive=True,
    drifts=lambda s: s.op in comparing.OF_DAYS,
    check=_check,
    drawn=_drawn,
)
