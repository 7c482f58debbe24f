"""What the merge tags of a mail stand for: one reading of the leads, companies, reps and our own name for a whole batch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.accounts.models import Organisation, User
from app.leads import fields
from app.leads.models import STAGE_LABELS, Company, Lead

Values = dict[str, dict[str, Any]]
Named = Mapping[str, Collection[str]]  # object -> attributes, as merging.named
Reader = Callable[[sa.Row[Any]], Any]
_READ = (
    Lead.id, Lead.fields, Lead.score, Lead.stage, Lead.source, *(getattr(Lead, name) for name in fields.CORE),
    Company.name.label("name_of_company"), Company.domain, Company.industry,
    Company.country.label("country_of_company"), Company.employees_count, User.name.label("rep"),
    User.email.label("rep_email"),
)  # fmt: skip


def for_leads(session: Session, lead_ids: Sequence[int], named: Named | None = None) -> dict[int, Values]:
    """The values of each lead, as they are now, of those that are `named` if some are; a lead that is gone is left out."""
    ours = of_us(organisation.get(session))
    readers = {group: _chosen(every, named, group) for group, every in _readers(fields.declared(session)).items()}
    rows = session.execute(
        sa.select(*_READ)
        .outerjoin(Company, Company.id == Lead.company_id)
        .outerjoin(User, User.id == Lead.owner_id)
        .where(Lead.id.in_(lead_ids))
    )
    return {
        row.id: {group: {name: read(row) for name, read in each.items()} for group, each in readers.items()} | ours
        for row in rows
    }


def _chosen(every: dict[str, Reader], named: Named | None, group: str) -> dict[str, Reader]:
    return every if named is None else {name: every[name] for name in named.get(group, ()) if name in every}


def of_us(ours: Organisation) -> Values:
    """Who writes: the same in every mail of a batch."""
    address = ", ".join(line.strip() for line in ours.postal_address.splitlines() if line.strip())
    return {
        "sender": {"name": ours.from_name or ours.name, "email": ours.from_email},
        "organisation": {"name": ours.name, "postal_address": address, "website": ours.website},
    }


def nobody(session: Session) -> Values:
    """Empty values, for a mail that goes to nobody we know."""
    empty = dict.fromkeys(fields.labels(session), "") | {"full_name": "", "score": "", "stage": ""}
    none = dict.fromkeys(("name", "domain", "industry", "country", "employees_count"), "")
    return {"lead": empty, "company": none, "owner": {"name": "", "email": ""}, **of_us(organisation.get(session))}


def sample(session: Session) -> Values:
    """A made-up person, for previews where there is no lead yet."""
    values = nobody(session)
    values["lead"] |= {
        "first_name": "Ada",
        "last_name": "Lovelace",
        "full_name": "Ada Lovelace",
        "email": "ada@example.com",
        "job_title": "Head of Operations",
        "company_name": "Analytical Engines",
        "city": "London",
        "country": "GB",
        "score": 62,
        "stage": "Lead",
    }
    values["company"] |= {"name": "Analytical Engines", "industry": "Computing"}
    values["owner"] |= {"name": "Charles Babbage", "email": "charles@example.com"}
    return values


def _readers(custom: Iterable[str]) -> dict[str, dict[str, Reader]]:
    return {
        "lead": {
            **{name: _of_field(name) for name in custom},
            **{name: _of_column(name) for name in fields.CORE},
            "full_name": lambda row: " ".join(filter(None, (row.first_name, row.last_name))),
            "score": lambda row: row.score,
            "stage": lambda row: STAGE_LABELS.get(row.stage, row.stage),
            "source": lambda row: row.source,
        },
        "company": {
            "name": lambda row: row.company_name if row.name_of_company is None else row.name_of_company,
            "domain": lambda row: row.domain or "",
            "industry": lambda row: row.industry or "",
            "country": lambda row: row.country_of_company or "",
            "employees_count": _of_column("employees_count"),
        },
        "owner": {"name": lambda row: row.rep or "", "email": lambda row: row.rep_email or ""},
    }


def _of_field(name: str) -> Reader:
    return lambda row: _plain(row.fields.get(name))


def _of_column(name: str) -> Reader:
    return lambda row: _plain(getattr(row, name))


def _plain(value: Any) -> Any:
    """What JSON can keep: texts, numbers, yes or no, and dates as text."""
    if value is None:
        return ""
    if isinstance(value, (str, int, float, bool)):
        return value
    return value.date().isoformat() if isinstance(value, datetime) else str(value)
