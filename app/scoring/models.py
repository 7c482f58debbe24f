"""How ready a lead is: the model marketing and sales agreed on, and a ledger line for every point given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref


class ScoreModel(Base):
    """One set of rules, caps and thresholds; exactly one is active."""

    __tablename__ = "score_models"

    id: Mapped[Id]
    name: Mapped[Name]
    is_active: Mapped[bool] = mapped_column(default=False)
    rules: Mapped[list[Any]]  # [{"key", "name", "dimension": fit|interest, "points", "who" or "event", "cap"}]
    thresholds: Mapped[dict[str, Any]]  # caps of fit and interest, grade borders, temperatures, stages
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ScoreEntry(Base):
    """One line of the ledger: so many points, for this reason; never changed."""

    __tablename__ = "score_entries"
    __table_args__ = (
        sa.Index(None, "lead_id", "at"),
        sa.UniqueConstraint("event_id", "rule_key"),  # an event is scored once by a rule
    )

    id: Mapped[Id]
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id", ondelete="CASCADE"))
    dimension: Mapped[Kind]  # fit | interest
    points: Mapped[int]
    reason: Mapped[str]
    rule_key: Mapped[Name | None]
    event_id: Mapped[Ref | None]
    at: Mapped[datetime]
