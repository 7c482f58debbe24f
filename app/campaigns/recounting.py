"""Writes down the way of each lead through a rehearsal, from the copy it was run on, before that is thrown away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.campaigns.backdating import ANSWERS
from app.campaigns.rehearsed import ours
from app.campaigns.scratch import OURS
from app.campaigns.sidelines import collisions
from app.db import micros, table
from app.engine.models import Campaign, Decision, Enrollment
from app.mail.models import Mail
from app.outbox import Message
from app.sales.models import Handoff
from app.tracking.models import Event

if TYPE_CHECKING:
    from app.campaigns.performing import Wanted

MOST_TOLD = 20_000  # passages that can be opened


def passages(session: Session, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """The way of each lead, of the first so many, as rows to keep: its visits, its mails, what it did with them."""
    first = sa.select(Enrollment).where(ours(wanted)).order_by(Enrollment.id).limit(MOST_TOLD)
    found = session.scalars(first).all()
    ids = sa.select(Enrollment.id).where(ours(wanted), Enrollment.id <= (found[-1].id if found else 0))
    visits: dict[int, list[Any]] = defaultdict(list)
    journal = (
        sa.select(Decision).where(Decision.enrollment_id.in_(ids)).order_by(Decision.enrollment_id, Decision.visit)
    )
    for one in session.scalars(journal.execution_options(yield_per=5_000)):
        at = [micros(one.arrived_at), micros(one.at)]
        visits[one.enrollment_id].append([one.visit, one.step, one.port, *at, one.why])
    mails, done = _mails_of(session, ids), _done(session, ids)
    for number, passage in enumerate(found):
        id_ = passage.id
        told: dict[str, Any] = {
            "entered": micros(passage.entered_at), "occasion": passage.occasion, "key": passage.key,
            "finished": micros(passage.finished_at) if passage.finished_at else None, "reason": passage.reason,
            "arrived": micros(passage.arrived_at), "due": micros(passage.due_at) if passage.due_at else None,
            "visit": passage.visit, "visits": visits.get(id_, []), "mails": mails.get(id_, []), "did": done.get(id_, []),
        }  # fmt: skip
        route = "".join(f" {visit[1]}:{visit[2]}" for visit in told["visits"]) + " "
        row = {"number": number, "lead_id": passage.lead_id, "state": passage.state, "step": passage.step}
        yield {**row, "route": route, "told": told}


def _mails_of(session: Session, ids: sa.Select[Any]) -> dict[Any, list[Any]]:
    """What became of each mail, and whose mail had the slot if it had to wait for one."""
    winner = table("messages").alias("winner")
    other = sa.func.coalesce(winner.c.campaign_id, collisions.c.winner_campaign_id)
    columns = (Message.visit, Mail.name, Message.state, Message.reason, Message.finished_at, Campaign.name)
    query = sa.select(Message.enrollment_id, *columns).outerjoin(Mail, Mail.id == Message.mail_id)
    query = query.outerjoin(winner, winner.c.id == Message.winner_id)
    query = query.outerjoin(collisions, collisions.c.message_id == Message.id).outerjoin(Campaign, Campaign.id == other)
    found: dict[Any, list[Any]] = defaultdict(list)
    for row in session.execute(query.where(Message.enrollment_id.in_(ids)).order_by(Message.id)):
        passage, visit, name, state, reason, at, had = row
        found[passage].append([visit, name, state, reason, micros(at) if at else None, had])
    return found


def _done(session: Session, ids: sa.Select[Any]) -> dict[Any, list[Any]]:
    """What the lens let them do with the mail, and whom they were handed to."""
    found: dict[Any, list[Any]] = defaultdict(list)
    query = sa.select(Message.enrollment_id, Event.kind, Event.subject, Event.at).join(
        Event, Event.message_id == Message.id
    )
    which = sa.and_(Event.id > OURS, Event.kind.in_(ANSWERS), Message.enrollment_id.in_(ids))
    for passage, kind, subject, at in session.execute(query.where(which).order_by(Event.at, Event.id)):
        found[passage].append([kind, subject, micros(at)])
    name = sa.func.coalesce(sa.func.nullif(User.name, ""), User.email)
    given = sa.select(Handoff.enrollment_id, name, Handoff.created_at).outerjoin(User, User.id == Handoff.owner_id)
    for passage, owner, at in session.execute(given.where(Handoff.enrollment_id.in_(ids)).order_by(Handoff.id)):
        found[passage].append(["handoff", owner or "", micros(at)])
    return found
