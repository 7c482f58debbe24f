"""What a lead is called in a sentence, worked out by the database for many leads at once."""

from __future__ import annotations

import sqlalchemy as sa

from app.leads.models import Lead

LEAD: sa.Table = Lead.__table__


def name_of(leads: sa.FromClause = LEAD) -> sa.ColumnElement[str]:
    """First and last name, else the address, else the number."""
    full = sa.func.trim(leads.c.first_name + " " + leads.c.last_name)
    return sa.func.coalesce(sa.func.nullif(full, ""), leads.c.email, "Lead " + sa.cast(leads.c.id, sa.String))


def name_and_company(leads: sa.FromClause = LEAD) -> sa.ColumnElement[str]:
    """The name, with the company where it is known."""
    company = sa.case((leads.c.company_name != "", ", " + leads.c.company_name), else_="")
    return sa.type_coerce(name_of(leads) + company, sa.Text)
