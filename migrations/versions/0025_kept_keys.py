"""Of whom a daily limit keeps waiting: which property the key is the value of, as a new version may part by another."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("waiting", sa.Column("key_of", sa.String(length=200), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("waiting", "key_of")
