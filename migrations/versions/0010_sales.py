"""Create the tables of sales."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import Instant, Json, Key

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "definitions",
        sa.Column("id", Key, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("rule", Json, nullable=False),
        sa.Column("answer_within_minutes", sa.BigInteger(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_definitions")),
    )
    op.create_table(
        "reps",
        sa.Column("user_id", Key, nullable=False),
        sa.Column("team", sa.String(length=200), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("given_count", sa.BigInteger(), nullable=False),
        sa.Column("absent_until", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_reps_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_reps")),
    )
    op.create_table(
        "alerts",
        sa.Column("id", Key, nullable=False),
        sa.Column("user_id", Key, nullable=False),
        sa.Column("lead_id", Key, nullable=True),
        sa.Column("enrollment_id", Key, nullable=True),
        sa.Column("visit", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("is_mailed", sa.Boolean(), nullable=False),
        sa.Column("wants_mail", sa.Boolean(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("read_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_alerts_lead_id_leads")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_alerts_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("enrollment_id", "visit", "user_id", name=op.f("uq_alerts_enrollment_id_visit_user_id")),
    )
    op.create_index(op.f("ix_alerts_lead_id"), "alerts", ["lead_id"], unique=False)
    op.create_index(op.f("ix_alerts_user_id_read_at"), "alerts", ["user_id", "read_at"], unique=False)
    op.create_table(
        "handoffs",
        sa.Column("id", Key, nullable=False),
        sa.Column("lead_id", Key, nullable=False),
        sa.Column("enrollment_id", Key, nullable=True),
        sa.Column("visit", sa.BigInteger(), nullable=True),
        sa.Column("campaign_id", Key, nullable=True),
        sa.Column("route", sa.String(length=200), nullable=False),
        sa.Column("owner_id", Key, nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("story", Json, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("reply_minutes", sa.BigInteger(), nullable=True),
        sa.Column("escalated_at", Instant(), nullable=True),
        sa.Column("come_back_at", Instant(), nullable=True),
        sa.Column("came_back_at", Instant(), nullable=True),
        sa.Column("is_alerted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_handoffs_lead_id_leads")),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_handoffs_owner_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handoffs")),
        sa.UniqueConstraint("enrollment_id", "visit", name=op.f("uq_handoffs_enrollment_id_visit")),
    )
    op.create_index(op.f("ix_handoffs_campaign_id_created_at"), "handoffs", ["campaign_id", "created_at"], unique=False)
    op.create_index(op.f("ix_handoffs_created_at"), "handoffs", ["created_at"], unique=False)
    op.create_index(op.f("ix_handoffs_come_back_at"), "handoffs", ["come_back_at"], unique=False)
    op.create_index(op.f("ix_handoffs_lead_id"), "handoffs", ["lead_id"], unique=False)
    op.create_index(
        op.f("ix_handoffs_owner_id_state_due_at"), "handoffs", ["owner_id", "state", "due_at"], unique=False
    )
    op.create_index(op.f("ix_handoffs_state_due_at"), "handoffs", ["state", "due_at"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("id", Key, nullable=False),
        sa.Column("lead_id", Key, nullable=False),
        sa.Column("owner_id", Key, nullable=True),
        sa.Column("handoff_id", Key, nullable=True),
        sa.Column("enrollment_id", Key, nullable=True),
        sa.Column("visit", sa.BigInteger(), nullable=True),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("done_at", Instant(), nullable=True),
        sa.Column("outcome", sa.String(length=200), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(
            ["handoff_id"], ["handoffs.id"], name=op.f("fk_tasks_handoff_id_handoffs"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["lead_id"], ["leads.id"], name=op.f("fk_tasks_lead_id_leads")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_tasks_owner_id_users"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("enrollment_id", "visit", name=op.f("uq_tasks_enrollment_id_visit")),
    )
    op.create_index(op.f("ix_tasks_handoff_id"), "tasks", ["handoff_id"], unique=False)
    op.create_index(op.f("ix_tasks_lead_id"), "tasks", ["lead_id"], unique=False)
    op.create_index(op.f("ix_tasks_owner_id_done_at_due_at"), "tasks", ["owner_id", "done_at", "due_at"], unique=False)


def downgrade() -> None:
    op.drop_table("tasks")
    op.drop_table("handoffs")
    op.drop_table("alerts")
    op.drop_table("reps")
    op.drop_table("definitions")
