"""Changes to what is known about leads, each remembered as an event with the value before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from app import signing
from app.db import Json, json_object, rows_of, table
from app.leads import companies, fields
from app.leads.addresses import BadAddress, as_given, canonical
from app.leads.finding import is_living
from app.leads.models import Lead
from app.leads.values import BadValue, inferred_zone
from app.tracking import recording

LEADS = table("leads")
MOST_SEARCHED = 600  # letters; an index entry of PostgreSQL holds 2,700 bytes
SEARCHED = ("first_name", "last_name", "company_name")


def search_text(email: str | None, values: Mapping[str, Any]) -> str:
    """What the list's search looks through: name, address, company, casefolded."""
    parts = [str(values.get(name) or "") for name in SEARCHED]
    return " ".join(p for p in [*parts[:2], email or "", *parts[2:]] if p).casefold()[:MOST_SEARCHED]


def set_values(
    session: Session, lead_id: int, values: Mapping[str, Any], *, at: datetime, overwrite: bool = True
) -> list[str]:
    """Set fields of one lead from untrusted values; the names that changed. Raises BadValue or BadAddress.

    Without `overwrite` only empty fields are filled. An empty value empties the field.
    """
    checked = fields.check(values, fields.declared(session))
    if "email" in values:
        checked["email"] = as_given(str(values["email"] or "")) or None
    session.flush()
    changed = set_many(session, {lead_id: checked}, at=at, overwrite=overwrite)
    return changed.get(lead_id, [])


def set_many(
    session: Session, wanted: Mapping[int, Mapping[str, Any]], *, at: datetime, overwrite: bool
) -> dict[int, list[str]]:
    """Set checked values of many leads, in a fixed number of statements; what changed of each."""
    asked = rows_of([[lead_id] for lead_id in wanted], lead_id=sa.BigInteger())
    rows = [
        dict(row) for row in session.execute(sa.select(LEADS).join(asked, LEADS.c.id == asked.c.lead_id)).mappings()
    ]
    changes = {row["id"]: _difference(row, wanted[row["id"]], overwrite) for row in rows}
    changes = {lead_id: change for lead_id, change in changes.items() if change}
    if not changes:
        return {}
    by_id = {row["id"]: row for row in rows}
    _refuse_taken(session, changes)
    _write(session, {lead_id: (by_id[lead_id], change) for lead_id, change in changes.items()}, wanted, at)
    _record(session, [(lead_id, n, was, to) for lead_id, c in changes.items() for n, (was, to) in c.items()], at)
    return {lead_id: list(change) for lead_id, change in changes.items()}


def set_field_for(session: Session, leads: sa.Select[Any], name: str, value: Any, *, at: datetime) -> int:
    """Give one field the same value for a set of leads; how many had another one. Raises BadValue."""
    if name == "email":
        raise BadValue("An address belongs to one lead; it cannot be set for many.")
    known = fields.declared(session)
    checked = fields.check({name: value}, known)[name]
    if name in fields.COMPANY:
        raise BadValue("That is a fact about the company; set it there.")
    is_core = name in fields.CORE
    kind = fields.CORE[name][1] if is_core else known[name].type
    column = fields.column(name, kind)
    to = None if checked in (None, "") and not (is_core and name != "zone") else checked
    other = sa.and_(Lead.id.in_(leads), is_living(), column.is_distinct_from(to))
    session.flush()
    source = sa.select(Lead.id.label("lead_id"), column.label("was")).where(other).subquery()
    props = json_object("from", source.c.was, "to", _typed(to))
    count = recording.record_for(session, source, kind="field_changed", subject=name, at=at, props=props)
    if not count:
        return 0
    ids = list(session.scalars(sa.select(Lead.id).where(other))) if name in SEARCHED else []
    change: dict[Any, Any] = {Lead.updated_at: at}
    change[LEADS.c[name] if is_core else Lead.fields] = to if is_core else with_member(name, to)
    if name == "company_name":
        change[Lead.company_id] = companies.ensure_many(session, [{"company_name": to}], at=at)[0]
    if name == "country" and to:
        change[Lead.inferred_zone] = inferred_zone(str(to), "")
    session.execute(sa.update(Lead).where(other).values(change), execution_options={"synchronize_session": False})
    search_again(session, ids)
    session.expire_all()
    return count


def set_owner(session: Session, leads: sa.Select[Any], user_id: int | None, *, at: datetime) -> int:
    """Make a user the owner of these leads; how many had another."""
    other = sa.and_(Lead.id.in_(leads), is_living(), Lead.owner_id.is_distinct_from(user_id))
    session.flush()
    source = sa.select(Lead.id.label("lead_id"), Lead.owner_id.label("was")).where(other).subquery()
    props = json_object("from", source.c.was, "to", sa.cast(user_id, sa.BigInteger))
    count = recording.record_for(session, source, kind="field_changed", subject="owner_id", at=at, props=props)
    statement = sa.update(Lead).where(other).values(owner_id=user_id, updated_at=at)
    session.execute(statement, execution_options={"synchronize_session": False})
    session.expire_all()
    return count


class with_member(sa.sql.functions.GenericFunction[Any]):
    """The `fields` of a lead with one member set, or taken out when the value is None."""

    type = Json
    inherit_cache = False

    def __init__(self, name: str, value: Any) -> None:
        self.member, self.is_removed = name, value is None
        fresh = json_object(name, _typed(value))
        super().__init__(Lead.fields, sa.literal(name, sa.Text()) if value is None else fresh)


@compiles(with_member, "sqlite")
def _with_member_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    fields_column, given = (compiler.process(clause, **kw) for clause in element.clauses)
    return (
        f"json_remove({fields_column}, '$.' || {given})"
        if element.is_removed
        else f"json_patch({fields_column}, {given})"
    )


@compiles(with_member, "postgresql")
def _with_member_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    fields_column, given = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"({fields_column} - {given}::text)" if element.is_removed else f"({fields_column} || {given})"


def _typed(value: Any) -> sa.ColumnElement[Any]:
    """A plain value as SQL of its own type, so that the database keeps 5 a number and true a truth."""
    if isinstance(value, sa.ColumnElement):
        return value
    if value is None:
        return sa.cast(sa.null(), sa.Text)
    if isinstance(value, bool):
        return _truth(value)
    if isinstance(value, int):
        return sa.cast(value, sa.BigInteger)
    return sa.cast(value, sa.Double) if isinstance(value, float) else sa.cast(value, sa.Text)


class _truth(sa.sql.functions.GenericFunction[Any]):
    inherit_cache = False

    def __init__(self, value: bool) -> None:
        self.is_true = value
        super().__init__()


@compiles(_truth, "sqlite")
def _truth_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    return "json('true')" if element.is_true else "json('false')"


@compiles(_truth, "postgresql")
def _truth_postgresql(element: Any, compiler: Any, **kw: Any) -> str:
    return "true" if element.is_true else "false"


def _difference(row: Mapping[str, Any], wanted: Mapping[str, Any], overwrite: bool) -> dict[str, tuple[Any, Any]]:
    found = {}
    for name, to in wanted.items():
        if name in fields.COMPANY:
            continue
        is_core = name in fields.CORE
        was = row[name] if is_core else row["fields"].get(name)
        empty = "" if is_core and name not in {"zone", "email"} else None
        to = empty if to in (None, "") else to
        if was != to and (overwrite or was in (None, "")):
            found[name] = (was, to)
    return found


def _refuse_taken(session: Session, changes: Mapping[int, Mapping[str, tuple[Any, Any]]]) -> None:
    for lead_id, change in changes.items():
        if change.get("email", (None, None))[1]:
            unique = canonical(change["email"][1])
            other = session.scalar(sa.select(Lead.id).where(Lead.canonical_email == unique, Lead.id != lead_id))
            if other:
                raise BadAddress(f"Another lead has the address {change['email'][1]} already; merge the two instead.")


def _write(
    session: Session, changes: Mapping[int, tuple[Mapping[str, Any], dict[str, tuple[Any, Any]]]],
    wanted: Mapping[int, Mapping[str, Any]], at: datetime,
) -> None:  # fmt: skip
    facts = [
        companies.facts_of({**wanted[i], "company_name": change["company_name"][1]}) if "company_name" in change else {}
        for i, (_, change) in changes.items()
    ]
    linked = companies.ensure_many(session, facts, at=at)
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for (lead_id, (row, change)), company_id in zip(changes.items(), linked, strict=True):
        new = _columns(row, change, company_id) | {"updated_at": at}
        groups.setdefault(tuple(sorted(new)), []).append({f"new_{n}": v for n, v in new.items()} | {"lead_id": lead_id})
    for names, rows in groups.items():
        new_values = {name: sa.bindparam(f"new_{name}", type_=LEADS.c[name].type) for name in names}
        session.connection().execute(
            sa.update(LEADS).where(LEADS.c.id == sa.bindparam("lead_id")).values(new_values), rows
        )
    session.expire_all()


def _columns(row: Mapping[str, Any], change: Mapping[str, tuple[Any, Any]], company_id: int | None) -> dict[str, Any]:
    new = {name: to for name, (_, to) in change.items() if name in fields.CORE}
    custom = {name: to for name, (_, to) in change.items() if name not in fields.CORE}
    if custom:
        new["fields"] = {n: v for n, v in {**row["fields"], **custom}.items() if v is not None}
    if "email" in new:
        unique = canonical(new["email"]) if new["email"] else None
        new |= {"canonical_email": unique, "address_hash": signing.address_hash(unique) if unique else None}
    if "company_name" in new:
        new["company_id"] = company_id
    after = {**row, **new}
    if "country" in new or "phone" in new:
        new["inferred_zone"] = inferred_zone(after["country"], after["phone"]) or row["inferred_zone"]
    if new.keys() & {*SEARCHED, "email"}:
        new["search_text"] = search_text(after["email"], after)
    return new


def _record(session: Session, changed: Sequence[tuple[int, str, Any, Any]], at: datetime) -> None:
    source = rows_of(
        [[i, name, {"from": was, "to": to}] for i, name, was, to in changed],
        lead_id=sa.BigInteger(), name=sa.Text(), props=sa.Text(),
    )  # fmt: skip
    props = sa.type_coerce(sa.cast(source.c.props, sa.Text().with_variant(JSONB(), "postgresql")), Json)
    recording.record_for(session, source, kind="field_changed", subject=source.c.name, at=at, props=props)


def search_again(session: Session, ids: Sequence[int]) -> None:
    """Write anew what the list's search looks through, after a name changed."""
    if not ids:
        return
    asked = rows_of([[i] for i in ids], lead_id=sa.BigInteger())
    rows = session.execute(sa.select(LEADS).join(asked, LEADS.c.id == asked.c.lead_id)).mappings()
    new = [{"lead_id": row["id"], "text": search_text(row["email"], dict(row))} for row in rows]
    statement = sa.update(LEADS).where(LEADS.c.id == sa.bindparam("lead_id")).values(search_text=sa.bindparam("text"))
    session.connection().execute(statement, new)
