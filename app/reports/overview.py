"""The overview: what came in, what became ready, what sales did with it, and how the running campaigns do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.campaigns import queries as campaigns
from app.engine.models import Campaign, Enrollment, Version
from app.leads.models import Lead
from app.outbox import Message
from app.reports.mails import reactions
from app.reports.periods import Period
from app.reports.tables import Column, Table, share
from app.sales import defining
from app.sales.models import Handoff
from app.segments import ruling
from app.tracking.models import Event

MOST_CAMPAIGNS = 12
RUNNING = (
    Column("campaign", "Campaign", "text"),
    Column("starts_with", "Who enters", "text"),
    Column("state", "State", "text"),
    Column("in_flow", "In flow"),
    Column("open_rate", "Open rate", "share"),
    Column("handed_over", "Handed over"),
    Column("owner", "Owner", "text"),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure, its value in the period before, and its course."""

    now: float | None
    before: float | None
    course: Sequence[float]

    @property
    def change(self) -> float | None:
        """How much more than before, as a share of it."""
        return None if self.now is None or not self.before else (self.now - self.before) / self.before


@dataclass(frozen=True, slots=True)
class Running:
    """One running campaign of the table."""

    key: str
    id: int
    name: str
    starts_with: str
    state: str
    in_flow: int
    open_rate: float | None
    handed_over: int
    owner: str | None


@dataclass(frozen=True, slots=True)
class Overview:
    new_leads: Figure
    qualified: Figure
    accepted: Figure
    reply_minutes: Figure
    in_time: float | None
    answer_within_minutes: int
    answered_count: int
    lines: list[dict[str, Any]]
    funnel: list[tuple[str, int]]
    running: list[Running]

    @property
    def table(self) -> Table:
        """The running campaigns as a table, for the CSV file."""
        rows = [[r.name, r.starts_with, r.state, r.in_flow, r.open_rate, r.handed_over, r.owner] for r in self.running]
        return Table("running", "Running campaigns", RUNNING, rows)


def overview(session: Session, period: Period, now: datetime) -> Overview:
    """Everything on the page, in a constant number of statements."""
    created = new_leads(session, period)
    stages = reached(session, period)
    answers = _answers(session, period, now)
    new, qualified = _figure(period, created), _figure(period, stages["mql"])
    accepted = _figure(period, stages["sql"])
    return Overview(
        new_leads=new,
        qualified=qualified,
        accepted=_share(period, answers, "accepted", "answered"),
        reply_minutes=_share(period, answers, "reply_minutes", "replied"),
        in_time=share(_total(answers, "in_time"), _total(answers, "owed")),
        answer_within_minutes=defining.answer_within(session),
        answered_count=int(_total(answers, "answered")),
        lines=[
            {"label": "New", "tone": "indigo", "values": list(new.course)},
            {"label": "Marketing qualified", "tone": "purple", "values": list(qualified.course)},
            {"label": "Sales qualified", "tone": "orange", "values": list(accepted.course)},
        ],
        funnel=[
            ("Known", known_count(session)),
            ("New leads", int(new.now or 0)),
            ("Qualified", int(qualified.now or 0)),
            ("Accepted", int(accepted.now or 0)),
            ("Won", sum(period.split(stages["customer"])[0])),
        ],
        running=_running(session, period),
    )


def known_count(session: Session) -> int:
    """About how many leads there are: an index is counted, those merged or erased included."""
    return session.scalar(sa.select(sa.func.count()).select_from(Lead)) or 0


def new_leads(session: Session, period: Period) -> dict[int, int]:
    """Leads by the step of their creation; an index alone answers, so those merged later are counted too."""
    bucket = period.bucket(Lead.created_at).label("bucket")
    counted = sa.select(bucket, sa.func.count()).where(period.within_both(Lead.created_at)).group_by(bucket)
    return {int(number): count for number, count in session.execute(counted)}


def reached(session: Session, period: Period) -> dict[str, dict[int, int]]:
    """How often each stage was reached, by step; an index alone answers."""
    bucket = period.bucket(Event.at).label("bucket")
    counted = (
        sa.select(Event.subject, bucket, sa.func.count())
        .where(Event.kind == "stage_changed", Event.subject.in_(("lead", "mql", "sql", "opportunity", "customer")))
        .where(period.within_both(Event.at))
        .group_by(Event.subject, bucket)
    )
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for stage, number, count in session.execute(counted):
        found[stage][int(number)] = count
    return found


def _answers(session: Session, period: Period, now: datetime) -> dict[int, Mapping[str, Any]]:
    """Handoffs by the step they were made in: what was answered, how, and how soon."""
    bucket = period.bucket(Handoff.created_at).label("bucket")
    answered = Handoff.answered_at.is_not(None)
    counted = sa.select(
        bucket,
        count_if(answered).label("answered"),
        count_if(Handoff.state == "accepted").label("accepted"),
        count_if(sa.or_(answered, Handoff.due_at < now)).label("owed"),
        count_if(Handoff.answered_at <= Handoff.due_at).label("in_time"),
        sa.func.coalesce(sa.func.sum(Handoff.reply_minutes), 0).label("reply_minutes"),
        sa.func.count(Handoff.reply_minutes).label("replied"),
    )
    rows = session.execute(counted.where(period.within_both(Handoff.created_at)).group_by(bucket))
    return {int(row.bucket): dict(row._mapping) for row in rows}


def count_if(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((condition, 1)))


def _figure(period: Period, counts: dict[int, int]) -> Figure:
    course, before = period.split(counts)
    return Figure(sum(course), before, course)


def _share(period: Period, answers: dict[int, Mapping[str, Any]], part: str, of: str) -> Figure:
    """A rate over the period; its course leaves out days on which nothing could be counted."""
    course = [share(float(a[part]), float(a[of])) for i, a in sorted(answers.items()) if i >= 0]
    return Figure(
        share(_total(answers, part), _total(answers, of)),
        share(_total(answers, part, earlier=True), _total(answers, of, earlier=True)),
        [value for value in course if value is not None],
    )


def _total(answers: dict[int, Mapping[str, Any]], name: str, *, earlier: bool = False) -> float:
    return float(sum(row[name] for number, row in answers.items() if (number < 0) == earlier))


def _running(session: Session, period: Period) -> list[Running]:
    found = session.execute(
        sa.select(Campaign, Version.flow, User.name.label("owner"))
        .outerjoin(Version, Version.id == Campaign.version_id)
        .outerjoin(User, User.id == Campaign.owner_id)
        .where(Campaign.state.in_(("live", "paused")))
        .order_by(Campaign.state, sa.func.lower(Campaign.name), Campaign.id)
        .limit(MOST_CAMPAIGNS)
    ).all()
    ids = [row.Campaign.id for row in found]
    inside, handed, names = _inside(session), _handed(session, ids, period), ruling.names(session)
    mails = reactions(
        session, Message.campaign_id, sa.and_(Message.campaign_id.in_(ids), period.within(Message.created_at))
    )
    return [
        Running(
            key=row.Campaign.key,
            id=row.Campaign.id,
            name=row.Campaign.name,
            starts_with=campaigns.starts_with(row.flow or {}, names),
            state=row.Campaign.state,
            in_flow=inside.get(row.Campaign.id, 0),
            open_rate=_open_rate(mails.get(row.Campaign.id)),
            handed_over=handed.get(row.Campaign.id, 0),
            owner=row.owner,
        )
        for row in found
    ]


def _open_rate(counts: dict[str, int] | None) -> float | None:
    return share(counts["opened"], counts["sent"]) if counts else None


def _inside(session: Session) -> dict[int, int]:
    """Leads inside, by campaign: the small index of who is where is counted by version."""
    here = (
        sa.select(Enrollment.version_id, sa.func.count().label("count"))
        .where(Enrollment.state == "active")
        .group_by(Enrollment.version_id)
        .subquery()
    )
    counted = sa.select(Version.campaign_id, sa.func.sum(here.c.count)).join(here, here.c.version_id == Version.id)
    return {int(number): int(count) for number, count in session.execute(counted.group_by(Version.campaign_id))}


def _handed(session: Session, ids: list[int], period: Period) -> dict[int, int]:
    counted = sa.select(Handoff.campaign_id, sa.func.count()).where(
        Handoff.campaign_id.in_(ids), period.within(Handoff.created_at)
    )
    return {int(number or 0): count for number, count in session.execute(counted.group_by(Handoff.campaign_id))}
