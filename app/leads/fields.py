"""Which fields a lead has: the built-in ones, and those an organisation declares for itself, typed and ready for rules."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads.models import Company, Lead, LeadField
from app.leads.values import BadValue, clean, limited, parse

CUSTOM_TYPES = {
    "text": "Text",
    "number": "Number",
    "date": "Date",
    "choice": "Choice",
    "switch": "Yes or no",
}
# What people may set.
CORE: dict[str, tuple[str, str]] = {
    "email": ("Email", "email"),
    "first_name": ("First name", "text"),
    "last_name": ("Last name", "text"),
    "job_title": ("Job title", "text"),
    "phone": ("Phone", "phone"),
    "company_name": ("Company", "text"),
    "country": ("Country", "country"),
    "city": ("City", "text"),
    "language": ("Language", "language"),
    "zone": ("Time zone", "zone"),
}
# What rules and lists may read besides.
DERIVED: dict[str, tuple[str, str]] = {
    "source": ("Source", "text"),
    "company_size": ("Company size", "number"),
    "company_industry": ("Industry", "text"),
    "company_domain": ("Company domain", "text"),
    "created_at": ("Created", "instant"),
    "last_seen_at": ("Last seen", "instant"),
}
# What a new company is told at the same time as its first lead.
COMPANY = {"company_domain": "domain", "company_industry": "industry", "company_size": "employees_count"}


def declared(session: Session, *, archived: bool = False) -> dict[str, LeadField]:
    """The custom fields by name, in their order."""
    query = sa.select(LeadField).order_by(LeadField.position, LeadField.id)
    if not archived:
        query = query.where(~LeadField.is_archived)
    return {field.name: field for field in session.scalars(query)}


def labels(session: Session) -> dict[str, tuple[str, str]]:
    """(label, type) of every field a rule or a list may read, built-in first."""
    return CORE | DERIVED | {f.name: (f.label, f.type) for f in declared(session).values()}


def column(name: str, kind: str, leads: sa.FromClause | None = None) -> sa.ColumnElement[Any]:
    """The field as SQL over `leads` (the table or an alias): a core column, or the JSON member in its declared type."""
    table = Lead.__table__ if leads is None else leads
    if name in COMPANY:
        company = Company.__table__.alias()
        asked = sa.select(company.c[COMPANY[name]]).where(company.c.id == table.c.company_id)
        return asked.correlate(table).scalar_subquery()
    if name in table.c:
        return table.c[name]
    member = table.c.fields[name]
    typed: sa.ColumnElement[Any] = (
        member.as_float() if kind == "number" else member.as_boolean() if kind == "switch" else member.as_string()
    )
    return typed


def check(values: Mapping[str, Any], known: Mapping[str, LeadField]) -> dict[str, Any]:
    """Values from outside in the form they are stored in; the address stays as given. Raises BadValue."""
    checked: dict[str, Any] = {}
    country = str(parse("Country", "country", values.get("country", "")))
    for name, given in values.items():
        if name == "email":
            continue
        if name in CORE or name in COMPANY:
            label, kind = CORE.get(name) or DERIVED[name]
            checked[name] = parse(label, kind, given, country=country)
        elif name in known:
            field = known[name]
            checked[name] = parse(field.label, field.type, given, choices=field.choices)
        else:
            raise BadValue(f"There is no field called {name!r}; declare it first under Leads, Fields.")
    return checked


def declare(session: Session, *, label: str, kind: str, name: str = "", choices: Sequence[str] = ()) -> LeadField:
    """A new custom field, its name made from the label if none is given. Raises BadValue when a given name is taken."""
    label = limited("The label", clean(label), 200)
    namesake = next((said for said, _ in labels(session).values() if said.casefold() == label.casefold()), "")
    if namesake:
        raise BadValue(f"There is a field “{namesake}” already; give this one a label that tells them apart.")
    name = name_from(name) or _free_name(session, label)
    if not label:
        raise BadValue("The field has no label; write how people should read it.")
    if kind not in CUSTOM_TYPES:
        raise BadValue(f"There is no type called {kind!r}; use one of {', '.join(CUSTOM_TYPES)}.")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name):
        raise BadValue("The name needs a letter first and then letters, digits or _, at most 60.")
    if _is_built_in(name):
        raise BadValue(f"Every lead has {name!r} already; choose another name, such as {_free(session, name)}.")
    if _is_declared(session, name):
        raise BadValue(f"A field called {name!r} exists already, perhaps archived; choose another name.")
    offered = list(dict.fromkeys(limited("A choice", clean(c), 200) for c in choices if clean(c)))
    if kind == "choice" and not offered:
        raise BadValue("A choice field needs at least one choice; write one a line.")
    position = session.scalar(sa.select(sa.func.count()).select_from(LeadField)) or 0
    field = LeadField(name=name, label=label, type=kind, choices=offered if kind == "choice" else [], position=position)
    session.add(field)
    session.flush()
    return field


def _free_name(session: Session, label: str) -> str:
    """A name out of the label's words that no field has yet: Interest -> interest_2."""
    words = re.sub(r"[^a-z0-9_]", "", name_from(label))[:50].strip("_")
    return _free(session, words if words[:1].isalpha() else f"field_{words}".rstrip("_"))


def _free(session: Session, name: str) -> str:
    candidates = (name if n == 1 else f"{name[:50]}_{n}" for n in count(1))
    return next(each for each in candidates if not _is_built_in(each) and not _is_declared(session, each))


def _is_built_in(name: str) -> bool:
    return name in CORE or name in DERIVED or name in Lead.__table__.c


def _is_declared(session: Session, name: str) -> bool:
    return session.scalar(sa.select(LeadField.id).where(LeadField.name == name)) is not None


def name_from(label: str) -> str:
    """The name a label gives: Käufertyp 2 -> kaufertyp_2."""
    return slug(label).replace("-", "_")


def slug(text: str) -> str:
    """A stable key out of words: lower case, ASCII where it can be, hyphens between."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    ascii_only = "".join(c for c in plain if not unicodedata.combining(c))
    return re.sub(r"[^\w]+", "-", ascii_only).strip("-_")[:200]
