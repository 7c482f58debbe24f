"""Create the tables of tracking."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("id", Key, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("token", sa.String(length=200), nullable=True),
        sa.Column("lead_id", Key, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("token", name=op.f("uq_identities_token")),
    )
    op.create_index(op.f("ix_identities_lead_id"), "identities", ["lead_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", Key, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=False),
        sa.Column("identity_id", Key, nullable=False),
        sa.Column("agent", sa.String(length=40), nullable=False),
        sa.Column("props", Json, nullable=False),
        sa.Column("evidence", Json, nullable=True),
        sa.Column("message_id", Key, nullable=True),
        sa.Column("campaign_id", Key, nullable=True),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("is_new", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["identity_id"], ["identities.id"], name=op.f("fk_events_identity_id_identities")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("key", name=op.f("uq_events_key")),
    )
    op.create_index(op.f("ix_events_identity_id_at"), "events", ["identity_id", "at"], unique=False)
    op.create_index(op.f("ix_events_kind_subject_at"), "events", ["kind", "subject", "at"], unique=False)
    op.create_index(op.f("ix_events_message_id"), "events", ["message_id"], unique=False)
    op.create_index(
        "ix_events_new",
        "events",
        ["id"],
        unique=False,
        sqlite_where=sa.text("is_new"),
        postgresql_where=sa.text("is_new"),
    )


def downgrade() -> None:
    op.drop_table("events")
    op.drop_table("identities")
