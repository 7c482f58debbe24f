"""The fields a condition may ask about: those every lead has, and those the customer declared."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from app.leads import fields as leads_fields
from app.leads.models import LeadField
from app.segments.ruletype import RuleContext

_PLAIN = ("number", "instant", "date", "switch")
# name -> (label, type as rules compare it); "instant" is a moment, "date" a day without an hour
CORE: dict[str, tuple[str, str]] = {
    name: (label, kind if kind in _PLAIN else "text")
    for name, (label, kind) in (
        leads_fields.CORE | leads_fields.DERIVED | {"stage_at": ("Stage reached", "instant")}
    ).items()
}


def declared(session: Session) -> list[LeadField]:
    """Custom fields in their order, without the archived."""
    query = sa.select(LeadField).where(~LeadField.is_archived).order_by(LeadField.position, LeadField.label)
    return list(session.scalars(query))


def types(session: Session) -> dict[str, str]:
    """The type of every field by name; a core name always means the core field."""
    return {f.name: f.type for f in declared(session)} | {name: kind for name, (_, kind) in CORE.items()}


def value(ctx: RuleContext, name: str) -> sa.ColumnElement[Any] | None:
    """A field of `ctx.leads`, typed, NULL when a custom one is not set; None when there is no such field."""
    if name in CORE:
        return leads_fields.column(name, CORE[name][1], ctx.leads)
    kind = ctx.fields.get(name)
    if kind is None:
        return None
    stored: Any = ctx.leads.c.fields
    if kind == "number":
        return number_member(stored, name)
    if kind == "switch":
        is_switch = _json_type(stored[name]).in_(("boolean", "true", "false"))
        return sa.func.coalesce(sa.case((is_switch, stored[name].as_boolean())), sa.false())
    member: sa.ColumnElement[Any] = stored[name].as_string()
    return member


def number_member(stored: Any, name: str) -> sa.ColumnElement[Any]:
    """A numeric member, NULL when something else lies there: a bad value must not stop a tick on PostgreSQL."""
    return sa.case((_json_type(stored[name]).in_(("number", "integer", "real")), stored[name].as_float()))


class _json_type(sa.sql.functions.GenericFunction[Any]):
    """The type of one JSON member, in each database's words."""

    type = sa.String()
    inherit_cache = True


@compiles(_json_type, "sqlite")
def _sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    member = next(iter(element.clauses))
    return f"json_type({compiler.process(member.left, **kw)}, {compiler.process(member.right, **kw)})"


@compiles(_json_type, "postgresql")
def _postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return f"jsonb_typeof({compiler.process(element.clauses, **kw)})"
