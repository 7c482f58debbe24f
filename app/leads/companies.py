"""The companies leads work for, found by domain or name and made when they are new."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import rows_of
from app.leads.fields import COMPANY
from app.leads.models import Company
from app.leads.values import BadValue, clean, limited, parse

# Mail of these says nothing about where somebody works.
FREE_MAIL = frozenset(
    "gmail.com googlemail.com yahoo.com outlook.com hotmail.com live.com icloud.com me.com aol.com gmx.de gmx.net gmx.ch "
    "web.de t-online.de bluewin.ch proton.me protonmail.com mail.ru qq.com 163.com laposte.net orange.fr free.fr".split()
)


def domain_of(text: str) -> str | None:
    """The bare domain in a web address, a mail address or a domain; None when there is none."""
    host = clean(text).casefold().rpartition("@")[2].removeprefix("https://").removeprefix("http://")
    host = host.partition("/")[0].partition(":")[0].removeprefix("www.").strip(".")
    try:
        ascii_host = host.encode("idna").decode()
    except UnicodeError:
        return None
    return ascii_host if "." in ascii_host and len(ascii_host) <= 200 and " " not in ascii_host else None


def ensure_many(session: Session, wanted: Iterable[dict[str, Any]], *, at: datetime) -> list[int | None]:
    """The company id for each {"company_name", "company_domain", …}, new ones made; three statements at most."""
    asked = [(_name(w), domain_of(str(w.get("company_domain") or "")), w) for w in wanted]
    by_domain, by_name = _known(session, {d for _, d, _ in asked if d}, {n.casefold() for n, _, _ in asked if n})
    fresh: dict[str, dict[str, Any]] = {}
    for name, domain, given in asked:
        if not name and not domain:
            continue
        if (domain and domain in by_domain) or (name and name.casefold() in by_name):
            continue
        row = _row(name or str(domain), domain, given, at)
        fresh[domain or name.casefold()] = row
        by_name.setdefault(row["name_key"], 0)
        if domain:
            by_domain.setdefault(domain, 0)
    if fresh:
        session.execute(sa.insert(Company), list(fresh.values()))
        by_domain, by_name = _known(session, {d for _, d, _ in asked if d}, {n.casefold() for n, _, _ in asked if n})
    return [by_domain.get(d or "") or by_name.get(n.casefold()) if n or d else None for n, d, _ in asked]


def create(session: Session, *, name: str, domain: str = "", at: datetime, **facts: Any) -> Company:
    """A company by hand. Raises BadValue when its name is missing or its domain is known."""
    values = check(name=name, domain=domain, **facts)
    _refuse_known_domain(session, values["domain"], except_id=None)
    company = Company(**values, created_at=at)
    session.add(company)
    session.flush()
    return company


def change(session: Session, company: Company, **facts: Any) -> None:
    """Correct what is known about a company."""
    values = check(**facts)
    _refuse_known_domain(session, values["domain"], except_id=company.id)
    for name, value in values.items():
        setattr(company, name, value)


def check(*, name: str, domain: str = "", industry: str = "", size: Any = None, country: str = "") -> dict[str, Any]:
    """A company's facts in the form they are stored in. Raises BadValue."""
    name = limited("The name", clean(name), 200)
    if not name:
        raise BadValue("The company has no name; write one.")
    if clean(domain) and domain_of(domain) is None:
        raise BadValue(f"“{clean(domain)[:60]}” is not a domain; write one such as nordhafen.example.")
    employees = parse("Company size", "number", size)
    if employees is not None and (employees < 0 or employees != int(employees)):
        raise BadValue("Company size is a whole number of people.")
    return {
        "name": name,
        "name_key": name.casefold(),
        "domain": domain_of(domain) if clean(domain) else None,
        "industry": limited("Industry", clean(industry), 200),
        "employees_count": employees,
        "country": parse("Country", "country", country),
    }


def facts_of(values: dict[str, Any]) -> dict[str, Any]:
    """The part of a lead's values that is about its company."""
    return {name: values[name] for name in ("company_name", *COMPANY) if values.get(name)}


def _refuse_known_domain(session: Session, domain: str | None, *, except_id: int | None) -> None:
    known = session.scalar(sa.select(Company).where(Company.domain == domain)) if domain else None
    if known and known.id != except_id:
        raise BadValue(f"{known.name} has the domain {domain} already.")


def _name(given: dict[str, Any]) -> str:
    return str(given.get("company_name") or "")


def _row(name: str, domain: str | None, given: dict[str, Any], at: datetime) -> dict[str, Any]:
    size = given.get("company_size")
    return {
        "name": name,
        "name_key": name.casefold(),
        "domain": domain,
        "industry": given.get("company_industry") or "",
        "employees_count": int(size) if size and size > 0 else None,
        "country": given.get("country") or "",
        "created_at": at,
    }


def _known(session: Session, domains: set[str], names: set[str]) -> tuple[dict[str, int], dict[str, int]]:
    by_domain: dict[str, int] = {}
    by_name: dict[str, int] = {}
    if domains:
        asked = rows_of([[d] for d in domains], value=sa.Text())
        rows = session.execute(sa.select(Company.domain, Company.id).join(asked, Company.domain == asked.c.value))
        by_domain = {str(domain): company_id for domain, company_id in rows}
    if names:
        asked = rows_of([[n] for n in names], value=sa.Text())
        alike = sa.select(Company.name_key, Company.id).join(asked, Company.name_key == asked.c.value)
        found = session.execute(alike.order_by(Company.id.desc()))
        by_name = {str(key): company_id for key, company_id in found}  # the oldest of a name wins
    return by_domain, by_name
