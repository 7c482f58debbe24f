"""Flows run over recorded history, and what came of it."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rehearsals",
        sa.Column("id", Key, nullable=False),
        sa.Column("campaign_id", Key, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("flow", Json, nullable=False),
        sa.Column("begins_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.Column("every", sa.BigInteger(), nullable=False),
        sa.Column("segment", sa.String(length=200), nullable=False),
        sa.Column("lens", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("progress", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("started_by", Key, nullable=True),
        sa.Column("beat_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("result", Json, nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["started_by"], ["users.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_rehearsals_campaign_id", "rehearsals", ["campaign_id"])
    op.create_table(
        "rehearsed_passages",
        sa.Column("rehearsal_id", Key, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lead_id", Key, nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("told", Json, nullable=False),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"]),
        sa.ForeignKeyConstraint(["rehearsal_id"], ["rehearsals.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("rehearsal_id", "number"),
    )
    op.create_index("ix_rehearsed_passages_lead_id", "rehearsed_passages", ["lead_id"])


def downgrade() -> None:
    op.drop_table("rehearsed_passages")
    op.drop_table("rehearsals")
