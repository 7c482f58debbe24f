"""The table of all that leaves the building; its unique key makes twice = once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref

# ready -> claimed -> in_flight -> sent | deferred | failed | in_doubt; before that: held, cancelled, not_sent (with reason)
STATES = ("held", "ready", "claimed", "in_flight", "sent", "deferred", "failed", "in_doubt", "cancelled", "not_sent")
NOT_SENT_REASONS = {
    "no_address": "the lead has no mail address",
    "no_consent": "the lead has not agreed to this topic",
    "unsubscribed": "the lead has unsubscribed",
    "suppressed": "the address bounced, complained or was erased",
    "paused_by_lead": "the lead asked for a rest from mail",
    "frequency_cap": "the lead had enough mail for now",
    "stale": "the mail waited too long to be of use",
    "campaign_paused": "the campaign is paused",
    "goal_met": "the lead reached the goal first",
    "duplicate": "the lead had this mail already",
    "no_version": "the mail has never been published",
    "bad_template": "a merge tag in the mail could not be filled",
}


class Message(Base):
    """One mail owed to one lead, by one visit of a flow or by something else that names it with a key."""

    __tablename__ = "messages"
    __table_args__ = (
        sa.UniqueConstraint("enrollment_id", "visit"),
        sa.Index(
            "ix_messages_due",
            "priority",
            "not_before",
            "id",
            sqlite_where=sa.text("state IN ('ready', 'deferred')"),
            postgresql_where=sa.text("state IN ('ready', 'deferred')"),
        ),
        sa.Index(
            "ix_messages_leased",
            "lease_until",
            sqlite_where=sa.text("state IN ('claimed', 'in_flight')"),
            postgresql_where=sa.text("state IN ('claimed', 'in_flight')"),
        ),
        # what a person looks at, and what a pause holds: few rows beside the many that are done
        sa.Index(
            "ix_messages_attention",
            "state",
            "id",
            sqlite_where=sa.text("state IN ('held', 'deferred', 'failed', 'in_doubt')"),
            postgresql_where=sa.text("state IN ('held', 'deferred', 'failed', 'in_doubt')"),
        ),
        # what waits for an hour or for a slot, by when to look again
        sa.Index(
            "ix_messages_held",
            "reason",
            "not_before",
            sqlite_where=sa.text("state = 'held'"),
            postgresql_where=sa.text("state = 'held'"),
        ),
        sa.Index(None, "lead_id", "created_at"),
        sa.Index(None, "campaign_id", "step"),
    )

    id: Mapped[Id]
    kind: Mapped[Kind] = mapped_column(default="mail")
    purpose: Mapped[Kind] = mapped_column(default="marketing")  # marketing: at most once; operational: at least once
    priority: Mapped[int] = mapped_column(
        sa.SmallInteger, default=5
    )  # lower leaves first: operational 0, else the campaign's
    state: Mapped[Kind] = mapped_column(default="ready")
    reason: Mapped[Name | None]  # of not_sent, failed, cancelled, held
    key: Mapped[Name | None] = mapped_column(unique=True)  # idempotency of mail that no visit owes
    enrollment_id: Mapped[Ref | None]
    visit: Mapped[int | None]
    campaign_id: Mapped[Ref | None]
    step: Mapped[Name | None]
    lead_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("leads.id"))  # None: mail to a user or a tester
    recipient: Mapped[str | None] = mapped_column(sa.String(320))  # when it is not the lead's own address
    mail_id: Mapped[Ref | None]
    mail_version_id: Mapped[Ref | None]
    topic_id: Mapped[Ref | None]
    inputs: Mapped[dict[str, Any] | None]  # merge values or a whole subject/html/text, frozen before the first try
    bucket: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    created_at: Mapped[datetime]
    not_before: Mapped[datetime]
    expires_at: Mapped[datetime | None]  # from then on it is stale
    over_cap: Mapped[Kind | None]  # hold | skip: what to do when the lead had enough mail
    any_hour: Mapped[bool] = mapped_column(default=False, server_default=sa.false())  # its campaign ignores quiet hours
    winner_id: Mapped[Ref | None]  # the message that took the slot it wanted
    claimed_by: Mapped[Name | None]
    lease_until: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(sa.SmallInteger, default=0)
    finished_at: Mapped[datetime | None]
    reply: Mapped[str | None]  # what the receiving server said
