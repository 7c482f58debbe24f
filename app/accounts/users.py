"""People who work with Trellis: adding them, what they may do, new passwords, letting them go."""

from __future__ import annotations

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.orm import Session

from app import clock
from app.accounts import organisation, passwords, signing_in, zones
from app.accounts.models import ROLES, User


class BadUser(ValueError):
    """Something about a user that cannot be; `at` names the field."""

    def __init__(self, at: str, sentence: str) -> None:
        super().__init__(sentence)
        self.at = at


def create(session: Session, *, email: str, name: str, role: str, password: str, zone: str | None = None) -> User:
    """Add somebody. Raises BadUser with one sentence."""
    address = _address(email)
    _check(name, role, zone or "UTC")
    if problem := passwords.problem(password, address, name):
        raise BadUser("password", problem)
    if session.scalar(sa.select(User.id).where(User.email == address)):
        raise BadUser("email", f"{address} is a user already.")
    user = User(
        email=address,
        name=name.strip(),
        role=role,
        password_hash=passwords.hash_of(password),
        zone=zone or organisation.get(session).zone,
        is_active=True,
        created_at=clock.now(),
    )
    session.add(user)
    session.flush()
    return user


def create_first(session: Session, *, email: str, name: str, password: str) -> User | None:
    """The first administrator of a new copy; None if there are users already."""
    if session.scalar(sa.select(sa.func.count()).select_from(User)):
        return None
    return create(session, email=email, name=name, role="administrator", password=password)


def find(session: Session, email: str) -> User | None:
    return session.scalar(sa.select(User).where(User.email == email.strip().lower()))


def change(session: Session, user: User, *, name: str, role: str, zone: str) -> None:
    """Another name, role or zone; a new role asks every browser of that user to sign in again."""
    _check(name, role, zone)
    if role != user.role:
        if user.role == "administrator":
            _keep_an_administrator(session, user)
        signing_in.end_all(session, user.id)
    user.name, user.role, user.zone = name.strip(), role, zone
    session.flush()


def set_password(session: Session, user: User, password: str) -> None:
    """A new password; every browser signed in with the old one is signed out."""
    if problem := passwords.problem(password, user.email, user.name):
        raise BadUser("password", problem)
    user.password_hash = passwords.hash_of(password)
    signing_in.end_all(session, user.id)
    session.flush()


def deactivate(session: Session, user: User) -> None:
    """Close the door; what the user did stays."""
    _keep_an_administrator(session, user)
    user.is_active = False
    signing_in.end_all(session, user.id)
    session.flush()


def activate(session: Session, user: User) -> None:
    user.is_active = True
    session.flush()


def _keep_an_administrator(session: Session, user: User) -> None:
    others = sa.select(User.id).where(User.role == "administrator", User.is_active, User.id != user.id)
    if user.role == "administrator" and user.is_active and session.scalar(others.limit(1)) is None:
        raise BadUser("role", "This is the only administrator; make somebody else one first.")


def _address(email: str) -> str:
    try:
        return validate_email(email.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise BadUser("email", f"{email.strip()!r} is not a mail address: {error}") from error


def _check(name: str, role: str, zone: str) -> None:
    if not name.strip():
        raise BadUser("name", "Give the person a name.")
    if len(name) > 200 or any(ord(letter) < 32 for letter in name):
        raise BadUser("name", "Write the name on one line of at most 200 characters.")
    if role not in ROLES:
        raise BadUser("role", f"Choose one of the roles {', '.join(ROLES)}.")
    if not zones.is_known(zone):
        raise BadUser("zone", f"{zone!r} is not a time zone; choose one from the list.")
