"""Finds the calls that are old enough to be forgotten."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_webhook_calls_finished_at", "webhook_calls", ["finished_at"])


def downgrade() -> None:
    op.drop_index("ix_webhook_calls_finished_at", "webhook_calls")
