"""How late mail must be, after a stop, to wait for a person."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organisations", sa.Column("late_hours", sa.BigInteger(), nullable=False, server_default="24"))


def downgrade() -> None:
    op.drop_column("organisations", "late_hours")
