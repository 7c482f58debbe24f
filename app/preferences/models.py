"""What each person agreed to hear about, and every address that must never be mailed again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref


class Topic(Base):
    """A subject people may choose to hear about; marketing mail always belongs to one."""

    __tablename__ = "topics"

    id: Mapped[Id]
    key: Mapped[Name] = mapped_column(unique=True)
    name: Mapped[Name]
    description: Mapped[str] = mapped_column(default="")
    is_public: Mapped[bool] = mapped_column(default=True)  # shown on the preference page
    position: Mapped[int] = mapped_column(default=0)


class Consent(Base):
    """One record of consent given or withdrawn; append-only, with its proof."""

    __tablename__ = "consents"

    id: Mapped[Id]
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id", ondelete="CASCADE"), index=True)
    topic_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("topics.id"))  # None: all mail
    state: Mapped[Kind]  # given | pending | withdrawn
    source: Mapped[Name]  # "Form: Pricing guide", "Import: fair.csv", "One-click unsubscribe"
    wording: Mapped[str] = mapped_column(default="")
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)  # address, browser, form, confirmed_at
    at: Mapped[datetime]


class Subscription(Base):
    """Where a lead stands with a topic now: the newest consent, as one row to join."""

    __tablename__ = "subscriptions"

    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id", ondelete="CASCADE"), primary_key=True)
    topic_id: Mapped[Ref] = mapped_column(sa.ForeignKey("topics.id"), primary_key=True, index=True)
    state: Mapped[Kind]  # given | pending | withdrawn
    at: Mapped[datetime]


class OptOut(Base):
    """A lead that wants no marketing mail at all."""

    __tablename__ = "opt_outs"

    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id", ondelete="CASCADE"), primary_key=True)
    reason: Mapped[Name] = mapped_column(default="")
    at: Mapped[datetime]


class MailPause(Base):
    """A lead that wants a rest until a date."""

    __tablename__ = "mail_pauses"

    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id", ondelete="CASCADE"), primary_key=True)
    until_at: Mapped[datetime]


class Suppression(Base):
    """An address that must not be mailed; kept as a keyed hash so that erasure and re-import cannot undo it."""

    __tablename__ = "suppressions"

    address_hash: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    reason: Mapped[Kind]  # bounce | complaint | erased | manual
    detail: Mapped[str] = mapped_column(default="")
    at: Mapped[datetime]


class FrequencyCap(Base):
    """At most so much marketing mail to one lead in a time; of one topic, or of all together (SEMANTICS 20)."""

    __tablename__ = "frequency_caps"

    id: Mapped[Id]
    topic_id: Mapped[Ref | None] = mapped_column(
        sa.ForeignKey("topics.id", ondelete="CASCADE")
    )  # None: all marketing mail
    most: Mapped[int]
    period: Mapped[Kind]  # days: the last so many | day | week | month: of the calendar where the lead lives
    days: Mapped[int] = mapped_column(default=1)  # of a cap over the last so many days
    created_at: Mapped[datetime]


class SendingWindow(Base):
    """Hours in which marketing mail may leave, as the lead's clock shows them; outside all of them it is quiet (SEMANTICS 21)."""

    __tablename__ = "sending_windows"

    id: Mapped[Id]
    weekdays: Mapped[list[Any]]  # 0 is Monday
    opens: Mapped[int]  # minutes after midnight
    closes: Mapped[int]  # at or before `opens`: on the next day
    created_at: Mapped[datetime]
