"""Calls to other systems that steps owe, and what came back."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "webhook_calls",
        sa.Column("id", Key, nullable=False),
        sa.Column("enrollment_id", Key, nullable=False),
        sa.Column("visit", sa.BigInteger(), nullable=False),
        sa.Column("lead_id", Key, nullable=False),
        sa.Column("campaign_id", Key, nullable=False),
        sa.Column("step", sa.String(200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.Column("keep", Json, nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("answer", Json, nullable=True),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("not_before", Instant(), nullable=False),
        sa.Column("claimed_by", sa.String(200), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_webhook_calls_lead_id_leads")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_calls")),
        sa.UniqueConstraint("enrollment_id", "visit", name=op.f("uq_webhook_calls_enrollment_id_visit")),
    )
    op.create_index(
        "ix_webhook_calls_due",
        "webhook_calls",
        ["not_before", "id"],
        sqlite_where=sa.text("state IN ('ready', 'claimed')"),
        postgresql_where=sa.text("state IN ('ready', 'claimed')"),
    )
    op.create_index(op.f("ix_webhook_calls_lead_id"), "webhook_calls", ["lead_id"])


def downgrade() -> None:
    op.drop_table("webhook_calls")
