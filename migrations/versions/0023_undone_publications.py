"""What else a publication undone gives back: a pause of one lead, and mail that was withdrawn."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Key

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("moved", sa.Column("paused_at", Instant(), nullable=True))
    op.create_table(
        "kept_mails",
        sa.Column("move_id", Key, autoincrement=False, nullable=False),
        sa.Column("message_id", Key, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["move_id"], ["moves.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"]),
        sa.PrimaryKeyConstraint("move_id", "message_id"),
    )
    op.create_index("ix_kept_mails_message_id", "kept_mails", ["message_id"])


def downgrade() -> None:
    op.drop_table("kept_mails")
    op.drop_column("moved", "paused_at")
