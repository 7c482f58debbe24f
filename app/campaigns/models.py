"""The draft of each campaign: what marketers draw, saved as they draw it, apart from what is published."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref


class Draft(Base):
    __tablename__ = "drafts"

    campaign_id: Mapped[Ref] = mapped_column(sa.ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True)
    flow: Mapped[dict[str, Any]]
    revision: Mapped[int] = mapped_column(default=1)  # an edit names the revision it saw; another one is a conflict
    updated_at: Mapped[datetime]
    updated_by: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))


class Move(Base):
    """One publication over leads who were inside, and what there was before, so that it can be undone (SEMANTICS 23)."""

    __tablename__ = "moves"

    id: Mapped[Id]
    campaign_id: Mapped[Ref] = mapped_column(sa.ForeignKey("campaigns.id", ondelete="CASCADE"), index=True)
    version_id: Mapped[Ref] = mapped_column(sa.ForeignKey("versions.id", ondelete="CASCADE"))
    before_id: Mapped[Ref] = mapped_column(sa.ForeignKey("versions.id", ondelete="CASCADE"))
    moved_count: Mapped[int]
    user_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    at: Mapped[datetime]
    undone_at: Mapped[datetime | None]


class Moved(Base):
    """One passage as it stood before a publication moved it."""

    __tablename__ = "moved"

    move_id: Mapped[Ref] = mapped_column(
        sa.ForeignKey("moves.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    enrollment_id: Mapped[Ref] = mapped_column(
        sa.ForeignKey("enrollments.id"), primary_key=True, autoincrement=False, index=True
    )
    fate: Mapped[Kind]  # stays | retimed | goes | exits
    version_id: Mapped[Ref]
    step: Mapped[Name]
    visit: Mapped[int]
    arrived_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    held: Mapped[int]
    tries: Mapped[int] = mapped_column(sa.SmallInteger)
    paused_at: Mapped[datetime | None]


class KeptMail(Base):
    """One unsent mail of a passage that a publication moved, as it stood before: a new exit or goal may withdraw it."""

    __tablename__ = "kept_mails"

    move_id: Mapped[Ref] = mapped_column(
        sa.ForeignKey("moves.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    message_id: Mapped[Ref] = mapped_column(
        sa.ForeignKey("messages.id"), primary_key=True, autoincrement=False, index=True
    )
    state: Mapped[Kind]
    reason: Mapped[Name | None]
