"""What sales did with what it got: by rep, by reason, and whether the promise to answer was kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.reports.overview import count_if
from app.reports.periods import Period
from app.reports.tables import Column, Table, share
from app.sales.models import Handoff

REP = (
    Column("rep", "Person", "text"),
    Column("given", "Given"),
    Column("accepted", "Accepted"),
    Column("rejected", "Rejected"),
    Column("recycled", "Sent back"),
    Column("waiting", "Waiting"),
    Column("overdue", "Late now"),
    Column("escalated", "Escalated"),
    Column("in_time_rate", "In time", "share", "of those answered or due by now"),
    Column("reply_minutes", "First reply", "minutes", "average, in working time"),
)
REASON = (
    Column("reason", "Reason", "text"),
    Column("rejected", "Rejected"),
    Column("recycled", "Sent back"),
    Column("total", "Together"),
)


@dataclass(frozen=True, slots=True)
class Report:
    reps: Table
    reasons: Table
    total: dict[str, float | None]


def report(session: Session, period: Period, now: datetime) -> Report:
    """Handoffs made in these days, in two statements."""
    answered = Handoff.answered_at.is_not(None)
    state = Handoff.state
    counted = (
        sa.select(
            sa.func.coalesce(sa.func.max(User.name), "Nobody").label("name"),
            sa.func.count().label("given"),
            count_if(state == "accepted").label("accepted"),
            count_if(state == "rejected").label("rejected"),
            count_if(state == "recycled").label("recycled"),
            count_if(state == "open").label("waiting"),
            count_if(sa.and_(state == "open", Handoff.due_at < now)).label("overdue"),
            count_if(Handoff.escalated_at.is_not(None)).label("escalated"),
            count_if(Handoff.answered_at <= Handoff.due_at).label("in_time"),
            count_if(sa.or_(answered, Handoff.due_at < now)).label("owed"),
            sa.func.coalesce(sa.func.sum(Handoff.reply_minutes), 0).label("minutes"),
            sa.func.count(Handoff.reply_minutes).label("replied"),
        )
        .outerjoin(User, User.id == Handoff.owner_id)
        .where(period.within(Handoff.created_at))
        .group_by(Handoff.owner_id)
    )
    found = sorted(session.execute(counted).all(), key=lambda row: (-row.given, row.name))
    rows = [
        [
            row.name,
            row.given,
            row.accepted,
            row.rejected,
            row.recycled,
            row.waiting,
            row.overdue,
            row.escalated,
            share(row.in_time, row.owed),
            share(float(row.minutes), row.replied),
        ]
        for row in found
    ]
    given, accepted = sum(row.given for row in found), sum(row.accepted for row in found)
    answers = accepted + sum(row.rejected + row.recycled for row in found)
    total = {
        "given": given,
        "accepted_rate": share(accepted, answers),
        "in_time_rate": share(sum(row.in_time for row in found), sum(row.owed for row in found)),
        "reply_minutes": share(float(sum(row.minutes for row in found)), sum(row.replied for row in found)),
    }
    return Report(Table("reps", "By person", REP, rows), _reasons(session, period), total)


def _reasons(session: Session, period: Period) -> Table:
    """The chosen reasons; what was written beside one does not make it another."""
    counted = (
        sa.select(Handoff.reason, Handoff.state, sa.func.count())
        .where(period.within(Handoff.created_at), Handoff.state.in_(("rejected", "recycled")))
        .group_by(Handoff.reason, Handoff.state)
    )
    found: dict[str, dict[str, int]] = {}
    for reason, state, count in session.execute(counted):
        counts = found.setdefault(reason.partition(":")[0].strip() or "No reason", {"rejected": 0, "recycled": 0})
        counts[state] += count
    rows: list[list[Any]] = [
        [reason, n["rejected"], n["recycled"], n["rejected"] + n["recycled"]] for reason, n in found.items()
    ]
    rows.sort(key=lambda row: (-row[3], row[0]))
    return Table("reasons", "Why leads came back", REASON, rows, empty="Sales gave no lead back in these days.")
