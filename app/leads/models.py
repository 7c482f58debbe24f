"""The people and companies Trellis knows, with the fields, tags and notes kept about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base, Id, Kind, Name, Ref

STAGES = ("subscriber", "lead", "mql", "sql", "opportunity", "customer")
STAGE_LABELS = {
    "subscriber": "Subscriber",
    "lead": "Lead",
    "mql": "Marketing qualified",
    "sql": "Sales qualified",
    "opportunity": "Opportunity",
    "customer": "Customer",
}


def _casefolded_name(context: Any) -> str:
    return str(context.get_current_parameters()["name"]).casefold()


class Company(Base):
    __tablename__ = "companies"

    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(index=True)
    name_key: Mapped[Name] = mapped_column(index=True, default=_casefolded_name)  # how an import finds it again
    domain: Mapped[Name | None] = mapped_column(unique=True)
    industry: Mapped[Name] = mapped_column(default="")
    employees_count: Mapped[int | None]
    country: Mapped[Kind] = mapped_column(default="")  # ISO 3166 alpha-2
    owner_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime]


class Lead(Base):
    """A person we may talk to. Its id is the id of its own identity in the event log.

    Living leads have neither `merged_into_id` nor `erased_at`. `stage`, scores and grades are written by scoring alone.
    """

    __tablename__ = "leads"
    __table_args__ = (
        sa.Index(None, "created_at", "id"),
        sa.Index(None, "score", "id"),
        sa.Index(
            "ix_leads_seen", sa.text("coalesce(last_seen_at, 0)"), "id"
        ),  # as the list sorts: never seen is oldest
        sa.Index(None, "stage", "id"),
        sa.Index(None, "last_name", "id"),
        sa.Index(None, "search_text"),  # scanned instead of the table, which is five times as wide
        # partial: nearly all leads are unmerged, and SQLite would drive every query by "IS NULL" through a full index
        sa.Index(
            "ix_leads_merged_into_id",
            "merged_into_id",
            sqlite_where=sa.text("merged_into_id IS NOT NULL"),
            postgresql_where=sa.text("merged_into_id IS NOT NULL"),
        ),
    )

    id: Mapped[Ref] = mapped_column(sa.ForeignKey("identities.id"), primary_key=True, autoincrement=False)
    email: Mapped[str | None] = mapped_column(sa.String(320))  # as given
    canonical_email: Mapped[str | None] = mapped_column(sa.String(320), unique=True)  # NFC, lower, IDNA; the dedup key
    address_hash: Mapped[str | None] = mapped_column(
        sa.String(64), index=True
    )  # signing.address_hash; joins suppressions
    first_name: Mapped[Name] = mapped_column(default="")
    last_name: Mapped[Name] = mapped_column(default="")
    job_title: Mapped[Name] = mapped_column(default="")
    phone: Mapped[Name] = mapped_column(default="")
    company_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("companies.id", ondelete="SET NULL"), index=True)
    company_name: Mapped[Name] = mapped_column(default="")
    country: Mapped[Kind] = mapped_column(default="")  # ISO 3166 alpha-2
    city: Mapped[Name] = mapped_column(default="")
    language: Mapped[Kind] = mapped_column(default="")
    zone: Mapped[Name | None]  # explicit
    inferred_zone: Mapped[Name | None]
    source: Mapped[Name] = mapped_column(default="")  # "Form: Pricing guide", "Import: fair.csv", "API"
    stage: Mapped[Kind] = mapped_column(default="subscriber")
    stage_at: Mapped[datetime | None]
    fit: Mapped[int] = mapped_column(default=0)  # points
    interest: Mapped[int] = mapped_column(default=0)  # points
    score: Mapped[int] = mapped_column(default=0)  # fit + interest, 0 to 100 in the default model
    fit_grade: Mapped[Kind] = mapped_column(default="D")  # A B C D
    interest_grade: Mapped[int] = mapped_column(default=4)  # 1 2 3 4
    temperature: Mapped[Kind] = mapped_column(default="cold")  # hot | warm | cold
    owner_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"), index=True)
    fields: Mapped[dict[str, Any]] = mapped_column(default=dict)  # custom, declared in lead_fields
    bucket: Mapped[int] = mapped_column(sa.SmallInteger)  # id % 64
    search_text: Mapped[str] = mapped_column(default="")  # casefolded name, address, company
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    merged_into_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("leads.id"))
    erased_at: Mapped[datetime | None]


class LeadField(Base):
    """A custom field, declared: its name in rules and merge tags, its label, its type."""

    __tablename__ = "lead_fields"

    id: Mapped[Id]
    name: Mapped[Name] = mapped_column(unique=True)  # identifier: a-z 0-9 _
    label: Mapped[Name]
    type: Mapped[Kind]  # text | number | date | choice | switch
    choices: Mapped[list[Any]] = mapped_column(default=list)
    position: Mapped[int] = mapped_column(default=0)
    is_archived: Mapped[bool] = mapped_column(default=False)


class Tag(Base):
    __tablename__ = "tags"

    id: Mapped[Id]
    key: Mapped[Name] = mapped_column(unique=True)
    name: Mapped[Name]


class LeadTag(Base):
    __tablename__ = "lead_tags"

    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[Ref] = mapped_column(sa.ForeignKey("tags.id", ondelete="CASCADE"), primary_key=True, index=True)
    at: Mapped[datetime]


class Note(Base):
    __tablename__ = "notes"

    id: Mapped[Id]
    lead_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    text: Mapped[str]
    at: Mapped[datetime]


class Import(Base):
    """One uploaded file on its way in; a cancelled or broken one keeps what it did and says where it stopped."""

    __tablename__ = "imports"

    id: Mapped[Id]
    file_name: Mapped[Name]  # as the user called it; the stored name is random
    stored_name: Mapped[Name]
    state: Mapped[Kind]  # uploaded | running | done | cancelled | failed
    mapping: Mapped[dict[str, Any]] = mapped_column(default=dict)  # column -> field
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)  # overwrite, tags, topic, consent source
    rows_count: Mapped[int] = mapped_column(default=0)
    done_count: Mapped[int] = mapped_column(default=0)
    created_count: Mapped[int] = mapped_column(default=0)
    updated_count: Mapped[int] = mapped_column(default=0)
    refused_count: Mapped[int] = mapped_column(default=0)
    repeated_count: Mapped[int] = mapped_column(default=0, server_default="0")  # rows of a lead the file had before
    error: Mapped[str] = mapped_column(default="")
    user_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]


class ImportRefusal(Base):
    __tablename__ = "import_refusals"

    import_id: Mapped[Ref] = mapped_column(sa.ForeignKey("imports.id", ondelete="CASCADE"), primary_key=True)
    row_number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[str]
    row: Mapped[list[Any]]


class Merge(Base):
    """Two leads that turned out to be one; undoable because nothing was deleted (SEMANTICS 27)."""

    __tablename__ = "merges"

    id: Mapped[Id]
    survivor_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id"), index=True)
    merged_id: Mapped[Ref] = mapped_column(sa.ForeignKey("leads.id"), index=True)
    user_id: Mapped[Ref | None] = mapped_column(sa.ForeignKey("users.id", ondelete="SET NULL"))
    undo: Mapped[dict[str, Any]] = mapped_column(default=dict)
    at: Mapped[datetime]
    undone_at: Mapped[datetime | None]
