"""How leads react to mail that was never sent: not at all, as often as people did in the past, or as the same lead once did."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns.scratch import OURS
from app.campaigns.sidelines import answers, rates, reactions, recorded, samples
from app.db import Instant, Key, micros
from app.engine import chance
from app.mail.models import Mail
from app.outbox import Message
from app.preferences.models import Topic
from app.tracking.models import Event
from app.tracking.queries import by_people

LENSES = {
    "nobody": "Nobody reacts",
    "past": "Past rates",
    "recorded": "As recorded",
}
MESSAGES: sa.Table = Message.__table__
KINDS = ("email_opened", "email_clicked", "email_replied", "email_bounced", "consent_withdrawn")
FEWEST = 30  # mails that left, before their own rates say anything
MOST_SAMPLES = 200
ALL = 0  # in the place of a mail: all marketing mail


@dataclass(frozen=True, slots=True)
class Past:
    """What came of mail in the past: by mail (ALL: all of it) and kind, in ten thousandths, and what people did when."""

    rates: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    own: frozenset[int] = frozenset()  # mails that speak for themselves


@dataclass(frozen=True, slots=True)
class Lens:
    """How the leads of one rehearsal react."""

    name: str
    campaign_key: str
    own: frozenset[int] = frozenset()


def past(session: Session, keys: set[str]) -> Past:
    """How often people reacted to these mails, and to all marketing mail together."""
    mails = set(session.scalars(sa.select(Mail.id).where(Mail.key.in_(keys))))
    left = sa.and_(Message.state == "sent", Message.purpose == "marketing", Message.lead_id.is_not(None))
    counts = dict(
        session.execute(sa.select(Message.mail_id, sa.func.count()).where(left).group_by(Message.mail_id)).all()
    )
    own = frozenset(mail for mail in mails if counts.get(mail, 0) >= FEWEST)
    reacted = (
        sa.select(Message.mail_id, Event.kind, sa.func.count(Event.message_id.distinct()))
        .join(Message, Message.id == Event.message_id)
        .where(left, Event.kind.in_(KINDS), by_people(Event))
        .group_by(Message.mail_id, Event.kind)
    )
    found: dict[tuple[int, str], int] = defaultdict(int)
    for mail, kind, count in session.execute(reacted):
        found[ALL, kind] += count
        if mail in own:
            found[mail, kind] += count
    sent = {ALL: sum(counts.values()), **{mail: counts[mail] for mail in own}}
    told = Past(own=own)
    for (mail, kind), count in sorted(found.items()):
        listed = _samples(session, mail, kind, left)
        told.samples.extend(listed)
        row = {"mail_id": mail, "kind": kind, "rate": count * chance.PARTS // sent[mail], "samples": len(listed)}
        told.rates.append(row)
    return told


def _samples(session: Session, mail: int, kind: str, left: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    mine = left if mail == ALL else sa.and_(left, Message.mail_id == mail)
    query = sa.select(Event.props, Event.at, Message.finished_at).join(Message, Message.id == Event.message_id)
    query = query.where(mine, Event.kind == kind, by_people(Event), Event.at >= Message.finished_at)
    rows = session.execute(query.order_by(Event.id.desc()).limit(MOST_SAMPLES)).all()
    return [
        {
            "mail_id": mail,
            "kind": kind,
            "place": place,
            "props": row.props,
            "delay": micros(row.at) - micros(row.finished_at),
        }
        for place, row in enumerate(rows)
    ]


def remember(session: Session, told: Past) -> None:
    """Lay the past beside the copy."""
    for rows, listed in ((rates, told.rates), (samples, told.samples)):
        if listed:
            session.execute(sa.insert(rows), listed)


def expect(session: Session, lens: Lens, left: sa.ColumnElement[bool], now: datetime) -> None:
    """Note what the leads will do with the mails that have just left."""
    if lens.name == "recorded":
        _as_recorded(session, left, now)
    elif lens.name == "past":
        for mail in session.scalars(sa.select(MESSAGES.c.mail_id).where(left).distinct()).all():
            _as_in_the_past(session, lens, mail, left, now)


_NAMES = ["lead_id", "message_id", "campaign_id", "kind", "subject", "props", "agent", "due"]


def _at(delay: Any, now: datetime) -> Any:
    return sa.type_coerce(sa.literal(micros(now), Key) + delay, Instant)


def _as_recorded(session: Session, left: sa.ColumnElement[bool], now: datetime) -> None:
    """The same lead's recorded reaction to the same mail, after the same delay; to the second one, that to the second."""
    other, m = MESSAGES.alias("other"), MESSAGES.c
    same = sa.and_(other.c.lead_id == m.lead_id, other.c.mail_id == m.mail_id, other.c.state == "sent")
    place = sa.select(sa.func.count()).where(same, other.c.id > OURS, other.c.id <= m.id).correlate(MESSAGES)
    then = sa.and_(recorded.c.lead_id == m.lead_id, recorded.c.mail_id == m.mail_id)
    found = (
        sa.select(
            m.lead_id, m.id, m.campaign_id, answers.c.kind, answers.c.subject, answers.c.props, answers.c.agent,
            _at(answers.c.delay, now),
        )
        .select_from(MESSAGES)
        .join(recorded, sa.and_(then, recorded.c.place == place.scalar_subquery()))
        .join(answers, answers.c.message_id == recorded.c.message_id)
        .where(left)
    )  # fmt: skip
    session.execute(sa.insert(reactions).from_select(_NAMES, found))


def _as_in_the_past(session: Session, lens: Lens, mail: int, left: sa.ColumnElement[bool], now: datetime) -> None:
    """Drawn by a hash of the lead and the mail, so that the same rehearsal twice comes to the same."""
    named = sa.select(Mail.key, Topic.key).outerjoin(Topic, Topic.id == Mail.topic_id).where(Mail.id == mail)
    key, topic = session.execute(named).one()
    speaks, m = mail if mail in lens.own else ALL, MESSAGES.c
    for rate in session.execute(sa.select(rates).where(rates.c.mail_id == speaks, rates.c.samples > 0)).all():
        # who clicks is among those who open
        what = "reads" if rate.kind in ("email_opened", "email_clicked") else rate.kind
        drawn: Any = chance.draw(m.lead_id, lens.campaign_key, f"mail:{key}", what)
        place: Any = chance.draw(m.lead_id, lens.campaign_key, f"mail:{key}", f"{rate.kind} when")
        picked = sa.and_(
            samples.c.mail_id == speaks, samples.c.kind == rate.kind, samples.c.place == place % rate.samples
        )
        subject = (topic or "*") if rate.kind == "consent_withdrawn" else key
        found = (
            sa.select(
                m.lead_id, m.id, m.campaign_id, sa.literal(rate.kind), sa.literal(subject), samples.c.props,
                sa.literal("human"), _at(samples.c.delay, now),
            )
            .select_from(MESSAGES)
            .join(samples, picked)
            .where(left, m.mail_id == mail, drawn < rate.rate)
        )  # fmt: skip
        session.execute(sa.insert(reactions).from_select(_NAMES, found))
