"""Create the tables of engine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", Key, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("version_id", Key, nullable=True),
        sa.Column("owner_id", Key, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("paused_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_campaigns_owner_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("key", name=op.f("uq_campaigns_key")),
    )
    op.create_table(
        "versions",
        sa.Column("id", Key, nullable=False),
        sa.Column("campaign_id", Key, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("flow", Json, nullable=False),
        sa.Column("published_at", Instant(), nullable=False),
        sa.Column("published_by", Key, nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_versions_campaign_id_campaigns"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["published_by"], ["users.id"], name=op.f("fk_versions_published_by_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_versions")),
        sa.UniqueConstraint("campaign_id", "number", name=op.f("uq_versions_campaign_id_number")),
    )
    op.create_table(
        "enrollments",
        sa.Column("id", Key, nullable=False),
        sa.Column("lead_id", Key, nullable=False),
        sa.Column("campaign_id", Key, nullable=False),
        sa.Column("version_id", Key, nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("occasion", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("visit", sa.BigInteger(), nullable=False),
        sa.Column("entered_at", Instant(), nullable=False),
        sa.Column("arrived_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_enrollments_campaign_id_campaigns")),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_enrollments_lead_id_leads")),
        sa.ForeignKeyConstraint(["version_id"], ["versions.id"], name=op.f("fk_enrollments_version_id_versions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrollments")),
        sa.UniqueConstraint(
            "campaign_id", "lead_id", "occasion", name=op.f("uq_enrollments_campaign_id_lead_id_occasion")
        ),
    )
    op.create_index(
        "ix_enrollments_due",
        "enrollments",
        ["due_at", "id"],
        unique=False,
        sqlite_where=sa.text("state = 'active' AND due_at IS NOT NULL"),
        postgresql_where=sa.text("state = 'active' AND due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_enrollments_here",
        "enrollments",
        ["version_id", "step"],
        unique=False,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )
    op.create_index(op.f("ix_enrollments_lead_id"), "enrollments", ["lead_id"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("enrollment_id", Key, autoincrement=False, nullable=False),
        sa.Column("visit", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_id", Key, nullable=False),
        sa.Column("step", sa.String(length=200), nullable=False),
        sa.Column("port", sa.String(length=40), nullable=False),
        sa.Column("arrived_at", Instant(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("why", Json, nullable=True),
        sa.ForeignKeyConstraint(
            ["enrollment_id"], ["enrollments.id"], name=op.f("fk_decisions_enrollment_id_enrollments")
        ),
        sa.PrimaryKeyConstraint("enrollment_id", "visit", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_version_id_step_at"), "decisions", ["version_id", "step", "at"], unique=False)


def downgrade() -> None:
    op.drop_table("decisions")
    op.drop_table("enrollments")
    op.drop_table("versions")
    op.drop_table("campaigns")
