"""Lets what happened in the period happen again on the copy, each thing by its own time, with what it did to the leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns.following import some
from app.campaigns.restoring import NOT_TAKEN_BACK, TAGGED
from app.campaigns.scratch import OURS
from app.campaigns.sidelines import FED, later, owners, reactions
from app.db import Instant, table
from app.leads.models import Lead
from app.outbox import Message
from app.preferences import consenting
from app.preferences.cancelling import cancel
from app.scoring import grading
from app.tracking import recording
from app.tracking.models import BODY_LANGUAGE, Event, Identity
from app.tracking.visitors import FRESH

EVENTS: sa.Table = Event.__table__
TRACES: sa.Table = Identity.__table__
LEADS: sa.Table = Lead.__table__
AHEAD = later("events")
FIRST_FORMS = ("active", "open")  # of a passage, of a handoff: before what becomes of it at the same instant


@dataclass(slots=True)
class Feeding:
    """What is still to happen, and when the next of each kind is due: most looks find nothing of most kinds."""

    due: dict[str, datetime | None] = field(default_factory=dict)

    def feed(self, session: Session, now: datetime) -> None:
        """Bring the copy up to `now`, but for what the engine makes of it."""
        if self._is_due(session, "leads", now):
            _add(session, "leads", now)
            _own(session, now)
        coming = [name for name in FED[1:-1] if self._is_due(session, name, now)]
        if coming:
            _withdraw(session, now)
            points = later("score_entries")
            by_hand = sa.select(points.c.lead_id).where(points.c.due <= now).distinct()
            leads = session.scalars(by_hand).all() if "score_entries" in coming else []
            for name in coming:
                _add(session, name, now)
            if leads:
                grading.regrade(session, sa.select(LEADS.c.id).where(LEADS.c.id.in_(some(leads))), now=now)
        if self._is_due(session, "events", now):
            _add(session, "events", now, keeps=True)
            _change(session, now)
            _run(session, sa.delete(AHEAD).where(AHEAD.c.due <= now))
        if session.scalar(sa.select(sa.exists().where(reactions.c.due <= now))):
            react(session, now)

    def _is_due(self, session: Session, name: str, now: datetime) -> bool:
        """Whether something of this kind is; if so, asked anew when it has been fed."""
        if name not in self.due:
            self.due[name] = session.scalar(sa.select(sa.func.min(later(name).c.due)))
        next_ = self.due[name]
        if next_ is None or next_ > now:
            return False
        del self.due[name]
        return True


def _run(session: Session, statement: Any) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(getattr(result, "rowcount", 0) or 0)


def _add(session: Session, name: str, now: datetime, *, keeps: bool = False) -> int:
    rows, new = table(name), later(name)
    names = [column.name for column in rows.columns]
    order = [new.c.due, new.c.state.not_in(FIRST_FORMS)] if "state" in new.c else [new.c.due]
    due = sa.select(*(new.c[each] for each in names)).where(new.c.due <= now).order_by(*order)
    count = _run(session, sa.insert(rows).prefix_with("OR REPLACE").from_select(names, due, include_defaults=False))
    if count and not keeps:
        _run(session, sa.delete(new).where(new.c.due <= now))
    return count


def _own(session: Session, now: datetime) -> None:
    """What a browser did becomes the lead's when the lead is known, as when it joins."""
    born = sa.select(owners.c.identity_id).where(owners.c.due <= now)
    owner = sa.select(owners.c.lead_id).where(owners.c.identity_id == TRACES.c.id).correlate(TRACES)
    if not _run(session, sa.update(TRACES).where(TRACES.c.id.in_(born)).values(lead_id=owner.scalar_subquery())):
        return
    fresh = sa.and_(EVENTS.c.identity_id.in_(born), EVENTS.c.at >= now - FRESH, EVENTS.c.agent != "machine")
    _run(session, sa.update(EVENTS).where(fresh).values(is_new=True))
    _run(session, sa.delete(owners).where(owners.c.due <= now))


def _withdraw(session: Session, now: datetime) -> None:
    """Who leaves a topic, or all mail, gets nothing more of what is queued."""
    stands, gone, away = later("subscriptions"), later("opt_outs"), later("suppressions")
    left = sa.exists().where(
        stands.c.lead_id == Message.lead_id, stands.c.topic_id == Message.topic_id,
        stands.c.due <= now, stands.c.state == "withdrawn",
    )  # fmt: skip
    out = sa.exists().where(gone.c.lead_id == Message.lead_id, gone.c.due <= now)
    cancel(session, sa.and_(Message.purpose == "marketing", sa.or_(left, out)), reason="unsubscribed", at=now)
    hashes = sa.select(away.c.address_hash).where(away.c.due <= now)
    holders = sa.select(LEADS.c.id).where(LEADS.c.address_hash.in_(hashes))
    cancel(session, Message.lead_id.in_(holders), reason="suppressed", at=now)


def _fed(kind: str | tuple[str, ...], now: datetime) -> sa.Select[Any]:
    kinds = (kind,) if isinstance(kind, str) else kind
    joined = sa.select(TRACES.c.lead_id, AHEAD.c.subject, AHEAD.c.kind, AHEAD.c.at, AHEAD.c.id, AHEAD.c.props)
    joined = joined.join_from(AHEAD, TRACES, TRACES.c.id == AHEAD.c.identity_id)
    return joined.where(AHEAD.c.due <= now, AHEAD.c.kind.in_(kinds), TRACES.c.lead_id.is_not(None))


def _change(session: Session, now: datetime) -> None:
    """What the events that were just added say of the leads."""
    seen = sa.select(AHEAD.c.identity_id.label("lead_id"), AHEAD.c.at)
    seen = seen.where(AHEAD.c.due <= now, AHEAD.c.kind.in_(BODY_LANGUAGE), AHEAD.c.agent != "machine")
    recording.see_all(session, seen.subquery())
    staged = _last(_fed("stage_changed", now))
    _set(session, staged, stage=sa.select(staged.c.subject), stage_at=sa.select(staged.c.at))
    changed = _fed("field_changed", now).subquery()
    for name in session.scalars(sa.select(changed.c.subject).distinct()).all():
        if name not in NOT_TAKEN_BACK:
            _set_field(session, name, now)
    _tag(session, now)


def _last(found: sa.Select[Any], *of: str) -> sa.Subquery:
    """The last of each lead, and of each of these besides."""
    every = found.subquery()
    whose = [every.c[name] for name in ("lead_id", *of)]
    place = sa.func.row_number().over(partition_by=whose, order_by=(every.c.at.desc(), every.c.id.desc()))
    ranked = sa.select(every, place.label("place")).subquery()
    return sa.select(ranked).where(ranked.c.place == 1).subquery("last")


def _set(session: Session, found: sa.Subquery, **values: Any) -> None:
    picked = {
        name: sa.type_coerce(
            each.where(found.c.lead_id == LEADS.c.id).correlate(LEADS).scalar_subquery(), LEADS.c[name].type
        )
        for name, each in values.items()
    }
    _run(session, sa.update(LEADS).where(LEADS.c.id.in_(sa.select(found.c.lead_id))).values(picked))


def _set_field(session: Session, name: str, now: datetime) -> None:
    found = _last(_fed("field_changed", now).where(AHEAD.c.subject == name))
    if name in LEADS.c:
        value: Any = sa.func.json_extract(found.c.props, "$.to")
        _set(session, found, **{name: sa.select(value if LEADS.c[name].nullable else sa.func.coalesce(value, ""))})
        return
    path, raw = f'$."{name}"', sa.func.coalesce(found.c.props.op("->")("$.to"), "null")
    kept = sa.case(
        (raw == "null", sa.func.json_remove(LEADS.c.fields, path)),
        else_=sa.func.json_set(LEADS.c.fields, path, sa.func.json(raw)),
    )
    _set(session, found, fields=sa.select(kept))


def _tag(session: Session, now: datetime) -> None:
    tags, has = table("tags"), table("lead_tags")
    last = _last(_fed(TAGGED, now), "subject")
    told = sa.select(last.c.lead_id, tags.c.id).join(tags, tags.c.key == last.c.subject)
    given = told.add_columns(last.c.at).where(last.c.kind == "tag_added")
    insert = sa.insert(has).prefix_with("OR IGNORE")
    _run(session, insert.from_select(["lead_id", "tag_id", "at"], given))
    taken = told.where(last.c.kind == "tag_removed")
    _run(session, sa.delete(has).where(sa.tuple_(has.c.lead_id, has.c.tag_id).in_(taken)))


def react(session: Session, now: datetime) -> None:
    """What the lens lets leads do with the mail of the rehearsal, at its own time."""
    due = reactions.c.due <= now
    topics = session.scalars(sa.select(reactions.c.subject).where(due, _leaves()).distinct()).all()
    for topic in topics:
        leads = sa.select(reactions.c.lead_id).where(due, _leaves(), reactions.c.subject == topic)
        consenting.withdraw(session, leads, None if topic == "*" else topic, source="Rehearsal", at=now)
    if topics:
        _because_of_mail(session, topics, now)
    kept = ("kind", "subject", "agent", "props", "message_id", "campaign_id")
    names = ["at", "recorded_at", "identity_id", *kept, "is_new"]
    values = [reactions.c[name] for name in ("due", "due", "lead_id", *kept)]
    told = sa.select(*values, sa.true()).where(due, ~_leaves()).order_by(reactions.c.due)
    if _run(session, sa.insert(EVENTS).from_select(names, told, include_defaults=False)):
        sighted = sa.select(reactions.c.lead_id, reactions.c.due.label("at"))
        people = sa.and_(reactions.c.kind.in_(BODY_LANGUAGE), reactions.c.agent != "machine")
        recording.see_all(session, sighted.where(due, people).subquery())
        _refuse(session, now)
    _run(session, sa.delete(reactions).where(due))


def _because_of_mail(session: Session, topics: Sequence[str], now: datetime) -> None:
    """Say of those who have just left by which mail they did."""
    same = sa.and_(reactions.c.lead_id == EVENTS.c.identity_id, reactions.c.subject == EVENTS.c.subject)
    found = sa.select(reactions.c.message_id).where(same, reactions.c.due <= now, _leaves()).limit(1)
    mail = found.correlate(EVENTS).scalar_subquery()
    told = sa.and_(EVENTS.c.kind == "consent_withdrawn", EVENTS.c.subject.in_(topics), EVENTS.c.at == now)
    _run(session, sa.update(EVENTS).where(told, EVENTS.c.id > OURS, mail.is_not(None)).values(message_id=mail))


def _leaves() -> sa.ColumnElement[bool]:
    return reactions.c.kind == "consent_withdrawn"


def _refuse(session: Session, now: datetime) -> None:
    """An address that bounces for good, or complains, is not written to again."""
    hard = sa.func.json_extract(reactions.c.props, "$.type") == "hard"
    bad = sa.or_(reactions.c.kind == "email_complained", sa.and_(reactions.c.kind == "email_bounced", hard))
    leads = sa.select(reactions.c.lead_id).where(reactions.c.due <= now, bad)
    away = table("suppressions")
    rows = sa.select(LEADS.c.address_hash, sa.literal("bounce"), sa.literal(""), sa.literal(now, Instant))
    chosen = rows.where(LEADS.c.id.in_(leads), LEADS.c.address_hash.is_not(None))
    insert = sa.insert(away).prefix_with("OR IGNORE")
    _run(session, insert.from_select(["address_hash", "reason", "detail", "at"], chosen))
    cancel(session, Message.lead_id.in_(leads), reason="suppressed", at=now)
