"""Create the tables of scoring."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "score_models",
        sa.Column("id", Key, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("rules", Json, nullable=False),
        sa.Column("thresholds", Json, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_models")),
    )
    op.create_table(
        "score_entries",
        sa.Column("id", Key, nullable=False),
        sa.Column("lead_id", Key, nullable=False),
        sa.Column("dimension", sa.String(length=40), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("rule_key", sa.String(length=200), nullable=True),
        sa.Column("event_id", Key, nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lead_id"], ["leads.id"], name=op.f("fk_score_entries_lead_id_leads"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score_entries")),
        sa.UniqueConstraint("event_id", "rule_key", name=op.f("uq_score_entries_event_id_rule_key")),
    )
    op.create_index(op.f("ix_score_entries_lead_id_at"), "score_entries", ["lead_id", "at"], unique=False)


def downgrade() -> None:
    op.drop_table("score_entries")
    op.drop_table("score_models")
