"""Takes a copy of leads back to the beginning of a rehearsal, as far as the log tells, and lays aside what came later."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import restoring
from app.campaigns.scratch import OURS
from app.campaigns.sidelines import answers, consents, doings, later, owner, owners, recorded
from app.db import table
from app.engine.models import Enrollment
from app.leads.models import Lead
from app.outbox import Message
from app.sales.models import Handoff
from app.scoring import grading, scoring
from app.segments import refreshing
from app.segments.models import Segment, SegmentMember
from app.tracking.models import BODY_LANGUAGE, Event, Identity

EVENTS: sa.Table = Event.__table__
TRACES: sa.Table = Identity.__table__
LEADS: sa.Table = Lead.__table__
PASSAGES: sa.Table = Enrollment.__table__
MESSAGES: sa.Table = Message.__table__
HANDOFFS: sa.Table = Handoff.__table__
AHEAD = later("events")

# What follows from the rest by the code that runs: it is worked out anew, not told again.
DERIVED = ("score_changed", "grade_changed", "segment_joined", "segment_left", "merged", "unmerged")
# What a step does to a lead is told by such an event, at the very instant of the decision.
MAKES = {
    "add_tag": "tag_added", "remove_tag": "tag_removed", "set_field": "field_changed", "set_owner": "field_changed",
    "set_stage": "stage_changed", "change_score": "stage_changed", "add_note": "note_added",
    "subscribe": "consent_given", "unsubscribe": "consent_withdrawn", "record_event": "custom",
    "enter_campaign": "campaign_requested", "go_to_campaign": "campaign_requested",
    "leave_campaign": "campaign_exit_requested",
}  # fmt: skip
ASKED = ("campaign_requested", "campaign_exit_requested")
ANSWERS = ("email_opened", "email_clicked", "email_replied", "email_bounced", "email_complained", "consent_withdrawn")
SENT = ("sent", "in_doubt")


def take_back(session: Session, campaign_id: int, begin: datetime, end: datetime, keys: set[str]) -> None:
    """Make the copy what it was at `begin`; `keys` are the segments that the flow could have to do with."""
    _rivals(session, campaign_id, begin)
    _bear(session, begin)
    restoring.restore(session)
    _consent(session, begin, end)
    _refused(session, begin)
    _passages(session, begin)
    _owed(session, begin)
    _forget_own(session, campaign_id)
    _seen(session, begin)
    _points(session, begin)
    _segments(session, keys, begin)


def _rivals(session: Session, campaign_id: int, begin: datetime) -> None:
    """Note what the campaign sent in earnest and what came of it, then take its passages of the period away."""
    rival = sa.select(PASSAGES.c.id).where(PASSAGES.c.campaign_id == campaign_id, PASSAGES.c.entered_at >= begin)
    m = MESSAGES.c
    is_rival = sa.and_(m.enrollment_id.in_(rival), m.enrollment_id.is_not(None))
    place = sa.func.row_number().over(
        partition_by=(m.lead_id, m.mail_id), order_by=(m.finished_at < begin, m.finished_at, m.id)
    )
    sent = sa.select(m.id, m.lead_id, m.mail_id, place, m.finished_at).where(m.state.in_(SENT), m.mail_id.is_not(None))
    names = ["message_id", "lead_id", "mail_id", "place", "sent_at"]
    session.execute(sa.insert(recorded).from_select(names, sent))
    for each in (EVENTS, AHEAD):
        what = sa.select(each.c.message_id, each.c.kind, each.c.subject, each.c.props, each.c.agent)
        delay = sa.type_coerce(each.c.at, sa.BigInteger) - sa.type_coerce(recorded.c.sent_at, sa.BigInteger)
        found = (
            what.add_columns(delay)
            .join(recorded, recorded.c.message_id == each.c.message_id)
            .where(each.c.kind.in_(ANSWERS))
        )
        session.execute(
            sa.insert(answers).from_select(["message_id", "kind", "subject", "props", "agent", "delay"], found)
        )
    theirs = sa.select(MESSAGES.c.id).where(is_rival)
    answered = sa.select(owner(), AHEAD.c.at, AHEAD.c.kind).join_from(AHEAD, TRACES, TRACES.c.id == AHEAD.c.identity_id)
    answered = answered.where(AHEAD.c.message_id.in_(theirs), AHEAD.c.kind.in_(ANSWERS))
    session.execute(sa.insert(doings).from_select(["lead_id", "at", "kind"], answered))
    session.execute(sa.delete(AHEAD).where(AHEAD.c.message_id.in_(theirs)))
    session.execute(sa.delete(MESSAGES).where(is_rival))
    session.execute(sa.delete(HANDOFFS).where(HANDOFFS.c.enrollment_id.in_(rival)))
    session.execute(sa.delete(PASSAGES).where(PASSAGES.c.id.in_(rival)))


def _bear(session: Session, begin: datetime) -> None:
    """Lay aside the leads that were not known yet: they come when they were made, or when the first thing is told of them."""
    first = sa.select(sa.func.min(AHEAD.c.at)).join(TRACES, TRACES.c.id == AHEAD.c.identity_id)
    first = first.where(TRACES.c.lead_id == LEADS.c.id).correlate(LEADS)
    told = sa.func.coalesce(first.scalar_subquery(), LEADS.c.created_at)
    due = sa.case((told < LEADS.c.created_at, told), else_=LEADS.c.created_at)
    before = (
        sa.select(EVENTS.c.id).join(TRACES, TRACES.c.id == EVENTS.c.identity_id).where(TRACES.c.lead_id == LEADS.c.id)
    )
    unborn = sa.and_(LEADS.c.created_at > begin, ~before.correlate(LEADS).exists())
    new = later("leads")
    session.execute(sa.insert(new).from_select([*LEADS.c.keys(), "due"], sa.select(*LEADS.c, due).where(unborn)))
    ids = sa.select(new.c.id)
    born = sa.select(TRACES.c.id, TRACES.c.lead_id, new.c.due).join(new, new.c.id == TRACES.c.lead_id)
    session.execute(sa.insert(owners).from_select(["identity_id", "lead_id", "due"], born))
    session.execute(sa.update(TRACES).where(TRACES.c.lead_id.in_(ids)).values(lead_id=None))
    session.execute(sa.delete(LEADS).where(LEADS.c.id.in_(ids)))


def _consent(session: Session, begin: datetime, end: datetime) -> None:
    """Where each lead stood with each topic; who first agreed after the period counts as having agreed before it."""
    stands, new = table("subscriptions"), later("subscriptions")
    told = doings.c.kind.in_(("consent_given", "consent_withdrawn"))
    own = sa.exists().where(doings.c.lead_id == consents.c.lead_id, doings.c.at == consents.c.at, told)
    topics = table("topics")
    about = sa.or_(
        consents.c.topic_id == topics.c.id, sa.and_(consents.c.topic_id.is_(None), consents.c.state == "withdrawn")
    )
    every = sa.select(consents.c.lead_id, topics.c.id.label("topic_id"), consents.c.state, consents.c.at)
    every = every.join_from(consents, topics, about)
    names = ["lead_id", "topic_id", "state", "at"]
    coming = every.add_columns(consents.c.at.label("due")).where(consents.c.at > begin, ~own)
    session.execute(sa.insert(new).from_select([*names, "due"], coming))
    known = sa.select(consents.c.lead_id).distinct()
    changed = sa.and_(stands.c.at > begin, stands.c.lead_id.in_(known))
    session.execute(sa.delete(stands).where(changed))
    past = every.where(sa.or_(consents.c.at <= begin, consents.c.at > end)).subquery("past")
    # the last before the beginning, else the first after the end
    order = (past.c.at > end, sa.case((past.c.at > end, past.c.at), else_=-sa.type_coerce(past.c.at, sa.BigInteger)))
    place = sa.func.row_number().over(partition_by=(past.c.lead_id, past.c.topic_id), order_by=order)
    ranked = sa.select(past, place.label("place")).subquery("ranked")
    missing = ~sa.exists().where(stands.c.lead_id == ranked.c.lead_id, stands.c.topic_id == ranked.c.topic_id)
    within = sa.exists().where(new.c.lead_id == ranked.c.lead_id, new.c.topic_id == ranked.c.topic_id, new.c.due <= end)
    is_known = sa.or_(ranked.c.at <= begin, sa.and_(~within, ranked.c.state != "withdrawn"))
    before = sa.select(*(ranked.c[name] for name in names)).where(ranked.c.place == 1, missing, is_known)
    session.execute(sa.insert(stands).from_select(names, before))


def _refused(session: Session, begin: datetime) -> None:
    """Addresses that bounced and leads that left within the period, but by what the campaign itself did."""
    away, gone = table("suppressions"), table("opt_outs")
    hashed = sa.select(doings.c.at).join(LEADS, LEADS.c.id == doings.c.lead_id)
    bad = doings.c.kind.in_(("email_bounced", "email_complained"))
    own = (
        hashed.where(LEADS.c.address_hash == away.c.address_hash, doings.c.at == away.c.at, bad)
        .correlate(away)
        .exists()
    )
    _lay_aside(session, away, away.c.at, begin, own)
    told = doings.c.kind == "consent_withdrawn"
    left = sa.exists().where(doings.c.lead_id == gone.c.lead_id, doings.c.at == gone.c.at, told).correlate(gone)
    _lay_aside(session, gone, gone.c.at, begin, left)


def _lay_aside(session: Session, rows: sa.Table, at: Any, begin: datetime, own: sa.ColumnElement[bool]) -> None:
    """What came after the beginning waits for its time, and what was the campaign's own doing is dropped."""
    coming = sa.select(*rows.c, at).where(at > begin, ~own)
    session.execute(sa.insert(later(rows.name)).from_select([*rows.c.keys(), "due"], coming))
    session.execute(sa.delete(rows).where(at > begin))


def _passages(session: Session, begin: datetime) -> None:
    """Passages through other campaigns, and older ones through this: they stand still, and end when they ended."""
    new, c = later("enrollments"), PASSAGES.c
    open_again: dict[str, Any] = {"state": "active", "finished_at": None, "reason": None}
    session.execute(sa.update(PASSAGES).values(due_at=None))
    ended = sa.select(*c, c.finished_at).where(c.finished_at > begin)
    session.execute(sa.insert(new).from_select([*c.keys(), "due"], ended))
    session.execute(sa.update(PASSAGES).where(c.finished_at > begin).values(open_again))
    _lay_aside(session, PASSAGES, c.entered_at, begin, sa.false())


def _owed(session: Session, begin: datetime) -> None:
    """Mail of other campaigns takes its slot when it left; handoffs are open until they were answered."""
    session.execute(sa.delete(MESSAGES).where(MESSAGES.c.state.not_in(SENT)))
    _lay_aside(session, MESSAGES, MESSAGES.c.finished_at, begin, sa.false())
    new, c = later("handoffs"), HANDOFFS.c
    answered = sa.select(*c, c.answered_at).where(c.answered_at > begin)
    session.execute(sa.insert(new).from_select([*c.keys(), "due"], answered))
    unanswered: dict[str, Any] = {"state": "open", "answered_at": None, "reply_minutes": None, "come_back_at": None}
    session.execute(sa.update(HANDOFFS).where(c.answered_at > begin).values(unanswered))
    _lay_aside(session, HANDOFFS, c.created_at, begin, sa.false())


def _forget_own(session: Session, campaign_id: int) -> None:
    """What follows by the code that runs, and what the campaign did in earnest, is not told again."""
    reason = sa.func.coalesce(sa.func.json_extract(AHEAD.c.props, "$.reason"), "")
    by_score = sa.or_(reason.like("Meets “%"), reason.like("Score reached %"))
    own = sa.and_(AHEAD.c.campaign_id == campaign_id, AHEAD.c.kind.not_in(ASKED))
    lead = sa.select(owner()).where(TRACES.c.id == AHEAD.c.identity_id).correlate(AHEAD).scalar_subquery()
    same = sa.and_(doings.c.at == AHEAD.c.at, doings.c.kind == AHEAD.c.kind)
    at_once = sa.exists().where(doings.c.lead_id == lead, same).correlate(AHEAD)
    forgotten = (
        AHEAD.c.kind.in_(DERIVED), own, at_once, sa.and_(AHEAD.c.kind == "stage_changed", by_score),
    )  # fmt: skip
    for which in forgotten:
        session.execute(sa.delete(AHEAD).where(which))


def _seen(session: Session, begin: datetime) -> None:
    """When each lead was last seen by then."""
    by_people = sa.and_(EVENTS.c.kind.in_(BODY_LANGUAGE), EVENTS.c.agent != "machine")
    last = sa.select(sa.func.max(EVENTS.c.at)).join(TRACES, TRACES.c.id == EVENTS.c.identity_id)
    last = last.where(TRACES.c.lead_id == LEADS.c.id, by_people).correlate(LEADS)
    session.execute(sa.update(LEADS).where(LEADS.c.last_seen_at > begin).values(last_seen_at=last.scalar_subquery()))
    session.execute(sa.update(later("leads")).values(last_seen_at=None))


def _points(session: Session, begin: datetime) -> None:
    """The ledger up to then; what rules give is worked out anew, what people gave by hand is given again."""
    ledger = table("score_entries")
    by_hand = sa.and_(ledger.c.rule_key.is_(None), ledger.c.event_id.is_(None))
    own = sa.exists().where(doings.c.lead_id == ledger.c.lead_id, doings.c.at == ledger.c.at).correlate(ledger)
    _lay_aside(session, ledger, ledger.c.at, begin, sa.or_(~by_hand, own))
    last = session.scalar(sa.select(sa.func.max(EVENTS.c.id))) or 0
    scoring.score_fit(session, sa.select(LEADS.c.id), now=begin)
    grading.regrade(session, sa.select(LEADS.c.id), now=begin)
    session.execute(sa.delete(EVENTS).where(EVENTS.c.id > max(last, OURS)))  # nobody’s points changed by it


def _segments(session: Session, keys: set[str], begin: datetime) -> None:
    """The segments that matter, built by their rules as of then; the others are left out, which saves their work."""
    session.execute(sa.delete(SegmentMember))
    session.execute(sa.delete(Segment).where(Segment.key.not_in(keys)))
    session.execute(sa.update(Segment).values(refreshed_at=None, members_count=0))
    refreshing.refresh(session, now=begin, touched=None)
