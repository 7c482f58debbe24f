"""Signing in and out: each browser holds a random token, the database its hash and the time it ends."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import passwords
from app.accounts.models import SignIn, User

LASTS = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in, as plain values that outlive any database session."""

    id: int
    email: str
    name: str
    role: str
    zone: str
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    def get_id(self) -> str:
        return str(self.id)


def hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def check(session: Session, email: str, password: str) -> User | None:
    """The user these words belong to. An unknown address takes as long as a wrong password."""
    user = session.scalar(sa.select(User).where(User.email == email.strip().lower()))
    is_right = passwords.matches(user.password_hash if user else passwords.DUMMY, password)
    return user if user is not None and is_right and user.is_active else None


def start(session: Session, user_id: int, *, address: str, browser: str, at: datetime) -> str:
    """Begin a signed-in browser; the token goes into its cookie and nowhere else."""
    token = secrets.token_urlsafe(32)
    session.add(
        SignIn(
            token_hash=hashed(token),
            user_id=user_id,
            created_at=at,
            expires_at=at + LASTS,
            address=address[:200],
            browser=browser[:500],
        )
    )
    session.flush()
    return token


def find(session: Session, token: str, now: datetime) -> Person | None:
    """Who a browser's token stands for, if it still does."""
    query = sa.select(User.id, User.email, User.name, User.role, User.zone).join(SignIn, SignIn.user_id == User.id)
    row = session.execute(
        query.where(SignIn.token_hash == hashed(token), SignIn.expires_at > now, User.is_active)
    ).one_or_none()
    return Person(*row) if row else None


def end(session: Session, token: str) -> None:
    session.execute(sa.delete(SignIn).where(SignIn.token_hash == hashed(token)))


def end_all(session: Session, user_id: int) -> None:
    """Every browser of this user must sign in again: after a new password, another role, a deactivation."""
    session.execute(sa.delete(SignIn).where(SignIn.user_id == user_id))


def forget(session: Session, now: datetime) -> None:
    """Sweep away what has ended by itself."""
    session.execute(sa.delete(SignIn).where(SignIn.expires_at <= now))
