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
    scenarios: Mapped[list[Any]] = mapped_column(
        default=list, server_default="[]"
    )  # what the flow is to do, to test it
    replaced: Mapped[
        dict[str, Any] | None
    ]  # {"flow", "words", "revision"}: what `revision` replaced as a whole, and why


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


class Shadow(Base):
    """A flow that runs beside the live one on the same leads and events; all it does stays in `shadow_rows`."""

    __tablename__ = "shadows"

    campaign_id: Mapped[Ref] = mapped_column(
        sa.ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    number: Mapped[int | None]  # of the version; None: the draft, as it was at the start
    flow: Mapped[dict[str, Any]]
    started_at: Mapped[datetime]
    started_by: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    ran_until: Mapped[datetime | None]  # None: not yet
    all_seen_at: Mapped[datetime | None]  # when everybody inside was looked at, and not only those with something due
    seen_until: Mapped[Ref] = mapped_column(default=0)  # every event up to this one has been seen,
    seen: Mapped[list[Any]] = mapped_column(default=list)  # and these later ones, since ids commit out of order
    last_id: Mapped[int]  # of the rows it made
    is_full: Mapped[bool] = mapped_column(default=False)  # more leads would have come in than are followed
    trouble: Mapped[str | None]


class ShadowRow(Base):
    """One row of any table as the shadow would have left it; laid over the live row when the shadow goes on."""

    __tablename__ = "shadow_rows"

    campaign_id: Mapped[Ref] = mapped_column(
        sa.ForeignKey("shadows.campaign_id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    name: Mapped[Kind] = mapped_column(primary_key=True)  # of the table
    key: Mapped[Name] = mapped_column(primary_key=True)  # the primary key, as JSON
    lead_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("leads.id"), index=True)
    due_at: Mapped[datetime | None]  # when the shadow has something to do with it
    change: Mapped[dict[str, Any]]  # {"own": row} | {"changed": {column: [before, after]}} | {"gone": true}


class Rehearsal(Base):
    """A flow run over recorded history on a copy; of the copy only what came of it is kept."""

    __tablename__ = "rehearsals"

    id: Mapped[Id]
    campaign_id: Mapped[Ref] = mapped_column(sa.ForeignKey("campaigns.id", ondelete="CASCADE"), index=True)
    number: Mapped[int | None]  # of the version; None: the draft, as it was then
    flow: Mapped[dict[str, Any]]
    begins_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    every: Mapped[int]  # minutes between two ticks
    segment: Mapped[Name] = mapped_column(default="")  # "": everybody whom the triggers could let in
    lens: Mapped[Kind]  # nobody | past | recorded
    state: Mapped[Kind] = mapped_column(default="running")  # running | done | cancelled | failed
    progress: Mapped[int] = mapped_column(default=0)  # of a thousand
    error: Mapped[str] = mapped_column(default="")
    started_at: Mapped[datetime]
    started_by: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    beat_at: Mapped[datetime]  # when the process that runs it last said that it lives
    finished_at: Mapped[datetime | None]
    result: Mapped[dict[str, Any] | None] = mapped_column(
        deferred=True
    )  # half a megabyte, where a list needs none of it


class RehearsedPassage(Base):
    """The way of one lead through a rehearsal, to be opened and followed; apart, so that erasing a person removes it."""

    __tablename__ = "rehearsed_passages"

    rehearsal_id: Mapped[Ref] = mapped_column(
        sa.ForeignKey("rehearsals.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id"), index=True)
    state: Mapped[Kind]
    step: Mapped[Name]  # where it stood at the end
    route: Mapped[str]  # " s1:out s2:yes ", to find who went where
    told: Mapped[dict[str, Any]]
