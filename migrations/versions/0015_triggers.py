"""What triggers remember: how far they have looked in time, how many they let in each day, and who waits for the next."""

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Key

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trigger_states",
        sa.Column("campaign_id", Key, nullable=False),
        sa.Column("trigger", sa.String(200), nullable=False),
        sa.Column("looked_until", Instant(), nullable=True),
        sa.Column("day", sa.String(40), nullable=False),
        sa.Column("entered_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "trigger", name=op.f("pk_trigger_states")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_trigger_states_campaign_id_campaigns"), ondelete="CASCADE"
        ),
    )
    op.create_table(
        "waiting",
        sa.Column("id", Key, primary_key=True),
        sa.Column("campaign_id", Key, nullable=False),
        sa.Column("trigger", sa.String(200), nullable=False),
        sa.Column("lead_id", Key, nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("occasion", sa.String(80), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.UniqueConstraint(
            "campaign_id", "trigger", "lead_id", "key", name=op.f("uq_waiting_campaign_id_trigger_lead_id_key")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_waiting_campaign_id_campaigns"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_waiting_lead_id_leads")),
    )
    op.create_index(op.f("ix_waiting_lead_id"), "waiting", ["lead_id"])


def downgrade() -> None:
    op.drop_table("waiting")
    op.drop_table("trigger_states")
