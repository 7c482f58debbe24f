"""Send a mail to each lead, unless consent, suppression, caps or the mail itself forbid; the outcome is journalled."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.batch import Batch, rows
from app.engine.steptype import Port, StepType
from app.kinds import Settings, Widget
from app.mail import queueing
from app.outbox import Message
from app.segments.ruletype import Names

OVER_CAP = (("hold", "hold it until there is room"), ("skip", "do not send it"))
AGAIN = (
    ("passage", "only in a new passage"),
    ("always", "each time it comes here"),
    ("never", "never"),
)


class SendEmail(Settings):
    mail: Annotated[str, Field(min_length=1, max_length=200), Widget("Mail", "mail")]
    over_cap: Annotated[
        Literal["hold", "skip"],
        Widget("If the lead had enough mail", "choice", hint="By the frequency caps under Settings.", choices=OVER_CAP),
    ] = "hold"
    max_age_days: Annotated[
        int, Field(ge=1, le=30), Widget("Send within", "number", hint="Later it is stale and not sent.", unit="days")
    ] = 3
    again: Annotated[
        Literal["passage", "always", "never"],
        Widget("Send again to who had it", "choice", hint="From this campaign.", choices=AGAIN),
    ] = "passage"


def describe(settings: SendEmail, names: Names) -> str:
    return names.get(("mail", settings.mail), settings.mail)


def run(batch: Batch, settings: SendEmail) -> None:
    spec = batch.version.flow.spec
    terms = queueing.Terms(
        priority=spec.priority,
        zone=spec.zone,
        over_cap=settings.over_cap,
        max_age=timedelta(days=settings.max_age_days),
        again=settings.again,
        any_hour=spec.quiet_hours == "ignore",
    )
    owed = queueing.queue_for(batch.session, batch.here, mail_key=settings.mail, at=batch.now, terms=terms)
    if owed < batch.count():
        _leave_not_sent(batch)
    batch.leave()


def _leave_not_sent(batch: Batch) -> None:
    of_visit = sa.and_(Message.enrollment_id == rows.c.enrollment_id, Message.visit == rows.c.visit)
    not_sent = sa.select(Message.enrollment_id).where(of_visit, Message.state == "not_sent").correlate(rows)
    seen = db.json_object("reason", Message.reason)
    reason = (
        sa.select(db.json_object("note", "not sent", "seen", seen)).where(of_visit).correlate(rows).scalar_subquery()
    )
    batch.leave("not_sent", where=not_sent.exists(), why=reason)


STEP = StepType(
    label="Send email",
    icon="mail",
    tone="blue",
    category="Actions",
    settings=SendEmail,
    example={"mail": "welcome"},
    describe=describe,
    run=run,
    owes=True,
    ports=lambda settings: (Port("out", "Sent"), Port("not_sent", "Not sent", optional=True)),
    keys=lambda settings: [("mail", settings.mail)],
    help="Marketing mail goes only to leads who agreed to its topic. Draw the path “Not sent” to treat the others apart; "
    "a mail that is held goes by “Sent”.",
)
