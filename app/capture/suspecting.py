"""Tells a form filled in by a person from one filled in by a program; the suspected ones are kept, shown, and not acted on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app import signing
from app.accounts import limiting
from app.capture.forming import HONEYPOT

# Autofill and one click take a person longer than a second; programs that fetch and post take a tenth of one.
FASTEST = timedelta(seconds=0.5)
MOST = 60  # answers from one network in the time below; a whole class at a fair stays under it
WITHIN = timedelta(minutes=10)


def started(at: datetime) -> str:
    """What the form page carries to say, unforgeably, when it was shown."""
    return signing.token("form-shown", int(at.timestamp() * 1000))


def suspicion(session: Session, given: Mapping[str, Any], *, network: str, at: datetime) -> str:
    """Why this looks like a program's work, as a sentence; empty for a person's."""
    if given.get(HONEYPOT):
        return "It filled in a field that no person can see."
    shown = signing.number("form-shown", str(given.get("_started") or ""))
    if shown is None:
        return "It was sent without opening the form."
    if at - datetime.fromtimestamp(shown / 1000, UTC) < FASTEST:
        return "It was sent faster than anybody can type."
    if not limiting.allow(session, "form", network or "nowhere", most=MOST, within=WITHIN):
        return f"More than {MOST} answers came from the same network within ten minutes."
    return ""
