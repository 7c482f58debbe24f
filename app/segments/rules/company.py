"""The company a lead works for: its name, industry, country, domain or size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import sqlalchemy as sa

from app.kinds import Complaint, Settings, Widget
from app.leads.models import Company
from app.segments import choosing, comparing
from app.segments.ruletype import Known, Names, RuleContext, RuleType

_LABELS = {
    "name": "name",
    "industry": "industry",
    "employees": "number of employees",
    "country": "country",
    "domain": "domain",
}
_OPS = ("is", "is_not", "contains", "starts_with", "one_of", "none_of", "at_least", "at_most", "is_known", "is_empty")


class CompanyRule(Settings):
    about: Annotated[
        Literal["name", "industry", "employees", "country", "domain"],
        Widget("Company’s", "choice", choices=tuple(_LABELS.items())),
    ] = "name"
    op: Annotated[
        Literal[
            "is",
            "is_not",
            "contains",
            "starts_with",
            "one_of",
            "none_of",
            "at_least",
            "at_most",
            "is_known",
            "is_empty",
        ],
        Widget("Comparison", "choice", choices=tuple((op, comparing.WORDS[op]) for op in _OPS)),
    ] = "is"
    value: Annotated[str | int | tuple[str, ...], Widget("Value")] = ""


def _value(s: CompanyRule, ctx: RuleContext) -> sa.ColumnElement[Any]:
    companies = sa.alias(Company.__table__)
    column = companies.c["employees_count" if s.about == "employees" else s.about]
    found = (
        sa.select(column).where(companies.c.id == ctx.leads.c.company_id).correlate_except(companies).scalar_subquery()
    )
    # a lead may name a company that nobody has described
    return sa.func.coalesce(found, ctx.leads.c.company_name) if s.about == "name" else found


def _several(s: CompanyRule) -> tuple[str, ...]:
    return s.value if isinstance(s.value, tuple) else tuple(v.strip() for v in str(s.value).split(",") if v.strip())


def _text(s: CompanyRule) -> str:
    return ", ".join(s.value) if isinstance(s.value, tuple) else str(s.value)


def _predicate(s: CompanyRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    if _complaint(s):
        return sa.false()
    if s.about == "employees":
        return comparing.number(_value(s, ctx), s.op, float(_text(s) or 0))
    codes = tuple(choosing.code(_code_kind(s), v) for v in _several(s))
    return comparing.text(_value(s, ctx), s.op, choosing.code(_code_kind(s), _text(s)), codes)


def _code_kind(s: CompanyRule) -> str:
    return "country" if s.about == "country" and s.op in choosing.WHOLE else ""


def _complaint(s: CompanyRule) -> Complaint | None:
    allowed = _allowed(s.about)
    if s.op not in allowed:
        return Complaint("op", f"The company’s {_LABELS[s.about]} can be compared by {', '.join(allowed)}.")
    if s.op in comparing.WITHOUT_VALUE:
        return None
    if not _text(s).strip():
        return Complaint("value", f"Say what the company’s {_LABELS[s.about]} is compared with.")
    if s.about == "employees" and not _text(s).strip().lstrip("-").isdecimal():
        return Complaint("value", f"“{_text(s)}” is not a whole number.")
    return None


def _allowed(about: str) -> dict[str, str]:
    words = comparing.NUMBER_OPS if about == "employees" else comparing.TEXT_OPS
    return {op: words[op] for op in _OPS if op in words}


def _check(s: CompanyRule, known: Known) -> list[Complaint]:
    complaint = _complaint(s)
    if complaint:
        return [complaint]
    unknown = choosing.complaint(_code_kind(s), _several(s) if s.op in comparing.OF_SEVERAL else (_text(s),))
    return [Complaint("value", unknown)] if unknown else []


def _sentence(s: CompanyRule, names: Names) -> str:
    words = f"company’s {_LABELS[s.about]} {_allowed(s.about).get(s.op, s.op)}"
    if s.op in comparing.WITHOUT_VALUE:
        return words
    given = _several(s) if s.op in comparing.OF_SEVERAL else (_text(s),)
    return f"{words} {', '.join(choosing.word(_code_kind(s), v) for v in given)}"


def _operands(s: CompanyRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {f"company’s {_LABELS[s.about]}": _value(s, ctx)}


def _drawn(given: Mapping[str, Any], known: Known, declared: dict[str, Widget]) -> dict[str, Widget]:
    about = str(given.get("about", "name"))
    ops = _allowed(about)
    op = given.get("op") if given.get("op") in ops else next(iter(ops))
    drawn = declared | {"op": Widget("Comparison", "choice", choices=tuple(ops.items()))}
    if op in comparing.WITHOUT_VALUE:
        del drawn["value"]
    elif about == "employees":
        drawn["value"] = Widget("Value", "number")
    elif op in comparing.OF_SEVERAL:
        drawn["value"] = Widget("Values", "text", hint="Separate them by commas")
    elif about == "country" and op in ("is", "is_not"):
        drawn["value"] = Widget("Value", "choice", choices=choosing.options("country", str(given.get("value", ""))))
    return drawn


RULE = RuleType(
    label="Company",
    icon="building",
    category="Profile",
    Settings=CompanyRule,
    example={"about": "employees", "op": "at_least", "value": 200},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
    possessive=True,
    check=_check,
    drawn=_drawn,
)
