"""Who looks after a lead: a certain person, anybody, or nobody."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa

from app.accounts.models import User
from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Known, Names, RuleContext, RuleType, name_of


class OwnerRule(Settings):
    op: Annotated[
        Literal["is", "is_not", "anybody", "nobody"],
        Widget(
            "Owner",
            "choice",
            choices=(("is", "is"), ("is_not", "is not"), ("anybody", "is anybody"), ("nobody", "is nobody")),
        ),
    ] = "is"
    user: Annotated[str, Widget("Person", "user")] = ""


def _user(s: OwnerRule) -> sa.ScalarSelect[Any]:
    users = sa.alias(User.__table__)
    return sa.select(users.c.id).where(users.c.email == s.user).scalar_subquery()


def _predicate(s: OwnerRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    owner = ctx.leads.c.owner_id
    return {
        "is": owner == _user(s),
        "is_not": sa.or_(owner.is_(None), owner != _user(s)),
        "anybody": owner.is_not(None),
        "nobody": owner.is_(None),
    }[s.op]


def _check(s: OwnerRule, known: Known) -> list[Complaint]:
    needs = s.op in ("is", "is_not") and not s.user
    return [Complaint("user", "Choose the person, or “is anybody”, “is nobody”.")] if needs else []


def _sentence(s: OwnerRule, names: Names) -> str:
    if s.op in ("anybody", "nobody"):
        return f"owner is {s.op}"
    return f"owner is {'' if s.op == 'is' else 'not '}{name_of(names, 'user', s.user)}"


def _operands(s: OwnerRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    users = sa.alias(User.__table__)
    return {"owner": sa.select(users.c.name).where(users.c.id == ctx.leads.c.owner_id).scalar_subquery()}


def _drawn(given: Any, known: Known, declared: dict[str, Widget]) -> dict[str, Widget]:
    needs = given.get("op", "is") in ("is", "is_not")
    return declared if needs else {n: w for n, w in declared.items() if n != "user"}


RULE = RuleType(
    label="Owner",
    icon="user-check",
    category="Profile",
    Settings=OwnerRule,
    example={"op": "is", "user": "ana@example.com"},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
    possessive=True,
    check=_check,
    drawn=_drawn,
)
