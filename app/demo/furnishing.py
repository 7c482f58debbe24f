"""What Nordhafen's marketers have made: fields, topics, mails, forms, a landing page, segments, the definition, campaigns."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import drafting, parts, publishing, text
from app.capture import landing
from app.capture.models import Form, LandingPage
from app.demo.people import CONTENT, SYSTEMS, load
from app.demo.staff import Staff
from app.engine.models import Campaign
from app.leads import fields
from app.mail.models import Mail, MailVersion
from app.preferences.models import Topic
from app.sales import defining
from app.scoring import model, seeding
from app.segments.models import Segment

FLOWS = ("pricing-guide-nurture", "welcome", "win-back")
UNFINISHED = "trade-fair"
TRIGGERING = ("silent-90-days",)
READY = {
    "all": [
        {"rule": "score", "dimension": "total", "op": "at_least", "value": 50},
        {"rule": "score", "dimension": "interest", "op": "at_least", "value": 30},
    ]
}
PAGE = landing.Content(
    title="What does a calm Monday cost?",
    intro="Nordhafen gives every truck a slot and every driver a message. The pricing guide says what that costs for a site like yours: four pages, three plans, no sales call.",
    points=[
        "Prices per dock and month, with every discount we give",
        "What three companies really pay, with three, nine and forty docks",
        "The two questions that decide which plan you need",
    ],
    quote="The first quiet Monday felt wrong. I walked out to check that the gate was open.",
    quote_by="Maria Keller, Head of Operations, Hafen Logistik",
)


def furnish(session: Session, *, at: datetime) -> None:
    """Everything that was there before the first lead."""
    fields.declare(session, label="Trucks on a busy day", kind="number", name="fleet_size")
    fields.declare(session, label="Plans docks with", kind="choice", name="current_system", choices=SYSTEMS)
    fields.declare(session, label="Contract ends", kind="date", name="contract_ends")
    fields.declare(session, label="Night shift", kind="switch", name="runs_night_shift")
    row = seeding.ensure(session, at=at)
    model.change(session, row, rules=row.rules, thresholds={"stages": {"lead": 24, "mql": 50}}, name=row.name, at=at)
    defining.agree(session, name="Ready for sales", rule=READY, answer_within_minutes=240, at=at)
    session.execute(sa.delete(Topic))  # what a new copy begins with
    parts.bring(session, load("house.yaml"), at=at)
    _date(session, at)
    form = session.scalars(sa.select(Form).where(Form.key == "pricing-guide")).one()
    page = landing.create(session, name="Pricing guide", at=at, form=form)
    landing.change(session, page, name="Pricing guide", slug="pricing-guide", content=PAGE, form_id=form.id, at=at)
    landing.publish(session, page, at=at)


def _date(session: Session, at: datetime) -> None:
    """Mails did not all come into being on one morning."""
    for place, mail in enumerate(session.scalars(sa.select(Mail).order_by(Mail.id))):
        mail.updated_at = at + timedelta(days=17 * place, hours=place)
        session.execute(sa.update(MailVersion).where(MailVersion.mail_id == mail.id).values(created_at=mail.updated_at))


def group(session: Session, *, only: tuple[str, ...] = (), at: datetime) -> None:
    """The segments, or only those the campaigns start from: each costs every tick of the year a little."""
    given = [s for s in load("segments.yaml")["segments"] if not only or s["key"] in only]
    parts.bring(session, {"segments": given}, at=at)


def launch(session: Session, staff: Staff, *, at: datetime) -> dict[str, Campaign]:
    """The campaigns go live; the first of them in its first version, in which sales had twice the time."""
    live: dict[str, Campaign] = {}
    for name in FLOWS:
        campaign = _draft(session, name, staff, at=at - timedelta(days=4))
        if name == FLOWS[0]:
            _replace(session, campaign, _with(_flow(session, campaign), "s6", answer_within_hours=8), staff, at=at)
        publishing.publish(session, campaign.id, user_id=staff.marketer.id, at=at)
        live[campaign.key] = campaign
    return live


def improve(session: Session, staff: Staff, *, at: datetime) -> None:
    """The second version of the first campaign: sales promises to answer within four hours."""
    campaign = session.scalars(sa.select(Campaign).where(Campaign.key == FLOWS[0])).one()
    _replace(session, campaign, _with(_flow(session, campaign), "s6", answer_within_hours=4), staff, at=at)
    publishing.publish(session, campaign.id, user_id=staff.marketer.id, at=at)


def keep_drawing(session: Session, staff: Staff, *, at: datetime) -> None:
    """What is on the desk now: a live campaign with a changed draft, and one that is not finished."""
    campaign = session.scalars(sa.select(Campaign).where(Campaign.key == "welcome")).one()
    changed = _with(_flow(session, campaign), "s3", amount=2)
    _replace(session, campaign, _with(changed, "s7", patience=10), staff, at=at)
    _draft(session, UNFINISHED, staff, at=at)


def _draft(session: Session, name: str, staff: Staff, *, at: datetime) -> Campaign:
    read = text.read((CONTENT / f"{name}.yaml").read_bytes())
    return text.create(session, read, user_id=staff.marketer.id, at=at)


def _flow(session: Session, campaign: Campaign) -> dict[str, Any]:
    return copy.deepcopy(drafting.get(session, campaign.id).flow)


def _with(flow: dict[str, Any], step: str, **settings: Any) -> dict[str, Any]:
    next(s for s in flow["steps"] if s["id"] == step)["settings"].update(settings)
    return flow


def _replace(session: Session, campaign: Campaign, flow: dict[str, Any], staff: Staff, *, at: datetime) -> None:
    drafting.replace(session, campaign.id, flow, user_id=staff.marketer.id, at=at)


def counts(session: Session) -> dict[str, int]:
    """How much there is of what marketers make."""
    made = {"mails": Mail, "forms": Form, "landing_pages": LandingPage, "segments": Segment, "campaigns": Campaign}
    return {name: session.scalar(sa.select(sa.func.count()).select_from(model)) or 0 for name, model in made.items()}
