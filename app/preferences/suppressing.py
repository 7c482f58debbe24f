"""Keeps the addresses that must never be mailed again, by keyed hash, so that neither erasure nor a new import undoes it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import signing
from app.outbox import Message
from app.preferences.cancelling import cancel
from app.preferences.models import Suppression

REASONS = {
    "bounce": "Mail to the address came back",
    "complaint": "The recipient reported mail as spam",
    "erased": "The person asked to be erased",
    "manual": "Somebody in the team suppressed it",
}


def suppress(session: Session, canonical_email: str, reason: str, detail: str, at: datetime) -> None:
    """Mail nothing to this address again, and cancel what is queued for it; the first reason stays."""
    address_hash = signing.address_hash(canonical_email)
    if session.get(Suppression, address_hash) is None:
        session.add(Suppression(address_hash=address_hash, reason=reason, detail=detail[:500], at=at))
        session.flush()
    leads = Message.metadata.tables["leads"]
    holders = sa.select(leads.c.id).where(leads.c.address_hash == address_hash)
    cancel(session, Message.lead_id.in_(holders), reason="suppressed", at=at)


def release(session: Session, canonical_email: str) -> bool:
    """Let an address be mailed again, except after an erasure; answers whether it was suppressed and is free now."""
    kept = session.get(Suppression, signing.address_hash(canonical_email))
    if kept is None or kept.reason == "erased":
        return False
    session.delete(kept)
    session.flush()
    return True


def reason(session: Session, canonical_email: str | None) -> Suppression | None:
    """Why an address is suppressed, or None."""
    return session.get(Suppression, signing.address_hash(canonical_email)) if canonical_email else None
