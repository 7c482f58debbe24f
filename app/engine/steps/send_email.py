"""Send a mail to each lead, unless consent, suppression or the mail itself forbids; the outcome is journalled."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.batch import Batch, rows
from app.engine.steptype import Port, StepType
from app.kinds import Settings, Widget
from app.mail import queueing
from app.outbox import Message
from app.segments.ruletype import Names


class SendEmail(Settings):
    mail: Annotated[str, Field(min_length=1, max_length=200), Widget("Mail", "mail")]


def describe(settings: SendEmail, names: Names) -> str:
    return names.get(("mail", settings.mail), settings.mail)


def run(batch: Batch, settings: SendEmail) -> None:
    queueing.queue_for(batch.session, batch.here, mail_key=settings.mail, at=batch.now)
    not_sent = (
        sa.select(Message.enrollment_id)
        .where(
            Message.enrollment_id == rows.c.enrollment_id, Message.visit == rows.c.visit, Message.state == "not_sent"
        )
        .correlate(rows)
    )
    reason = (
        sa.select(db.json_object("note", "not sent", "seen", db.json_object("reason", Message.reason)))
        .where(Message.enrollment_id == rows.c.enrollment_id, Message.visit == rows.c.visit)
        .correlate(rows)
        .scalar_subquery()
    )
    batch.leave("not_sent", where=not_sent.exists(), why=reason)
    batch.leave()


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
    help="Marketing mail goes only to leads who agreed to its topic. Draw the path “Not sent” to treat the others apart.",
)
