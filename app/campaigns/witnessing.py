"""Gathers from a played scenario all that may be asked about it: what happened and when, where the lead stood, how it ended."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import palette
from app.campaigns.hurrying import Hurry, current
from app.campaigns.judging import Facts, Happening, Stay
from app.campaigns.retelling import Told
from app.engine import explaining
from app.engine.catalog import STEPS
from app.engine.models import Enrollment, WebhookCall
from app.leads import fields as lead_fields
from app.leads.models import Lead, LeadTag, Tag
from app.mail.models import Mail
from app.outbox import Message
from app.sales.models import Alert, Handoff, Task
from app.segments import ruling


def gather(session: Session, hurry: Hurry, told: Told, zone: ZoneInfo) -> Facts:
    """The facts of the last passage, and of the lead as it is in the end."""
    lead = session.get_one(Lead, hurry.lead_id)
    passages = explaining.why(session, lead.id, hurry.campaign_id)
    last = passages[0] if passages else None
    decided = [line for line in last.lines if _decides(line.kind)] if last else []
    mine = sa.and_(Message.lead_id == lead.id, Message.enrollment_id.is_not(None))
    tags = sa.select(Tag.key).join(LeadTag, LeadTag.tag_id == Tag.id).where(LeadTag.lead_id == lead.id)
    return Facts(
        hurry.began,
        zone,
        told.state,
        last.finished_at if last else None,
        told.end,
        [(line.left_at, f"“{line.title}”: {line.sentence}") for line in decided if line.left_at],
        happened=sorted(_happened(session, mine), key=lambda each: each.at),
        withheld={
            seen.key: f"It was not sent: {seen.reason}"
            for stop in told.path
            for seen in stop.mails
            if seen.state != "sent"
        },
        stays=[Stay(line.step, line.arrived_at, line.left_at) for p in reversed(passages) for line in p.lines],
        titles=_titles(session, hurry.campaign_id),
        mails=frozenset(session.scalars(sa.select(Mail.key))),
        fields={**{name: getattr(lead, name, None) for name in lead_fields.CORE}, **_declared(session), **lead.fields},
        points={"score": lead.score, "fit": lead.fit, "interest": lead.interest},
        tags=frozenset(session.scalars(tags)),
        stage=lead.stage,
        is_cut=hurry.end.endswith("it would go on."),
    )


def _decides(kind: str) -> bool:
    """Whether a step of this kind is where ways part."""
    type_ = STEPS.get(kind)
    return type_ is not None and (type_.category == "Logic" or kind.startswith("wait_for_"))


def _declared(session: Session) -> dict[str, None]:
    return dict.fromkeys(lead_fields.declared(session))


def _titles(session: Session, campaign_id: int) -> dict[str, str]:
    names = ruling.names(session)
    steps = current(session, campaign_id).flow.spec.steps
    return {step.id: step.name or palette.look(step.model_dump(), names)["title"] for step in steps}


def _happened(session: Session, mine: sa.ColumnElement[bool]) -> list[Happening]:
    sent = sa.select(Mail.key, Message.finished_at).join(Mail, Mail.id == Message.mail_id)
    found = [Happening("mail", key, at) for key, at in session.execute(sent.where(mine, Message.state == "sent")) if at]
    here = sa.select(Enrollment.id)
    for kind, model, at in (
        ("handoff", Handoff, Handoff.created_at),
        ("task", Task, Task.created_at),
        ("alert", Alert, Alert.at),
    ):
        rows = session.scalars(sa.select(at).where(model.enrollment_id.in_(here)))
        found += [Happening(kind, "", when) for when in rows]
    calls = session.scalars(sa.select(WebhookCall.created_at))
    return [*found, *(Happening("call", "", at) for at in calls)]
