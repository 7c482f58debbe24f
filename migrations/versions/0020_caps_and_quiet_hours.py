"""How much mail a lead may get, and when."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "frequency_caps",
        sa.Column("id", Key, nullable=False),
        sa.Column("topic_id", Key, nullable=True),
        sa.Column("most", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.String(40), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["topic_id"], ["topics.id"], name=op.f("fk_frequency_caps_topic_id_topics"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_frequency_caps")),
    )
    op.create_table(
        "sending_windows",
        sa.Column("id", Key, nullable=False),
        sa.Column("weekdays", Json, nullable=False),
        sa.Column("opens", sa.BigInteger(), nullable=False),
        sa.Column("closes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sending_windows")),
    )
    op.add_column("messages", sa.Column("expires_at", Instant(), nullable=True))
    op.add_column("messages", sa.Column("over_cap", sa.String(40), nullable=True))
    op.add_column("messages", sa.Column("any_hour", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("messages", sa.Column("winner_id", Key, nullable=True))
    held = sa.text("state = 'held'")
    op.create_index("ix_messages_held", "messages", ["reason", "not_before"], sqlite_where=held, postgresql_where=held)


def downgrade() -> None:
    op.drop_index("ix_messages_held", table_name="messages")
    for name in ("winner_id", "any_hour", "over_cap", "expires_at"):
        op.drop_column("messages", name)
    op.drop_table("sending_windows")
    op.drop_table("frequency_caps")
