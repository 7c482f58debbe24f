"""What the pages about forms and landing pages show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.capture.models import Form, LandingPage, Submission
from app.db import Instant
from app.leads.models import Lead
from app.tracking.models import Event

STATES = {"accepted": "Accepted", "pending": "Waiting for confirmation", "suspected": "Looks like a bot"}


@dataclass(frozen=True, slots=True)
class FormRow:
    form: Form
    accepted_count: int
    pending_count: int
    suspected_count: int
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class PageRow:
    page: LandingPage
    form_name: str
    views_count: int
    answers_count: int


def forms(session: Session) -> list[FormRow]:
    """Every form in use with what came in by it, the newest first."""
    count = sa.func.count()
    counted = (
        sa.select(
            Submission.form_id,
            count.filter(Submission.state == "accepted"),
            count.filter(Submission.state == "pending"),
            count.filter(Submission.state == "suspected"),
            sa.type_coerce(sa.func.max(Submission.at), Instant),
        )
        .group_by(Submission.form_id)
        .order_by(None)
    )
    counts = {form_id: figures for form_id, *figures in session.execute(counted)}
    used = session.scalars(sa.select(Form).where(Form.archived_at.is_(None)).order_by(Form.created_at.desc(), Form.id))
    return [FormRow(form, *counts.get(form.id, (0, 0, 0, None))) for form in used]


def counts(session: Session, form_id: int) -> dict[str, int]:
    """How many submissions of the form stand in each state."""
    found = (
        sa.select(Submission.state, sa.func.count().label("number"))
        .where(Submission.form_id == form_id)
        .group_by(Submission.state)
    )
    return {row.state: row.number for row in session.execute(found)}


def submissions(form_id: int, state: str | None) -> sa.Select[Any]:
    """The submissions of a form with the lead each became."""
    shown: tuple[Any, ...] = (Submission, Lead)
    found = sa.select(*shown).outerjoin(Lead, Lead.id == Submission.lead_id).where(Submission.form_id == form_id)
    return found.where(Submission.state == state) if state in STATES else found


def pages(session: Session) -> list[PageRow]:
    """Every landing page with its human views and the answers it brought."""
    views = (
        sa.select(sa.func.count())
        .where(
            Event.kind == "page_viewed", Event.subject == sa.literal("/l/") + LandingPage.slug, Event.agent != "machine"
        )
        .scalar_subquery()
    )
    answers = (
        sa.select(sa.func.count())
        .where(Submission.landing_page_id == LandingPage.id, Submission.state != "suspected")
        .scalar_subquery()
    )
    found = (
        sa.select(LandingPage, Form.name, views, answers)
        .outerjoin(Form, Form.id == LandingPage.form_id)
        .order_by(LandingPage.created_at.desc(), LandingPage.id)
    )
    return [PageRow(page, name or "", seen, sent) for page, name, seen, sent in session.execute(found)]


def form_choices(session: Session) -> Sequence[Form]:
    return session.scalars(sa.select(Form).where(Form.archived_at.is_(None)).order_by(Form.name)).all()


def published(session: Session, slug: str) -> LandingPage | None:
    return session.scalar(sa.select(LandingPage).where(LandingPage.slug == slug, LandingPage.is_published))


def open_form(session: Session, public_id: str) -> Form | None:
    """The form at a public address, unless it was taken offline."""
    return session.scalar(sa.select(Form).where(Form.public_id == public_id, Form.archived_at.is_(None)))
