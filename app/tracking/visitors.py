"""Recognises a browser that comes back, and tells whose it is once the person is known."""

from __future__ import annotations

import re
import secrets
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock, signing
from app.tracking import recording
from app.tracking.models import Event, Identity

COOKIE = "trellis_visitor"
COOKIE_AGE = timedelta(days=390)  # browsers cut longer ones to 400 days
# What an unknown visitor did is observed again once we know who it was, for scores and triggers, when it is this fresh.
FRESH = timedelta(days=30)

_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}")


def new_token() -> str:
    """A random public name for a browser: 144 bits."""
    return secrets.token_urlsafe(18)


def is_token(text: str | None) -> bool:
    """Whether a text sent from outside has the form of a token."""
    return bool(text and _TOKEN.fullmatch(text))


def find(session: Session, token: str | None) -> Identity | None:
    """The visitor with this token, if we have met it."""
    if not is_token(token):
        return None
    return session.scalar(sa.select(Identity).where(Identity.token == token, Identity.kind == "visitor"))


def identify(session: Session, token: str | None) -> Identity:
    """The visitor with this token, met for the first time if need be; a missing or malformed token gets a new one."""
    known = find(session, token)
    if known:
        return known
    name = token if is_token(token) else new_token()
    statement = recording.insert_once(session, Identity.__table__, "token").values(
        kind="visitor", token=name, created_at=clock.now()
    )
    session.execute(statement)
    return session.scalars(sa.select(Identity).where(Identity.token == name)).one()


def join(session: Session, visitor_id: int, lead_id: int) -> Identity:
    """Say that this browser is the lead's, with all it did before; answers the visitor to go on with.

    A browser that is another lead's already keeps that history: the newcomer gets a visitor of its own, so that two
    people at one computer are never mixed up. The caller then sets the new token as the cookie.
    """
    visitor = session.get_one(Identity, visitor_id)
    owner = session.scalars(sa.select(Identity.lead_id).where(Identity.id == lead_id)).one() or lead_id
    if visitor.lead_id == owner:
        return visitor
    if visitor.lead_id is not None:
        fresh = Identity(kind="visitor", token=new_token(), lead_id=owner, created_at=clock.now())
        session.add(fresh)
        session.flush()
        return fresh
    visitor.lead_id = owner
    session.flush()
    recording.see(session, visitor_id)
    session.execute(
        sa.update(Event)
        .where(Event.identity_id == visitor_id, Event.at >= clock.now() - FRESH, Event.agent != "machine")
        .values(is_new=True)
        .execution_options(synchronize_session=False)
    )
    return visitor


def arrival(lead_id: int) -> str:
    """What a link in the lead's mail may carry to the customer's own site, where our script hands it back."""
    return signing.token("arrival", lead_id)


def arrived(session: Session, token: str) -> int | None:
    """The lead, now, whose link this was; None when it is not one of ours."""
    lead_id = signing.number("arrival", token)
    return None if lead_id is None else session.scalar(sa.select(Identity.lead_id).where(Identity.id == lead_id))


def cookie(token: str, *, secure: bool) -> dict[str, Any]:
    """The arguments of `response.set_cookie` that remember this visitor."""
    return {
        "key": COOKIE,
        "value": token,
        "max_age": int(COOKIE_AGE.total_seconds()),
        "httponly": True,
        "samesite": "Lax",
        "secure": secure,
        "path": "/",
    }
