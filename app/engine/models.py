"""Campaigns as the engine knows them: published versions, the leads inside, and the journal of every decision."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref


class Campaign(Base):
    __tablename__ = "campaigns"

    id: Mapped[Id]
    key: Mapped[Name] = mapped_column(unique=True)
    name: Mapped[Name]
    description: Mapped[str] = mapped_column(default="")
    state: Mapped[Kind] = mapped_column(default="draft")  # draft | live | paused | ended
    version_id: Mapped[Ref | None]  # the published one that new leads enter
    owner_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    paused_at: Mapped[datetime | None]
    clock_runs: Mapped[bool] = mapped_column(
        default=False, server_default=sa.false()
    )  # also while it is paused (SEMANTICS 25)
    pauses: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")  # each [from, to] in microseconds
    trouble: Mapped[str | None]  # why the engine leaves it out for now
    try_again_at: Mapped[datetime | None]
    missed_from: Mapped[Ref | None]  # the first event it has not seen, since it paused or was in trouble


class Version(Base):
    """A published flow; immutable (SEMANTICS 23)."""

    __tablename__ = "versions"
    __table_args__ = (sa.UniqueConstraint("campaign_id", "number"),)

    id: Mapped[Id]
    campaign_id: Mapped[Ref] = mapped_column(sa.ForeignKey("campaigns.id", ondelete="CASCADE"))
    number: Mapped[int]
    flow: Mapped[dict[str, Any]]
    scenarios: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")  # with which it was published
    published_at: Mapped[datetime]
    published_by: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))


class Enrollment(Base):
    """One passage of one lead through one campaign; the hot table, kept narrow.

    `state` is active, completed, converted, exited, merged or failed; only an active one has a step (SEMANTICS 15).
    """

    __tablename__ = "enrollments"
    __table_args__ = (
        sa.UniqueConstraint("campaign_id", "lead_id", "occasion"),
        sa.Index(
            "ix_enrollments_due",
            "due_at",
            "id",
            sqlite_where=sa.text("state = 'active' AND due_at IS NOT NULL"),
            postgresql_where=sa.text("state = 'active' AND due_at IS NOT NULL"),
        ),
        sa.Index(
            "ix_enrollments_here",
            "version_id",
            "step",
            sqlite_where=sa.text("state = 'active'"),
            postgresql_where=sa.text("state = 'active'"),
        ),
        sa.Index(
            "ix_enrollments_failed",
            "campaign_id",
            sqlite_where=sa.text("state = 'failed'"),
            postgresql_where=sa.text("state = 'failed'"),
        ),
        sa.Index(None, "lead_id"),
    )

    id: Mapped[Id]
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id"))
    campaign_id: Mapped[Ref] = mapped_column(sa.ForeignKey("campaigns.id"))
    version_id: Mapped[Ref] = mapped_column(sa.ForeignKey("versions.id"))
    bucket: Mapped[int] = mapped_column(sa.SmallInteger)  # lead_id % 64
    occasion: Mapped[str] = mapped_column(sa.String(80))  # what let it in, once: "t1:e512" is trigger t1 on event 512
    key: Mapped[Name] = mapped_column(default="")  # an order, an opportunity: parallel passages (SEMANTICS 13)
    state: Mapped[Kind] = mapped_column(default="active")
    step: Mapped[Name]
    visit: Mapped[int] = mapped_column(default=1)  # of the step it stands at
    entered_at: Mapped[datetime]
    arrived_at: Mapped[datetime]
    due_at: Mapped[datetime | None]  # derived from arrived_at and the step; None: only an event moves it on
    held: Mapped[int] = mapped_column(
        default=0, server_default="0"
    )  # microseconds its clock stood still since it arrived (SEMANTICS 25)
    tries: Mapped[int] = mapped_column(
        sa.SmallInteger, default=0, server_default="0"
    )  # of a step that failed (SEMANTICS 16)
    paused_at: Mapped[datetime | None]  # this one lead is paused, by hand (SEMANTICS 26)
    finished_at: Mapped[datetime | None]
    reason: Mapped[Name | None]


class MergedPassage(Base):
    """What a merge did to a passage: whose it was before, and whether it ended by it, so that it can be given back."""

    __tablename__ = "merged_passages"

    id: Mapped[Id]
    enrollment_id: Mapped[Ref] = mapped_column(sa.ForeignKey("enrollments.id"), index=True)
    lead_id: Mapped[Ref]  # whose it was
    merged_id: Mapped[Ref]  # of the two records the one that is no more
    survivor_id: Mapped[Ref] = mapped_column(index=True)
    has_ended: Mapped[bool]  # it closed as merged, standing where it stands, and was due at `due_at`
    due_at: Mapped[datetime | None]
    at: Mapped[datetime]
    given_back_at: Mapped[datetime | None]


class Decision(Base):
    """The journal: by which port an enrollment left a visit, when, and why (SEMANTICS 29)."""

    __tablename__ = "decisions"
    __table_args__ = (sa.Index(None, "version_id", "step", "at"),)

    enrollment_id: Mapped[Ref] = mapped_column(sa.ForeignKey("enrollments.id"), primary_key=True, autoincrement=False)
    visit: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version_id: Mapped[Ref]
    step: Mapped[Name]
    port: Mapped[Kind]
    arrived_at: Mapped[datetime]
    at: Mapped[datetime]
    why: Mapped[dict[str, Any] | None]  # {"seen": {operand: value}, "note": "…"}


class Replay(Base):
    """A passage whose decisions were asked again from the log, and those that came out otherwise (SEMANTICS 30)."""

    __tablename__ = "replays"

    enrollment_id: Mapped[Ref] = mapped_column(sa.ForeignKey("enrollments.id"), primary_key=True, autoincrement=False)
    at: Mapped[datetime] = mapped_column(index=True)
    visits: Mapped[int]
    drift: Mapped[list[Any]]  # [{"visit", "step", "journalled", "found"}]


class Lease(Base):
    """A part of the work that one process does, until when by the database's clock; `fence` counts up at each take-over."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    holder: Mapped[Name | None]
    fence: Mapped[int] = mapped_column(default=0)
    until: Mapped[datetime]


class Worker(Base):
    """A process that says on each beat that it lives, and how its last pass went."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    duties: Mapped[Kind]
    started_at: Mapped[datetime]
    until: Mapped[datetime]  # alive until then, by the database's clock
    ticked_at: Mapped[datetime | None]
    tick_ms: Mapped[int | None]
    moved: Mapped[int] = mapped_column(default=0, server_default="0")
    sent_at: Mapped[datetime | None]
    sent: Mapped[int] = mapped_column(default=0, server_default="0")
    trouble: Mapped[str | None]  # why its last pass failed


class TriggerState(Base):
    """What a trigger of a campaign remembers: until when it has looked at the clock, and whom it let in today."""

    __tablename__ = "trigger_states"

    campaign_id: Mapped[Ref] = mapped_column(
        sa.ForeignKey("campaigns.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    trigger: Mapped[Name] = mapped_column(primary_key=True)
    looked_until: Mapped[datetime | None]  # None: from the publication on
    day: Mapped[Kind] = mapped_column(default="")  # in the campaign's zone, as 2026-03-05
    entered_count: Mapped[int] = mapped_column(default=0)  # on that day, where the trigger has a daily limit


class Waiting(Base):
    """A lead that a trigger's daily limit keeps at the door; the first of the queue comes in first."""

    __tablename__ = "waiting"
    __table_args__ = (sa.UniqueConstraint("campaign_id", "trigger", "lead_id", "key"),)

    id: Mapped[Id]
    campaign_id: Mapped[Ref] = mapped_column(sa.ForeignKey("campaigns.id", ondelete="CASCADE"))
    trigger: Mapped[Name]
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id"), index=True)
    key: Mapped[Name] = mapped_column(default="")
    key_of: Mapped[Name] = mapped_column(default="", server_default="")  # the property it is the value of
    occasion: Mapped[str] = mapped_column(sa.String(80))
    at: Mapped[datetime]  # what would have let it in


class WebhookCall(Base):
    """A call to another system that a visit owes; made apart from the tick, at least once, under the same key each time.

    `state` is ready, claimed, answered, failed, or cancelled when the lead had left before it was made.
    """

    __tablename__ = "webhook_calls"
    __table_args__ = (
        sa.UniqueConstraint("enrollment_id", "visit"),
        sa.Index(
            "ix_webhook_calls_due",
            "not_before",
            "id",
            sqlite_where=sa.text("state IN ('ready', 'claimed')"),
            postgresql_where=sa.text("state IN ('ready', 'claimed')"),
        ),
        sa.Index(None, "lead_id"),
        sa.Index(None, "finished_at"),
    )

    id: Mapped[Id]
    enrollment_id: Mapped[Ref]
    visit: Mapped[int]
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id"))
    campaign_id: Mapped[Ref]
    step: Mapped[Name]
    url: Mapped[str]
    payload: Mapped[dict[str, Any]]  # what is posted, frozen when the lead arrived
    keep: Mapped[dict[str, Any]]  # lead field -> name in the answer
    state: Mapped[Kind] = mapped_column(default="ready")
    status: Mapped[int | None] = mapped_column(sa.SmallInteger)  # of HTTP, the last time
    reason: Mapped[str | None]  # why it failed, or what of the answer could not be kept
    answer: Mapped[dict[str, Any] | None]
    attempt: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    created_at: Mapped[datetime]
    not_before: Mapped[datetime]
    claimed_by: Mapped[Name | None]
    lease_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Turn(Base):
    """When it is a visit's turn at a throttle: given on arrival, first come, first served."""

    __tablename__ = "turns"
    __table_args__ = (sa.Index(None, "campaign_id", "step", "at"),)

    enrollment_id: Mapped[Ref] = mapped_column(primary_key=True, autoincrement=False)
    visit: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    campaign_id: Mapped[Ref]
    step: Mapped[Name]
    at: Mapped[datetime]


class Winner(Base):
    """Which arm of an A/B test everybody new takes since it was decided, the same for every engine."""

    __tablename__ = "winners"

    campaign_id: Mapped[Ref] = mapped_column(primary_key=True, autoincrement=False)
    step: Mapped[Name] = mapped_column(primary_key=True)
    arms: Mapped[Name] = mapped_column(primary_key=True)  # those that competed: other arms are another test
    port: Mapped[Kind]
    decided_at: Mapped[datetime]
    why: Mapped[dict[str, Any]]  # port -> [leads, successes]
