"""Create the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "messages",
        sa.Column("id", Key, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("enrollment_id", Key, nullable=True),
        sa.Column("visit", sa.BigInteger(), nullable=True),
        sa.Column("campaign_id", Key, nullable=True),
        sa.Column("step", sa.String(length=200), nullable=True),
        sa.Column("lead_id", Key, nullable=True),
        sa.Column("recipient", sa.String(length=320), nullable=True),
        sa.Column("mail_id", Key, nullable=True),
        sa.Column("mail_version_id", Key, nullable=True),
        sa.Column("topic_id", Key, nullable=True),
        sa.Column("inputs", Json, nullable=True),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("not_before", Instant(), nullable=False),
        sa.Column("claimed_by", sa.String(length=200), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_messages_lead_id_leads")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("enrollment_id", "visit", name=op.f("uq_messages_enrollment_id_visit")),
        sa.UniqueConstraint("key", name=op.f("uq_messages_key")),
    )
    op.create_index(
        "ix_messages_attention",
        "messages",
        ["state", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('held', 'deferred', 'failed', 'in_doubt')"),
        postgresql_where=sa.text("state IN ('held', 'deferred', 'failed', 'in_doubt')"),
    )
    op.create_index(op.f("ix_messages_campaign_id_step"), "messages", ["campaign_id", "step"], unique=False)
    op.create_index(
        "ix_messages_due",
        "messages",
        ["priority", "id"],
        unique=False,
        sqlite_where=sa.text("state IN ('ready', 'deferred')"),
        postgresql_where=sa.text("state IN ('ready', 'deferred')"),
    )
    op.create_index(op.f("ix_messages_lead_id_created_at"), "messages", ["lead_id", "created_at"], unique=False)
    op.create_index(
        "ix_messages_leased",
        "messages",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state IN ('claimed', 'in_flight')"),
        postgresql_where=sa.text("state IN ('claimed', 'in_flight')"),
    )


def downgrade() -> None:
    op.drop_table("messages")
