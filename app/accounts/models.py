"""Who may sign in, what they may do, whose product this copy is, and who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref

ROLES = ("administrator", "marketer", "sales", "viewer")


class User(Base):
    __tablename__ = "users"

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(sa.String(320), unique=True)  # canonical
    name: Mapped[Name]
    role: Mapped[Kind]
    password_hash: Mapped[str]
    zone: Mapped[Name] = mapped_column(default="UTC")
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]


class SignIn(Base):
    """One browser's server-side session; the cookie carries a random token of which only the hash is kept."""

    __tablename__ = "sign_ins"

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[Ref] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    address: Mapped[Name]
    browser: Mapped[str]


class ApiToken(Base):
    __tablename__ = "api_tokens"

    id: Mapped[Id]
    user_id: Mapped[Ref] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[Name]
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class Attempt(Base):
    """One try at something that is rate-limited: a sign-in, a public form, a token."""

    __tablename__ = "attempts"
    __table_args__ = (sa.Index(None, "scope", "subject", "at"),)

    id: Mapped[Id]
    scope: Mapped[Kind]
    subject: Mapped[str] = mapped_column(sa.String(320))
    at: Mapped[datetime]


class Organisation(Base):
    """Whose product this is (one row, id 1): the sender's name, the postal address the law asks for, the default zone."""

    __tablename__ = "organisations"

    id: Mapped[Id]
    name: Mapped[Name]
    postal_address: Mapped[str] = mapped_column(default="")
    from_name: Mapped[Name] = mapped_column(default="")
    from_email: Mapped[str] = mapped_column(sa.String(320), default="")
    reply_to: Mapped[str] = mapped_column(sa.String(320), default="")
    website: Mapped[str] = mapped_column(default="")
    zone: Mapped[Name] = mapped_column(default="UTC")
    accent: Mapped[Kind] = mapped_column(default="#4f46e5")
    late_hours: Mapped[int] = mapped_column(
        default=24, server_default="24"
    )  # mail that a stop made later than that waits for a person; a daily rhythm of ticks makes nobody late


class Audit(Base):
    """One thing a person changed; append-only."""

    __tablename__ = "audits"
    __table_args__ = (sa.Index(None, "subject_kind", "subject_id"),)

    id: Mapped[Id]
    at: Mapped[datetime] = mapped_column(index=True)
    user_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"), index=True)
    action: Mapped[Name]  # "published campaign"
    subject_kind: Mapped[Kind]
    subject_id: Mapped[Name]
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
