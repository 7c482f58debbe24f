"""What waits and branches remember: whose turn at a throttle is when, and the winners of tests."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("enrollment_id", Key, nullable=False),
        sa.Column("visit", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", Key, nullable=False),
        sa.Column("step", sa.String(200), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("enrollment_id", "visit", name="pk_turns"),
    )
    op.create_index("ix_turns_campaign_id_step_at", "turns", ["campaign_id", "step", "at"])
    op.create_table(
        "winners",
        sa.Column("campaign_id", Key, nullable=False),
        sa.Column("step", sa.String(200), nullable=False),
        sa.Column("arms", sa.String(200), nullable=False),
        sa.Column("port", sa.String(40), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.Column("why", Json, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "step", "arms", name="pk_winners"),
    )


def downgrade() -> None:
    op.drop_table("winners")
    op.drop_table("turns")
