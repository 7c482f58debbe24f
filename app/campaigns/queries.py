"""What the pages about campaigns show: the list with its figures, who is where, versions, and one lead's campaigns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.accounts.models import User
from app.campaigns import palette
from app.campaigns.models import Draft
from app.engine import entering
from app.engine.models import Campaign, Enrollment, Version
from app.leads.models import Lead
from app.outbox import Message
from app.segments import ruling
from app.segments.ruletype import Names
from app.tracking.models import Event

STATES = ("live", "paused", "draft", "ended")
MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One campaign of the list."""

    id: int
    key: str
    name: str
    state: str
    starts_with: str
    owner: str | None
    in_flow: int
    entered: int
    sent: int
    opened: int
    handed_over: int
    converted: int
    trouble: str | None = None  # why the engine leaves it out for now

    @property
    def open_rate(self) -> str:
        return f"{100 * self.opened / self.sent:.1f}%" if self.sent else "–"


def listed(session: Session, *, state: str = "", search: str = "") -> list[Row]:
    """Campaigns by state and name with their figures, in five statements whatever their number."""
    wanted = sa.select(Campaign, User.name.label("owner"), Draft.flow, Version.flow.label("published"))
    wanted = wanted.outerjoin(User, User.id == Campaign.owner_id).outerjoin(Draft, Draft.campaign_id == Campaign.id)
    wanted = wanted.outerjoin(Version, Version.id == Campaign.version_id)
    wanted = wanted.where(Campaign.state == state if state else Campaign.state != "ended")
    if search:
        wanted = wanted.where(sa.func.lower(Campaign.name).contains(search.lower(), autoescape=True))
    order = sa.case({s: i for i, s in enumerate(STATES)}, value=Campaign.state, else_=9)
    found = session.execute(wanted.order_by(order, sa.func.lower(Campaign.name))).all()
    ids = [row.Campaign.id for row in found]
    leads, mails, handed, names = (
        _leads(session, ids),
        _mails(session, ids),
        _handed(session, ids),
        ruling.names(session),
    )
    return [_row(row, leads, mails, handed, names) for row in found]


def _row(row: Any, leads: dict[int, Any], mails: dict[int, Any], handed: dict[int, int], names: Names) -> Row:
    campaign: Campaign = row.Campaign
    of_leads, of_mails = leads.get(campaign.id), mails.get(campaign.id)
    return Row(
        campaign.id,
        campaign.key,
        campaign.name,
        campaign.state,
        starts_with(row.published or row.flow or {}, names),
        row.owner,
        in_flow=of_leads.inside if of_leads else 0,
        entered=of_leads.entered if of_leads else 0,
        sent=of_mails.sent if of_mails else 0,
        opened=of_mails.opened if of_mails else 0,
        handed_over=handed.get(campaign.id, 0),
        converted=of_leads.converted if of_leads else 0,
        trouble=campaign.trouble,
    )


def starts_with(flow: dict[str, Any], names: Names) -> str:
    """Who enters, in a few words: "Form: Pricing guide +1"."""
    triggers = flow.get("triggers") or []
    if not triggers:
        return "Nobody enters yet"
    first = triggers[0]
    title = first.get("name") or palette.look(first, names, is_trigger=True)["title"]
    more = f" +{len(triggers) - 1}" if len(triggers) > 1 else ""
    label = next((t["label"] for t in palette.triggers() if t["kind"] == first["kind"]), first["kind"])
    return f"{label}: {title}{more}"


def _leads(session: Session, ids: list[int]) -> dict[int, Any]:
    def of(state: str) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((Enrollment.state == state, 1), else_=0))

    counted = sa.select(
        Enrollment.campaign_id,
        sa.func.count().label("entered"),
        of("active").label("inside"),
        of("converted").label("converted"),
    )
    counted = counted.where(Enrollment.campaign_id.in_(ids)).group_by(Enrollment.campaign_id)
    return {row.campaign_id: row for row in session.execute(counted)}


def _mails(session: Session, ids: list[int]) -> dict[int, Any]:
    opened = sa.select(Event.id).where(
        Event.message_id == Message.id, Event.kind == "email_opened", Event.agent != "machine"
    )
    counted = sa.select(
        Message.campaign_id,
        sa.func.count().label("sent"),
        sa.func.sum(sa.case((opened.exists(), 1), else_=0)).label("opened"),
    )
    counted = counted.where(Message.campaign_id.in_(ids), Message.state == "sent").group_by(Message.campaign_id)
    return {int(row.campaign_id): row for row in session.execute(counted)}


def _handed(session: Session, ids: list[int]) -> dict[int, int]:
    handoffs = db.table("handoffs")
    counted = sa.select(handoffs.c.campaign_id, sa.func.count()).where(handoffs.c.campaign_id.in_(ids))
    return dict(session.execute(counted.group_by(handoffs.c.campaign_id)).all())


def counts(session: Session) -> dict[str, int]:
    """How many campaigns there are in each state, for the tabs."""
    return dict(session.execute(sa.select(Campaign.state, sa.func.count()).group_by(Campaign.state)).all())


# --- who is where


def called(first_name: str, last_name: str, email: str | None) -> str:
    return " ".join(part for part in (first_name, last_name) if part) or email or "Somebody without a name"


# --- versions and leads


def versions(session: Session, campaign_id: int) -> Sequence[Any]:
    """Every published version, newest first, with who published it and how many leads are still in it."""
    inside = (
        sa.select(sa.func.count())
        .where(Enrollment.version_id == Version.id, Enrollment.state == "active")
        .correlate(Version)
        .scalar_subquery()
    )
    found = sa.select(Version.id, Version.number, Version.published_at, User.name.label("by"), inside.label("inside"))
    found = found.outerjoin(User, User.id == Version.published_by).where(Version.campaign_id == campaign_id)
    return session.execute(found.order_by(Version.number.desc())).all()


def of_lead(session: Session, lead_id: int) -> Sequence[Any]:
    """The campaigns a lead is or was in, the latest first."""
    found = (
        sa.select(
            Enrollment.id,
            Enrollment.campaign_id,
            Enrollment.state,
            Enrollment.step,
            Enrollment.reason,
            Enrollment.entered_at,
            Enrollment.due_at,
            Enrollment.paused_at,
            Enrollment.finished_at,
            Campaign.name,
            Version.flow,
        )
        .join(Campaign, Campaign.id == Enrollment.campaign_id)
        .join(Version, Version.id == Enrollment.version_id)
        .where(Enrollment.lead_id == lead_id)
        .order_by(Enrollment.entered_at.desc(), Enrollment.id.desc())
        .limit(MOST_SHOWN)
    )
    return session.execute(found).all()


def passages(session: Session, campaign_id: int, lead_id: int) -> Sequence[Any]:
    """The passages of a lead through a campaign, the latest first."""
    found = sa.select(Enrollment.id, Enrollment.entered_at, Enrollment.state)
    mine = sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.lead_id == lead_id)
    return session.execute(found.where(mine).order_by(Enrollment.entered_at.desc(), Enrollment.id.desc())).all()


def others(session: Session, known: Collection[int]) -> list[tuple[int, str]]:
    """Published campaigns besides those, to ask why a lead is not in one."""
    found = sa.select(Campaign.id, Campaign.name).where(Campaign.version_id.is_not(None), Campaign.id.not_in(known))
    rows = session.execute(found.where(Campaign.state.in_(["live", "paused"])).order_by(sa.func.lower(Campaign.name)))
    return [(row.id, row.name) for row in rows]


def standing(session: Session, campaign_id: int, lead_id: int) -> Any:
    """Where a lead stands in a campaign: step, since when it is paused, and the flow it is in; None if it is not inside."""
    found = sa.select(Enrollment.step, Enrollment.paused_at, Version.flow).join(
        Version, Version.id == Enrollment.version_id
    )
    inside = sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.lead_id == lead_id, Enrollment.state == "active")
    return session.execute(found.where(inside).order_by(Enrollment.id.desc()).limit(1)).first()


def paused(session: Session, campaign_id: int) -> Sequence[Any]:
    """The leads that are paused by hand, the longest first."""
    inside = sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.state == "active")
    found = (
        sa.select(Lead.id, Lead.first_name, Lead.last_name, Lead.email, Enrollment.step, Enrollment.paused_at)
        .join(Enrollment, Enrollment.lead_id == Lead.id)
        .where(inside, Enrollment.paused_at.is_not(None))
        .order_by(Enrollment.paused_at)
        .limit(MOST_SHOWN)
    )
    return session.execute(found).all()


def attention(session: Session, campaign_id: int) -> int:
    """How many of its leads and mails wait for a person."""
    failed = sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.state == "failed")
    late = sa.and_(Message.campaign_id == campaign_id, Message.state == "held", Message.reason == "late")
    mails = session.scalar(sa.select(sa.func.count()).select_from(Message).where(late)) or 0
    return mails + (session.scalar(sa.select(sa.func.count()).select_from(Enrollment).where(failed)) or 0)


def step_choices(session: Session, flow: dict[str, Any]) -> list[tuple[str, str]]:
    """The steps of a flow to choose from, by id."""
    names = ruling.names(session)
    labels = {card["kind"]: card["label"] for card in palette.steps()}
    return [
        (
            step["id"],
            f"{labels.get(step['kind'], step['kind'])}: {step.get('name') or palette.look(step, names)['title']}",
        )
        for step in flow["steps"]
    ]


def flows(session: Session, campaign_id: int) -> list[tuple[str | int, str]]:
    """The draft and what was published, newest first, to choose from."""
    numbers = sorted((each.number for each in versions(session, campaign_id)), reverse=True)
    return [("", "The draft"), *((number, f"Version {number}") for number in numbers)]


def open_by_hand(session: Session) -> list[tuple[int, str]]:
    """Live campaigns that a lead can be added to by hand."""
    return [(row.id, row.name) for row in entering.open_by_hand(session)]
