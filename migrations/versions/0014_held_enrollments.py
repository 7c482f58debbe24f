"""How long an enrollment's clock stood still, how often its step was tried, and whether it is paused by hand."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("enrollments", sa.Column("held", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("enrollments", sa.Column("tries", sa.SmallInteger(), nullable=False, server_default="0"))
    op.add_column("enrollments", sa.Column("paused_at", Instant(), nullable=True))


def downgrade() -> None:
    for name in ("paused_at", "tries", "held"):
        op.drop_column("enrollments", name)
