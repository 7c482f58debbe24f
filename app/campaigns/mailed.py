"""What became of a campaign's mail, step by step: sent, opened, clicked, bounced, unsubscribed, complained of, not sent."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.campaigns.periods import Period
from app.engine.catalog import STEPS
from app.engine.models import Decision, Version
from app.kinds import parse
from app.outbox import Message
from app.tracking.models import Event
from app.tracking.queries import by_people

Results = defaultdict[str, dict[str, int]]  # step -> name -> mails

NAMES = (
    "sent", "opened", "clicked", "bounced", "unsubscribed", "complained", "not_sent", "waiting", "failed", "in_doubt",
)  # fmt: skip
_REACTIONS = {
    "email_opened": "opened",
    "email_clicked": "clicked",
    "email_bounced": "bounced",
    "email_complained": "complained",
}
_LEFT = "consent_withdrawn"
_WAITING = ("ready", "deferred", "held", "claimed", "in_flight")


def results(session: Session, campaign_id: int, period: Period) -> Results:
    """What became of the mails that fell due in the time, whenever people reacted to them."""
    found: Results = defaultdict(dict)
    sending = _sending(session, campaign_id)
    owed = sa.and_(Message.campaign_id == campaign_id, Message.step.is_not(None))
    counted: sa.Select[*tuple[Any, ...]] = sa.select(Message.step, Message.state, sa.func.count()).where(owed)
    states = _fallen_due(counted, sending, period)
    for step, state, count in session.execute(states.group_by(Message.step, Message.state)):
        name = "waiting" if state in _WAITING else state
        found[str(step)][name] = found[str(step)].get(name, 0) + count
    of_it = sa.and_(owed, period.holds(Message.created_at))
    for step, kind, count in session.execute(_reactions(session, sending, of_it, period)):
        found[str(step)][_REACTIONS.get(kind, "unsubscribed")] = count
    return found


def _fallen_due(
    states: sa.Select[*tuple[Any, ...]], sending: dict[str, list[Any]], period: Period
) -> sa.Select[*tuple[Any, ...]]:
    """Those of the visits in the time; the journal has an index over it, and the outbox one over visits."""
    if period.is_all:
        return states
    visit = sa.and_(Decision.enrollment_id == Message.enrollment_id, Decision.visit == Message.visit)
    at = sa.and_(Decision.version_id.in_(sending["versions"]), Decision.step.in_(sending["steps"]))
    return states.join(Decision, visit).where(at, period.holds(Decision.at))


def _reactions(
    session: Session, sending: dict[str, list[Any]], of_it: sa.ColumnElement[bool], period: Period
) -> sa.Select[*tuple[Any, ...]]:
    """By the log's index over kind, subject and time: it holds what was done about these mails, and little else."""
    topics = db.table("topics")
    about = sa.and_(Event.kind.in_(_REACTIONS), Event.subject.in_(sending["mails"]), by_people(Event))
    left = sa.and_(Event.kind == _LEFT, Event.subject.in_(["*", *session.scalars(sa.select(topics.c.key))]))
    since = [Event.at >= period.since] if period.since else []
    done = [
        sa.select(Event.kind, Event.message_id).where(one, Event.message_id.is_not(None), *since)
        for one in (about, left)
    ]
    events = sa.union_all(*done).subquery("done")
    counted = sa.select(Message.step, events.c.kind, sa.func.count(events.c.message_id.distinct()))
    joined = counted.join(events, events.c.message_id == Message.id).where(of_it)
    return joined.group_by(Message.step, events.c.kind)


def _sending(session: Session, campaign_id: int) -> dict[str, list[Any]]:
    """The versions of a campaign, the steps that send in any of them, and the mails they send."""
    found: dict[str, set[Any]] = {"versions": set(), "steps": set(), "mails": set()}
    for id_, flow in session.execute(sa.select(Version.id, Version.flow).where(Version.campaign_id == campaign_id)):
        found["versions"].add(id_)
        for step in flow["steps"]:
            kind = STEPS.get(step["kind"])
            settings = parse(kind.settings, step["settings"])[0] if kind is not None and kind.owes else None
            if kind is not None and settings is not None:
                found["steps"].add(step["id"])
                found["mails"] |= {key for what, key in kind.keys(settings) if what == "mail"}
    return {name: sorted(values) for name, values in found.items()}
