"""Which passages were replayed from the log, and where the answer was another one; when each campaign stood still."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "replays",
        sa.Column("enrollment_id", Key, primary_key=True, autoincrement=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("visits", sa.BigInteger(), nullable=False),
        sa.Column("drift", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["enrollments.id"], name=op.f("fk_replays_enrollment_id_enrollments")
        ),
    )
    op.create_index(op.f("ix_replays_at"), "replays", ["at"])
    op.add_column("campaigns", sa.Column("pauses", Json, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("campaigns", "pauses")
    op.drop_table("replays")
