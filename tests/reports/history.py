"""A small history whose every figure is known, for the tests of the reports."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine.models import Campaign, Decision, Enrollment, Version
from app.mail.models import Mail
from app.outbox import Message
from app.sales import answering
from app.sales.handing import hand_over
from app.sales.models import Handoff
from app.tracking.recording import record
from tests.sales.salesfloor import lead, rep

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
FLOW = {
    "triggers": [{"id": "t1", "kind": "by_hand", "name": "Chosen by Ana", "settings": {}}],
    "start": "s1",
    "steps": [
        {"id": "s1", "kind": "send_email", "name": "Welcome", "settings": {"mail": "welcome"}, "next": {"out": "s2"}},
        {"id": "s2", "kind": "handoff", "name": "To sales", "settings": {}, "next": {"out": "s3"}},
        {"id": "s3", "kind": "exit", "name": "", "settings": {}, "next": {}},
    ],
}


def tell(session: Session, now: datetime) -> None:
    """Ten leads: six new in 30 days, three before, one long ago. Seven mails, four handoffs, two of them answered."""
    ages = (1, 1, 2, 5, 20, 29, 35, 40, 59, 200)
    sources = ("Fair", "Form", "Form", "=cmd()", "Fair", "Form", "Fair", "Fair", "Fair", "Fair")
    ids = [
        lead(session, at=now - a * DAY, source=s, email=f"l{i}@x.example").id
        for i, (a, s) in enumerate(zip(ages, sources, strict=True))
    ]
    for number, age in ((0, 0), (1, 1), (6, 33)):
        props = {"from": "subscriber", "to": "mql"}
        record(
            session,
            kind="stage_changed",
            identity_id=ids[number],
            subject="mql",
            at=now - age * DAY - HOUR,
            props=props,
        )
        session.execute(sa.text("UPDATE leads SET stage = 'mql' WHERE id = :id"), {"id": ids[number]})
    campaign = _campaign(session, now)
    for i, number in enumerate(ids[:8]):
        _passage(session, campaign, number, i, now - 4 * DAY)
    _handoffs(session, campaign, ids, now)
    session.flush()


def _campaign(session: Session, now: datetime) -> Campaign:
    campaign = Campaign(key="pricing", name="Pricing nurture", state="live", created_at=now - 90 * DAY, updated_at=now)
    session.add(campaign)
    session.flush()
    version = Version(campaign_id=campaign.id, number=1, flow=FLOW, published_at=now - 90 * DAY)
    session.add_all([version, Mail(key="welcome", name="Welcome", draft={}, created_at=now, updated_at=now)])
    session.flush()
    campaign.version_id = version.id
    session.flush()
    return campaign


def _passage(session: Session, campaign: Campaign, lead_id: int, i: int, at: datetime) -> None:
    """The i-th of eight: seven get the mail; 0-3 go on to sales; 0 converts; 4-6 stand at s2; 7 has no consent."""
    state = ("converted", "completed", "completed", "exited", "active", "active", "active", "completed")[i]
    passage = Enrollment(
        lead_id=lead_id,
        campaign_id=campaign.id,
        version_id=campaign.version_id,
        bucket=lead_id % 64,
        occasion=f"t1:{i}",
        state=state,
        step="s2" if state == "active" else "s3",
        visit=2 if state == "active" else 3,
        entered_at=at,
        arrived_at=at,
    )
    session.add(passage)
    session.flush()
    for visit, step in ((1, "s1"), (2, "s2"))[: 2 if i < 4 else 1]:
        session.add(
            Decision(
                enrollment_id=passage.id,
                visit=visit,
                version_id=passage.version_id,
                step=step,
                port="out",
                arrived_at=at,
                at=at,
            )
        )
    _mail(session, campaign, passage, i, at)


def _mail(session: Session, campaign: Campaign, passage: Enrollment, i: int, at: datetime) -> None:
    """Opened by 0 (twice, and by a machine), 1 (unknown) and, by machines alone, 2 and 3; clicked by 0; 1 unsubscribes."""
    message = Message(
        state="not_sent" if i == 7 else "sent",
        reason="no_consent" if i == 7 else None,
        enrollment_id=passage.id,
        visit=1,
        campaign_id=campaign.id,
        step="s1",
        lead_id=passage.lead_id,
        mail_id=session.scalars(sa.select(Mail.id)).one(),
        created_at=at,
        not_before=at,
    )
    session.add(message)
    session.flush()
    if i == 7:
        return
    seen = {0: ("human", "human", "machine"), 1: ("unknown",), 2: ("machine",), 3: ("machine",)}.get(i, ())
    acts = [("email_sent", "unknown"), *(("email_opened", agent) for agent in seen)]
    acts += [("email_clicked", "human"), ("email_clicked", "machine")] if i == 0 else []
    acts += [("consent_withdrawn", "human")] if i == 1 else []
    for n, (kind, agent) in enumerate(acts):
        record(
            session,
            kind=kind,
            identity_id=passage.lead_id,
            subject="welcome" if kind.startswith("email") else "news",
            at=at + n * timedelta(minutes=1),
            agent=agent,
            message_id=message.id,
            campaign_id=campaign.id,
        )


def _handoffs(session: Session, campaign: Campaign, ids: list[int], now: datetime) -> None:
    """Four: Ana accepts one after 30 minutes and rejects one after 5 hours; Ben's two are late, one of them escalated."""
    ana, ben = rep(session, "Ana", at=now), rep(session, "Ben", at=now)
    passages = sa.select(Enrollment.lead_id, Enrollment.id.label("enrollment_id"), Enrollment.campaign_id)
    source = (
        passages.add_columns(sa.literal(2, sa.BigInteger()).label("visit"))
        .where(Enrollment.lead_id.in_(ids[:4]))
        .subquery()
    )
    at = (now - 4 * DAY).replace(hour=9, minute=0)
    hand_over(session, source, route="round_robin", answer_within_minutes=240, at=at)
    mine = list(session.scalars(sa.select(Handoff.id).where(Handoff.owner_id == ana.id).order_by(Handoff.id)))
    answering.accept(session, mine[0], ana.id, at=at + timedelta(minutes=30))
    answering.reject(session, mine[1], ana.id, reason="No budget: says the CFO", at=at + 5 * HOUR)
    session.execute(
        sa.update(Handoff).where(Handoff.owner_id == ben.id, Handoff.lead_id == ids[1]).values(escalated_at=now)
    )
