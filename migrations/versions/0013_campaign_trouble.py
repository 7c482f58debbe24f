"""Campaigns that cannot run are set aside with their reason, and see later what they missed."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Key

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("trouble", sa.Text(), nullable=True))
    op.add_column("campaigns", sa.Column("try_again_at", Instant(), nullable=True))
    op.add_column("campaigns", sa.Column("missed_from", Key, nullable=True))


def downgrade() -> None:
    for name in ("missed_from", "try_again_at", "trouble"):
        op.drop_column("campaigns", name)
