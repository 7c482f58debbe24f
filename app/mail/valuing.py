"""What the merge tags of a mail stand for: one reading of the leads, companies, reps and our own name for a whole batch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.accounts.models import Organisation, User
from app.leads import fields
from app.leads.models import STAGE_LABELS, Company, Lead

Values = dict[str, dict[str, Any]]


def for_leads(session: Session, lead_ids: Sequence[int]) -> dict[int, Values]:
    """The values of each lead, as they are now; a lead that is gone is left out."""
    ours = of_us(organisation.get(session))
    custom = list(fields.declared(session))
    rows = session.execute(
        sa.select(Lead, Company, User.name, User.email)
        .outerjoin(Company, Company.id == Lead.company_id)
        .outerjoin(User, User.id == Lead.owner_id)
        .where(Lead.id.in_(lead_ids))
    )
    return {lead.id: {**_of_lead(lead, company, name, email, custom), **ours} for lead, company, name, email in rows}


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


def _of_lead(lead: Lead, company: Company | None, rep: str | None, rep_email: str | None, custom: list[str]) -> Values:
    own = {name: _plain(getattr(lead, name)) for name in fields.CORE}
    extra = {name: _plain(lead.fields.get(name)) for name in custom}
    return {
        "lead": {
            **extra,
            **own,
            "full_name": " ".join(filter(None, (lead.first_name, lead.last_name))),
            "score": lead.score,
            "stage": STAGE_LABELS.get(lead.stage, lead.stage),
            "source": lead.source,
        },
        "company": {
            "name": company.name if company else lead.company_name,
            "domain": (company.domain or "") if company else "",
            "industry": company.industry if company else "",
            "country": company.country if company else "",
            "employees_count": _plain(company.employees_count) if company else "",
        },
        "owner": {"name": rep or "", "email": rep_email or ""},
    }


def _plain(value: Any) -> Any:
    """What JSON can keep: texts, numbers, yes or no, and dates as text."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.date().isoformat()
    return value if isinstance(value, (str, int, float, bool)) else str(value)
