"""Flows that run in shadow beside the live one, and what they would have done."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shadows",
        sa.Column("campaign_id", Key, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("flow", Json, nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("started_by", Key, nullable=True),
        sa.Column("ran_until", Instant(), nullable=True),
        sa.Column("all_seen_at", Instant(), nullable=True),
        sa.Column("seen_until", Key, nullable=False),
        sa.Column("seen", Json, nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("is_full", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["started_by"], ["users.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("campaign_id"),
    )
    op.create_table(
        "shadow_rows",
        sa.Column("campaign_id", Key, autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("lead_id", Key, nullable=True),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("change", Json, nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["shadows.campaign_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"]),
        sa.PrimaryKeyConstraint("campaign_id", "name", "key"),
    )
    op.create_index("ix_shadow_rows_lead_id", "shadow_rows", ["lead_id"])


def downgrade() -> None:
    op.drop_table("shadow_rows")
    op.drop_table("shadows")
