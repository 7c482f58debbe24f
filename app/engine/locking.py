"""Lets one process at a time decide who enters, since a lead that two let in at once would get everything twice."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy.orm import Session

_OBSERVER = 7_215_001  # any number that nothing else on this database locks


def try_alone(session: Session) -> bool:
    """Be the only one until the end of the transaction; False when another process is. SQLite has one writer anyway."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    return bool(session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_OBSERVER))))


def alone(session: Session) -> None:
    """Wait until nobody else decides, and be the only one until the end of the transaction."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_OBSERVER)))


def try_step(session: Session, campaign: str, step: str) -> bool:
    """Be the only one at a step until the end of the transaction; False when another process is."""
    if session.get_bind().dialect.name != "postgresql":
        return True
    number = int.from_bytes(hashlib.sha256(f"{campaign}\0{step}".encode()).digest()[:8], "big", signed=True)
    return bool(session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(number))))
