"""Named groups of leads, each described by one rule, with its members kept ready to join."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Name, Ref


class Segment(Base):
    __tablename__ = "segments"

    id: Mapped[Id]
    key: Mapped[Name] = mapped_column(unique=True)
    name: Mapped[Name]
    description: Mapped[str] = mapped_column(default="")
    rule: Mapped[dict[str, Any]]
    drifts: Mapped[bool] = mapped_column(default=False)  # the passing of time alone changes who matches
    members_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    refreshed_at: Mapped[datetime | None]  # None: not yet built


class SegmentMember(Base):
    __tablename__ = "segment_members"

    segment_id: Mapped[Ref] = mapped_column(sa.ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True)
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id", ondelete="CASCADE"), primary_key=True, index=True)
    joined_at: Mapped[datetime]
