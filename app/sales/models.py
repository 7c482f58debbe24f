"""What sales gets: leads that meet the agreed definition, with an owner, a clock, a task and the story."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref


class Definition(Base):
    """What marketing and sales agreed to call ready for sales (one is current)."""

    __tablename__ = "definitions"

    id: Mapped[Id]
    name: Mapped[Name]
    rule: Mapped[dict[str, Any]]
    answer_within_minutes: Mapped[int] = mapped_column(default=240)
    is_current: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class Rep(Base):
    """A user who takes leads."""

    __tablename__ = "reps"

    user_id: Mapped[Ref] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    team: Mapped[Name] = mapped_column(default="")
    weight: Mapped[int] = mapped_column(default=1)  # deserved share of a round robin
    given_count: Mapped[int] = mapped_column(default=0)  # by round robin, and let pass while absent: no flood on return
    absent_until: Mapped[datetime | None]
    capacity: Mapped[int | None] = mapped_column(
        sa.SmallInteger
    )  # leads a day, as rehearsals see it; nobody is passed over


class Handoff(Base):
    __tablename__ = "handoffs"
    __table_args__ = (
        sa.UniqueConstraint("enrollment_id", "visit"),
        sa.Index(None, "owner_id", "state", "due_at"),
        sa.Index(None, "state", "due_at"),
        sa.Index(None, "created_at"),
        sa.Index(None, "campaign_id", "created_at"),
    )

    id: Mapped[Id]
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id"), index=True)
    enrollment_id: Mapped[Ref | None]
    visit: Mapped[int | None]
    campaign_id: Mapped[Ref | None]
    route: Mapped[Name]  # round_robin | lead_owner | account_owner | person: how it really found its owner
    owner_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    state: Mapped[Kind]  # open | accepted | rejected | recycled
    reason: Mapped[str] = mapped_column(default="")
    story: Mapped[dict[str, Any] | None]  # what made it ready, frozen when the alert is written
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    reply_minutes: Mapped[int | None]  # working minutes of the owner until the answer
    escalated_at: Mapped[datetime | None]
    come_back_at: Mapped[datetime | None] = mapped_column(index=True)
    came_back_at: Mapped[datetime | None]
    is_alerted: Mapped[bool] = mapped_column(default=False)


class Task(Base):
    __tablename__ = "tasks"
    __table_args__ = (sa.UniqueConstraint("enrollment_id", "visit"), sa.Index(None, "owner_id", "done_at", "due_at"))

    id: Mapped[Id]
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id"), index=True)
    owner_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    handoff_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("handoffs.id", ondelete="SET NULL"), index=True)
    enrollment_id: Mapped[Ref | None]
    visit: Mapped[int | None]
    title: Mapped[Name]
    note: Mapped[str] = mapped_column(default="")
    due_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    outcome: Mapped[Name] = mapped_column(default="")
    created_at: Mapped[datetime]


class Alert(Base):
    """Something a user should know now; shown in the page head, mailed by the sender when it is marked so."""

    __tablename__ = "alerts"
    __table_args__ = (sa.UniqueConstraint("enrollment_id", "visit", "user_id"), sa.Index(None, "user_id", "read_at"))

    id: Mapped[Id]
    user_id: Mapped[Ref] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    lead_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("leads.id"), index=True)
    enrollment_id: Mapped[Ref | None]
    visit: Mapped[int | None]
    text: Mapped[str]
    is_mailed: Mapped[bool] = mapped_column(default=False)  # a mail about it is in the outbox
    wants_mail: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime]
    read_at: Mapped[datetime | None]
