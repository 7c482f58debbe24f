"""The event log, the spine of Trellis: everything a lead did, or had done to it, is one append-only row."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref

# kind -> what `subject` holds. Digital body language first, then what was done to the lead.
EVENT_KINDS: dict[str, str] = {
    "page_viewed": "path",
    "file_downloaded": "path",
    "time_spent": "path",  # props: seconds
    "form_submitted": "form key",
    "email_sent": "mail key",
    "email_opened": "mail key",
    "email_clicked": "mail key",  # props: url, label, position
    "email_bounced": "mail key",  # props: type hard|soft, reply
    "email_complained": "mail key",
    "email_replied": "mail key",
    "custom": "event name",
    "lead_created": "source",
    "field_changed": "field name",  # props: from, to
    "tag_added": "tag key",
    "tag_removed": "tag key",
    "note_added": "",
    "consent_given": "topic key or *",
    "consent_withdrawn": "topic key or *",
    "score_changed": "total, fit or interest",  # props: from, to, points, reason
    "grade_changed": "fit, interest or temperature",  # props: from, to
    "stage_changed": "new stage",  # props: from, to, reason
    "segment_joined": "segment key",
    "segment_left": "segment key",
    "campaign_entered": "campaign key",
    "campaign_left": "campaign key",  # props: state, reason
    "passage_paused": "campaign key",  # by hand; props: reason, by
    "passage_resumed": "campaign key",
    "passage_moved": "campaign key",  # props: reason, by, step
    "passage_removed": "campaign key",
    "goal_reached": "campaign key",
    "campaign_requested": "campaign key",  # somebody asked, by hand, file or API, that the lead enter
    "campaign_exit_requested": "campaign key",  # another campaign asked that the lead leave; props: reason
    "handoff_created": "route",
    "handoff_accepted": "route",
    "handoff_rejected": "route",  # props: reason
    "handoff_recycled": "route",  # props: reason, come_back_at
    "handoff_reopened": "route",  # the answer was taken back
    "lead_came_back": "route",  # the come-back date of a recycled lead has arrived
    "task_done": "title",
    "merged": "",
    "unmerged": "",  # props: lead
}

# What a person does, as far as we can see it: these say when a lead was last seen.
BODY_LANGUAGE = (
    "page_viewed",
    "file_downloaded",
    "time_spent",
    "form_submitted",
    "email_opened",
    "email_clicked",
    "email_replied",
    "custom",
)


class Identity(Base):
    """One trace of a person: a lead's own, or a browser's. Which lead it belongs to is a mapping that may change.

    A lead's own identity has the lead's id. Events name an identity and are never rewritten; joining a visitor, merging
    and unmerging change `lead_id` here alone (SEMANTICS: words).
    """

    __tablename__ = "identities"

    id: Mapped[Id]
    kind: Mapped[Kind]  # lead | visitor
    token: Mapped[Name | None] = mapped_column(unique=True)  # a visitor's cookie, random
    lead_id: Mapped[Ref | None] = mapped_column(index=True)
    created_at: Mapped[datetime]


class Event(Base):
    """One fact. `at` is when it happened, `recorded_at` when we learnt of it."""

    __tablename__ = "events"
    __table_args__ = (
        sa.Index(None, "identity_id", "at"),
        sa.Index(None, "kind", "subject", "at"),
        # ids commit out of order, so the tick looks for a mark on each event, not for a high-water id
        sa.Index("ix_events_new", "id", sqlite_where=sa.text("is_new"), postgresql_where=sa.text("is_new")),
    )

    id: Mapped[Id]
    at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    kind: Mapped[Kind]
    subject: Mapped[str] = mapped_column(sa.String(500), default="")
    identity_id: Mapped[Ref] = mapped_column(sa.ForeignKey("identities.id"))
    agent: Mapped[Kind] = mapped_column(default="unknown")  # human | machine | unknown
    props: Mapped[dict[str, Any]] = mapped_column(default=dict)
    evidence: Mapped[dict[str, Any] | None] = mapped_column(
        default=None
    )  # browser, address, delay: what agent derives from
    message_id: Mapped[Ref | None] = mapped_column(index=True, default=None)
    campaign_id: Mapped[Ref | None] = mapped_column(default=None)
    key: Mapped[Name | None] = mapped_column(unique=True, default=None)  # the same key is recorded once
    is_new: Mapped[bool] = mapped_column(default=True)  # not yet observed by a tick
