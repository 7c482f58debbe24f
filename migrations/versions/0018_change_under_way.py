"""What a new version or a merge did to the leads inside, so that it can be undone; whether a pause stops the clock."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Key

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("clock_runs", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "moves",
        sa.Column("id", Key, nullable=False),
        sa.Column("campaign_id", Key, nullable=False),
        sa.Column("version_id", Key, nullable=False),
        sa.Column("before_id", Key, nullable=False),
        sa.Column("moved_count", sa.BigInteger(), nullable=False),
        sa.Column("user_id", Key, nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["before_id"], ["versions.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_moves_campaign_id", "moves", ["campaign_id"])
    op.create_table(
        "moved",
        sa.Column("move_id", Key, autoincrement=False, nullable=False),
        sa.Column("enrollment_id", Key, autoincrement=False, nullable=False),
        sa.Column("fate", sa.String(length=40), nullable=False),
        sa.Column("version_id", Key, nullable=False),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("visit", sa.BigInteger(), nullable=False),
        sa.Column("arrived_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(["move_id"], ["moves.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"]),
        sa.PrimaryKeyConstraint("move_id", "enrollment_id"),
    )
    op.create_index("ix_moved_enrollment_id", "moved", ["enrollment_id"])
    op.create_table(
        "merged_passages",
        sa.Column("id", Key, nullable=False),
        sa.Column("enrollment_id", Key, nullable=False),
        sa.Column("lead_id", Key, nullable=False),
        sa.Column("merged_id", Key, nullable=False),
        sa.Column("survivor_id", Key, nullable=False),
        sa.Column("has_ended", sa.Boolean(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("given_back_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_merged_passages_enrollment_id", "merged_passages", ["enrollment_id"])
    op.create_index("ix_merged_passages_survivor_id", "merged_passages", ["survivor_id"])


def downgrade() -> None:
    for name in ("merged_passages", "moved", "moves"):
        op.drop_table(name)
    op.drop_column("campaigns", "clock_runs")
