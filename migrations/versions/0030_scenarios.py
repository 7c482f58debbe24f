"""Keeps the scenarios of a flow with its draft and its versions, and what a draft was before it was replaced as a whole."""

import sqlalchemy as sa
from alembic import op

from app.db import Json

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("drafts", sa.Column("scenarios", Json, nullable=False, server_default="[]"))
    op.add_column("drafts", sa.Column("replaced", Json, nullable=True))
    op.add_column("versions", sa.Column("scenarios", Json, nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("versions") as versions:
        versions.drop_column("scenarios")
    with op.batch_alter_table("drafts") as drafts:
        drafts.drop_column("replaced")
        drafts.drop_column("scenarios")
