"""Keys for programs: a random token stands for one user, of whom only its hash is kept."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.accounts.models import ApiToken, User
from app.accounts.signing_in import Person, hashed

PREFIX = "trellis_"  # so that a leaked token is recognised by secret scanners
_NOTED_EVERY = timedelta(minutes=10)


def create(session: Session, user_id: int, name: str) -> tuple[ApiToken, str]:
    """A new token and its text, which is shown once and cannot be read again."""
    text = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken(
        user_id=user_id, name=name[:200], token_hash=hashed(text), created_at=clock.now(), last_used_at=None
    )
    session.add(token)
    session.flush()
    return token, text


@dataclass(frozen=True, slots=True)
class Found:
    """A token in use: whom it stands for."""

    id: int
    person: Person
    last_used_at: datetime | None


def find(session: Session, text: str) -> Found | None:
    """The token with this text, if it still stands for an active user."""
    query = (
        sa.select(ApiToken.id, ApiToken.last_used_at, User.id, User.email, User.name, User.role, User.zone)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.token_hash == hashed(text), User.is_active)
    )
    row = session.execute(query).one_or_none()
    return Found(row[0], Person(*row[2:]), row[1]) if row else None


def is_use_worth_noting(last_used_at: datetime | None, now: datetime) -> bool:
    """Roughly is enough: a write for every call would cost more than the call."""
    return last_used_at is None or last_used_at < now - _NOTED_EVERY


def note_use(session: Session, token_id: int, now: datetime) -> None:
    """Remember when it was last used."""
    session.execute(sa.update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


def revoke(session: Session, token_id: int, user_id: int) -> ApiToken | None:
    """Make a token of this user useless; None if there is no such."""
    token = session.scalar(sa.select(ApiToken).where(ApiToken.id == token_id, ApiToken.user_id == user_id))
    if token is not None:
        session.delete(token)
        session.flush()
    return token
