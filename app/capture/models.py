"""Forms and landing pages, the submissions people sent, and the confirmations they still owe."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref


class Form(Base):
    __tablename__ = "forms"

    id: Mapped[Id]
    key: Mapped[Name] = mapped_column(unique=True)
    public_id: Mapped[Kind] = mapped_column(unique=True)  # random; the address of the hosted form
    name: Mapped[Name]
    fields: Mapped[list[Any]]  # [{"name", "label", "type", "required", "choices", "hint"}]
    settings: Mapped[dict[str, Any]] = mapped_column(
        default=dict
    )  # button, thanks, redirect, topic, consent text, tags, opt-in
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class LandingPage(Base):
    __tablename__ = "landing_pages"

    id: Mapped[Id]
    slug: Mapped[Name] = mapped_column(unique=True)
    name: Mapped[Name]
    content: Mapped[dict[str, Any]]  # {"title", "intro", "points", "image", "quote"}
    form_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("forms.id"), index=True)
    is_published: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Submission(Base):
    __tablename__ = "submissions"
    __table_args__ = (sa.Index(None, "form_id", "at"),)

    id: Mapped[Id]
    form_id: Mapped[Ref] = mapped_column(sa.ForeignKey("forms.id"))
    landing_page_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("landing_pages.id"))
    lead_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("leads.id"), index=True)
    state: Mapped[Kind]  # accepted | pending (waits for the confirmation) | suspected (a bot)
    reason: Mapped[str] = mapped_column(default="")  # of suspected: why it looks like a bot's
    answers: Mapped[dict[str, Any]]
    consented: Mapped[bool] = mapped_column(default=False)  # the consent box was ticked
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)  # browser, network: the proof of the consent
    visitor_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("identities.id"))  # the browser it came from
    key: Mapped[Name | None] = mapped_column(unique=True)  # the same form page posted twice is one submission
    at: Mapped[datetime]


class Confirmation(Base):
    """A double opt-in on its way: single use, seven days."""

    __tablename__ = "confirmations"

    token_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    submission_id: Mapped[Ref] = mapped_column(sa.ForeignKey("submissions.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
