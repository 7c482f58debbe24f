"""Finds mail that is due behind mail whose time comes later."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

WAITING = sa.text("state IN ('ready', 'deferred')")


def upgrade() -> None:
    op.drop_index("ix_messages_due", "messages")
    _create(["priority", "not_before", "id"])


def downgrade() -> None:
    op.drop_index("ix_messages_due", "messages")
    _create(["priority", "id"])


def _create(columns: list[str]) -> None:
    op.create_index("ix_messages_due", "messages", columns, sqlite_where=WAITING, postgresql_where=WAITING)
