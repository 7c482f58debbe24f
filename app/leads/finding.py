"""Who is meant: the living lead behind an address or a number, also when it was merged into another since."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads.addresses import BadAddress, canonical
from app.leads.models import Lead

MOST_MERGES = 20


def by_email(session: Session, text: str) -> Lead | None:
    """The lead of an address in any spelling; an address that cannot be one finds nobody."""
    try:
        wanted = canonical(text)
    except BadAddress:
        return None
    return survivor(session, session.scalar(sa.select(Lead).where(Lead.canonical_email == wanted)))


def by_id(session: Session, lead_id: int) -> Lead | None:
    """The living lead with this id, or the one it was merged into."""
    return survivor(session, session.get(Lead, lead_id))


def survivor(session: Session, lead: Lead | None) -> Lead | None:
    for _ in range(MOST_MERGES):
        if lead is None or lead.erased_at is not None:
            return None
        if lead.merged_into_id is None:
            return lead
        lead = session.get(Lead, lead.merged_into_id)
    return None


def living() -> sa.Select[int]:
    """Every lead that is somebody: neither merged into another nor erased."""
    return sa.select(Lead.id).where(is_living())


def is_living() -> sa.ColumnElement[bool]:
    return sa.and_(Lead.merged_into_id.is_(None), Lead.erased_at.is_(None))
