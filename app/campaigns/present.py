"""Who is at a step of a campaign now, who came there, and who went which way: how many, and the latest of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from app.campaigns.periods import ALL, Period
from app.campaigns.queries import called
from app.db import Instant
from app.engine.models import Decision, Enrollment, Version
from app.leads.models import Lead

MOST_SHOWN = 50
MOST_COUNTED = 1_000  # of more it is said that they are more; the cards have counted them
Chosen = sa.Select[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Present:
    """One lead at a step, or on a path."""

    lead_id: int
    enrollment_id: int
    name: str
    email: str | None
    score: int
    since: Any
    until: Any
    state: str
    is_paused: bool


def people(
    session: Session,
    campaign_id: int,
    step: str,
    *,
    scope: str,
    port: str = "",
    is_trigger: bool = False,
    period: Period = ALL,
) -> tuple[int, Sequence[Present]]:
    """How many leads are here, or came here or left by a port in the time, up to a limit; and the latest of them."""
    versions = session.scalars(sa.select(Version.id).where(Version.campaign_id == campaign_id)).all()
    if is_trigger:
        parts = [_let_in(campaign_id, step, period)]
    elif scope == "here":
        parts = [_here(version, step) for version in versions]
    else:
        parts = [_passed(version, step, port if scope == "left" else "", period) for version in versions]
        parts += [_here(version, step, period) for version in versions] if scope == "entered" else []
    total = sum(_counted(session, part) for part in parts)
    # many are told as the index gives them: to sort a hundred thousand by their time takes longer than a page may
    order = _first if scope == "here" and total > MOST_COUNTED else _next if scope == "here" else _latest
    newest = [part.order_by(order(part)).limit(MOST_SHOWN).subquery() for part in parts]
    if not newest:
        return 0, []
    chosen = sa.union_all(*(sa.select(part) for part in newest)).subquery()
    columns = (Lead.first_name, Lead.last_name, Lead.email, Lead.score, Enrollment.state, Enrollment.paused_at)
    rows = session.execute(
        sa.select(*columns, Lead.id, chosen.c.enrollment_id, chosen.c.since, chosen.c.until)
        .join_from(chosen, Enrollment, Enrollment.id == chosen.c.enrollment_id)
        .join(Lead, Lead.id == Enrollment.lead_id)
        .order_by(chosen.c.until.asc() if scope == "here" else chosen.c.since.desc(), Lead.id)
        .limit(MOST_SHOWN)
    )
    return min(total, MOST_COUNTED + 1), [_present(row) for row in rows]


def _present(row: Any) -> Present:
    name = called(row.first_name, row.last_name, row.email)
    who = (row.id, row.enrollment_id, name, row.email, row.score)
    return Present(*who, row.since, row.until, row.state, row.paused_at is not None)


def _counted(session: Session, part: Chosen) -> int:
    some = part.order_by(None).limit(MOST_COUNTED + 1).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def _first(part: Chosen) -> sa.ColumnElement[Any]:
    return part.selected_columns.enrollment_id.asc()


def _next(part: Chosen) -> sa.ColumnElement[Any]:
    return part.selected_columns.until.asc()


def _latest(part: Chosen) -> sa.ColumnElement[Any]:
    return part.selected_columns.since.desc()


def _here(version_id: int, step: str, period: Period = ALL) -> Chosen:
    """By the index over those inside, one version at a time, so that it gives them in the order in which they entered."""
    columns = (Enrollment.id.label("enrollment_id"), Enrollment.arrived_at.label("since"))
    here = sa.and_(Enrollment.version_id == version_id, Enrollment.step == step, Enrollment.state == "active")
    return sa.select(*columns, Enrollment.due_at.label("until")).where(here, period.holds(Enrollment.arrived_at))


def _passed(version_id: int, step: str, port: str, period: Period) -> Chosen:
    """One version at a time, so that the journal's index gives the latest first."""
    columns = (Decision.enrollment_id, Decision.at.label("since"), sa.cast(sa.null(), Instant).label("until"))
    of_it = sa.and_(Decision.version_id == version_id, Decision.step == step, period.holds(Decision.at))
    return sa.select(*columns).where(of_it, *([Decision.port == port] if port else []))


def _let_in(campaign_id: int, trigger: str, period: Period) -> Chosen:
    columns = (Enrollment.id.label("enrollment_id"), Enrollment.entered_at.label("since"), Enrollment.due_at)
    by = Enrollment.occasion.startswith(f"{trigger}:", autoescape=True)
    entered = sa.select(*columns[:2], columns[2].label("until"))
    return entered.where(Enrollment.campaign_id == campaign_id, by, period.holds(Enrollment.entered_at))


def at_step(campaign_id: int, step: str) -> sa.Select[int]:
    """The leads who stand at a step now, to act on all of them at once."""
    inside = aliased(Enrollment)
    here = sa.and_(inside.campaign_id == campaign_id, inside.step == step, inside.state == "active")
    return sa.select(inside.lead_id).where(here)
