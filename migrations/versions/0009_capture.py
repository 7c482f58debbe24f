"""Create the tables of capture."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forms",
        sa.Column("id", Key, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.Column("settings", Json, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("archived_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forms")),
        sa.UniqueConstraint("key", name=op.f("uq_forms_key")),
        sa.UniqueConstraint("public_id", name=op.f("uq_forms_public_id")),
    )
    op.create_table(
        "landing_pages",
        sa.Column("id", Key, nullable=False),
        sa.Column("slug", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("content", Json, nullable=False),
        sa.Column("form_id", Key, nullable=True),
        sa.Column("is_published", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["form_id"], ["forms.id"], name=op.f("fk_landing_pages_form_id_forms")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_landing_pages")),
        sa.UniqueConstraint("slug", name=op.f("uq_landing_pages_slug")),
    )
    op.create_index(op.f("ix_landing_pages_form_id"), "landing_pages", ["form_id"], unique=False)
    op.create_table(
        "submissions",
        sa.Column("id", Key, nullable=False),
        sa.Column("form_id", Key, nullable=False),
        sa.Column("landing_page_id", Key, nullable=True),
        sa.Column("lead_id", Key, nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("answers", Json, nullable=False),
        sa.Column("consented", sa.Boolean(), nullable=False),
        sa.Column("evidence", Json, nullable=False),
        sa.Column("visitor_id", Key, nullable=True),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["form_id"], ["forms.id"], name=op.f("fk_submissions_form_id_forms")),
        sa.ForeignKeyConstraint(
            ["landing_page_id"], ["landing_pages.id"], name=op.f("fk_submissions_landing_page_id_landing_pages")
        ),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_submissions_lead_id_leads")),
        sa.ForeignKeyConstraint(["visitor_id"], ["identities.id"], name=op.f("fk_submissions_visitor_id_identities")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_submissions")),
        sa.UniqueConstraint("key", name=op.f("uq_submissions_key")),
    )
    op.create_index(op.f("ix_submissions_form_id_at"), "submissions", ["form_id", "at"], unique=False)
    op.create_index(op.f("ix_submissions_lead_id"), "submissions", ["lead_id"], unique=False)
    op.create_table(
        "confirmations",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("submission_id", Key, nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("used_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(
            ["submission_id"],
            ["submissions.id"],
            name=op.f("fk_confirmations_submission_id_submissions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_confirmations")),
    )
    op.create_index(op.f("ix_confirmations_submission_id"), "confirmations", ["submission_id"], unique=False)


def downgrade() -> None:
    op.drop_table("confirmations")
    op.drop_table("submissions")
    op.drop_table("landing_pages")
    op.drop_table("forms")
