"""Lets in whoever has not opened a mail, or not clicked in it, so long after it was sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field

from app import clock, db
from app.engine.spans import Span
from app.engine.triggertype import TriggerType
from app.kinds import Settings, Widget
from app.segments.ruletype import Names, name_of
from app.tracking.queries import lead_events

DID_NOT = (("opened", "did not open it"), ("clicked", "did not click in it"))
UNITS = (("hours", "hours"), ("days", "days"))
_AT_MOST_EVERY = timedelta(minutes=1)


class MailIgnored(Settings):
    mail: Annotated[str, Field(min_length=1), Widget("Mail", "mail")]
    did_not: Annotated[str, Field(pattern="^(opened|clicked)$"), Widget("The lead", "choice", choices=DID_NOT)] = (
        "opened"
    )
    amount: Annotated[int, Field(ge=1, le=1000), Widget("Within", "number")] = 3
    unit: Annotated[str, Field(pattern="^(hours|days)$"), Widget("Unit", "choice", choices=UNITS)] = "days"


def describe(settings: MailIgnored, names: Names) -> str:
    verb = "Does not open" if settings.did_not == "opened" else "Does not click in"
    unit = settings.unit.removesuffix("s") if settings.amount == 1 else settings.unit
    return f"{verb} {name_of(names, 'mail', settings.mail)} within {settings.amount} {unit}"


def due(settings: MailIgnored, span: Span) -> sa.Select[Any] | None:
    if span.until - span.after < _AT_MOST_EVERY:
        return None
    sent = lead_events().where(db.table("events").c.kind == "email_sent", _subject() == settings.mail).subquery("sent")
    if settings.unit == "hours":
        return _sent(settings, span, sent, span.after, span.until)
    (after, until), apart = span.days_before(settings.amount)
    if apart is None:
        return _sent(settings, span, sent, after, until)
    # where the clocks have changed since then, so many days are an hour longer or shorter
    leads = db.table("leads")
    lives = sa.and_(leads.c.id == sent.c.lead_id, apart.c.zone == span.zone_of(leads))

    def there(usual: datetime, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        own = sa.select(column).select_from(apart, leads).where(lives).correlate(sent).scalar_subquery()
        return sa.func.coalesce(own, sa.literal(usual, db.Instant()))

    from_, to = there(after, apart.c.after), there(until, apart.c.until)
    day = timedelta(days=1)
    return _sent(settings, span, sent, from_, to).where(sent.c.at > after - day, sent.c.at <= until + day)


def _subject() -> sa.ColumnElement[str]:
    return db.table("events").c.subject


def _sent(settings: MailIgnored, span: Span, sent: sa.Subquery, after: Any, until: Any) -> sa.Select[Any]:
    length = timedelta(**{settings.unit: settings.amount})
    at = db.shifted(sent.c.at, length)
    found = sa.select(sent.c.lead_id, at.label("at"), sa.cast(sent.c.id, sa.Text).label("occasion"))
    found = found.where(sent.c.at > after, sent.c.at <= until, ~_answered(settings, sent, at).exists())
    return span.only(found, sent.c.lead_id)


def _answered(settings: MailIgnored, sent: sa.FromClause, until: Any) -> sa.Select[Any]:
    """An answer in time, by a person: the event's own time decides."""
    events = lead_events().subquery("answers")
    kinds = ["email_clicked"] if settings.did_not == "clicked" else ["email_opened", "email_clicked"]
    same = sa.or_(events.c.message_id == sent.c.message_id, sent.c.message_id.is_(None))
    return (
        sa.select(events.c.id)
        .where(events.c.lead_id == sent.c.lead_id, events.c.kind.in_(kinds), events.c.subject == settings.mail, same)
        .where(events.c.agent != "machine", events.c.at >= sent.c.at, events.c.at <= until)
        .correlate(sent)
    )


def already(settings: MailIgnored) -> sa.Select[Any]:
    now = clock.now()
    found = due(settings, Span(db.EPOCH + timedelta(days=2000), now, "UTC"))
    assert found is not None
    return sa.select(found.subquery().c.lead_id)


TRIGGER = TriggerType(
    label="Mail not opened",
    icon="mail-off",
    category="Time",
    settings=MailIgnored,
    example={"mail": "welcome", "did_not": "opened", "amount": 3, "unit": "days"},
    describe=describe,
    due=due,
    already=already,
    keys=lambda settings: [("mail", settings.mail)],
    help="Asked once for each mail that was sent. Many people’s opens stay unseen; clicks are surer.",
)
