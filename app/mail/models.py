"""The mails marketers write: a draft of blocks, and immutable versions compiled once and merged for each recipient."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref


class Mail(Base):
    __tablename__ = "mails"

    id: Mapped[Id]
    key: Mapped[Name] = mapped_column(unique=True)
    name: Mapped[Name]
    purpose: Mapped[Kind] = mapped_column(default="marketing")  # marketing | operational
    topic_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("topics.id"))
    draft: Mapped[dict[str, Any]]  # {"subject", "preheader", "blocks": [{"kind", …}]}
    version_id: Mapped[Ref | None]  # the current one; None: never published
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


class MailVersion(Base):
    """What is really sent: compiled HTML with merge tags, its text part, its numbered links. Never changed."""

    __tablename__ = "mail_versions"
    __table_args__ = (sa.UniqueConstraint("mail_id", "number"),)

    id: Mapped[Id]
    mail_id: Mapped[Ref] = mapped_column(sa.ForeignKey("mails.id", ondelete="CASCADE"))
    number: Mapped[int]
    subject: Mapped[str]
    preheader: Mapped[str] = mapped_column(default="")
    blocks: Mapped[list[Any]]
    html: Mapped[str]
    text: Mapped[str]
    links: Mapped[list[Any]]  # [{"url", "label"}], numbered from 0 by place
    created_at: Mapped[datetime]


class Sending(Base):
    """One row for the whole organisation: whether mail may leave at all."""

    __tablename__ = "sending"

    id: Mapped[int] = mapped_column(sa.SmallInteger, primary_key=True, autoincrement=False)
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[Name | None]
