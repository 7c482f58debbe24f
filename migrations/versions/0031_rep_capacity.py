"""How many leads a day each rep can take, for rehearsals to compare with."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reps", sa.Column("capacity", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("reps") as reps:
        reps.drop_column("capacity")
