"""A person asks to be forgotten: everything personal goes, anonymous counts stay, the address is never mailed again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import signing
from app.db import table
from app.leads.models import Lead
from app.tracking.models import Identity

# What is blanked in each table that holds rows of a lead; a table that is in neither list makes a test fail.
BLANKED: dict[str, dict[str, Any]] = {
    "submissions": {"answers": {}, "key": None},
    "messages": {"inputs": None, "recipient": None, "reply": None},
    "consents": {"evidence": {}},
    "tasks": {"title": "Erased", "note": "", "outcome": ""},
    "handoffs": {"story": None, "reason": ""},
    "alerts": {"text": "Erased"},
    "merges": {"undo": {}},
    "score_entries": {},
    "enrollments": {"reason": None, "key": ""},
    "webhook_calls": {"payload": {}, "answer": None, "reason": None},
}
DELETED = (
    "notes", "lead_tags", "segment_members", "subscriptions", "opt_outs", "mail_pauses", "waiting", "shadow_rows",
    "rehearsed_passages",
)  # fmt: skip
# Events whose properties say nothing about the person and which reports count by.
ANONYMOUS_PROPS = ("score_changed", "grade_changed", "stage_changed", "email_clicked", "campaign_left", "time_spent")
UNSENT = ("held", "ready", "deferred", "claimed")  # a sender loses what it has only claimed


def erase(session: Session, lead_id: int, *, at: datetime) -> int:
    """Erase the person behind this lead, with every record merged into it; how many records that were."""
    ids = _everybody(session, lead_id)
    leads = session.scalars(sa.select(Lead).where(Lead.id.in_(ids), Lead.erased_at.is_(None))).all()
    addresses = {lead.canonical_email for lead in leads if lead.canonical_email}
    session.flush()
    _wait_for_the_engine(session, ids)
    _suppress(session, addresses, at)
    _forget_attached(session, ids, at)
    _forget_history(session, ids)
    _forget_addresses(session, addresses, at)
    session.execute(sa.update(Lead).where(Lead.id.in_([lead.id for lead in leads])).values(_blank(at)))
    session.expire_all()
    return len(leads)


def _everybody(session: Session, lead_id: int) -> list[int]:
    """The record and all merged into it, however deep."""
    ids, newest = {lead_id}, {lead_id}
    while newest:
        newest = set(session.scalars(sa.select(Lead.id).where(Lead.merged_into_id.in_(newest)))) - ids
        ids |= newest
    return sorted(ids)


def _blank(at: datetime) -> dict[str, Any]:
    texts = (
        "first_name",
        "last_name",
        "job_title",
        "phone",
        "company_name",
        "country",
        "city",
        "language",
        "search_text",
    )
    nothing = ("email", "canonical_email", "address_hash", "zone", "inferred_zone", "company_id", "owner_id")
    return {**dict.fromkeys(texts, ""), **dict.fromkeys(nothing), "fields": {}, "erased_at": at, "updated_at": at}


def _suppress(session: Session, addresses: set[str], at: datetime) -> None:
    rows = table("suppressions")
    hashes = {signing.address_hash(address) for address in addresses}
    known = set(session.scalars(sa.select(rows.c.address_hash).where(rows.c.address_hash.in_(hashes))))
    fresh = [{"address_hash": h, "reason": "erased", "detail": "", "at": at} for h in hashes - known]
    if fresh:
        session.execute(sa.insert(rows), fresh)


def _wait_for_the_engine(session: Session, ids: list[int]) -> None:
    """Whoever is on the move comes to rest first, so that what is written for them now is forgotten, too."""
    enrollments = table("enrollments")
    session.execute(sa.select(enrollments.c.id).where(enrollments.c.lead_id.in_(ids)).with_for_update())


def _forget_attached(session: Session, ids: list[int], at: datetime) -> None:
    _cancel(session, table("messages").c.lead_id.in_(ids), at)
    for name, blank in BLANKED.items():
        rows = table(name)
        mine = rows.c.survivor_id.in_(ids) | rows.c.merged_id.in_(ids) if name == "merges" else rows.c.lead_id.in_(ids)
        if blank:
            session.execute(sa.update(rows).where(mine).values(blank))
    for name in DELETED:
        session.execute(sa.delete(table(name)).where(table(name).c.lead_id.in_(ids)))
    decisions, enrollments = table("decisions"), table("enrollments")
    # also who is parked as failed: nobody may try again with a person who is forgotten
    inside = sa.and_(enrollments.c.lead_id.in_(ids), enrollments.c.state.in_(["active", "failed"]))
    out = {"state": "exited", "reason": "erased", "due_at": None, "finished_at": at}
    session.execute(sa.update(enrollments).where(inside).values(out))
    own = sa.select(enrollments.c.id).where(enrollments.c.lead_id.in_(ids))
    session.execute(sa.update(decisions).where(decisions.c.enrollment_id.in_(own)).values(why=None))


def _cancel(session: Session, which: sa.ColumnElement[bool], at: datetime) -> None:
    messages = table("messages")
    gone = {"state": "cancelled", "reason": "suppressed", "finished_at": at, "claimed_by": None, "lease_until": None}
    session.execute(sa.update(messages).where(which, messages.c.state.in_(UNSENT)).values(gone))


def _forget_history(session: Session, ids: list[int]) -> None:
    mine = sa.select(Identity.id).where(Identity.lead_id.in_(ids) | Identity.id.in_(ids))
    events = table("events")
    owned = events.c.identity_id.in_(mine)
    session.execute(sa.update(events).where(owned, events.c.kind.not_in(ANONYMOUS_PROPS)).values(props={}))
    session.execute(sa.update(events).where(owned).values(evidence=None))
    session.execute(sa.update(events).where(owned, events.c.kind == "task_done").values(subject=""))
    session.execute(sa.update(Identity).where(Identity.lead_id.in_(ids)).values(token=None))


def _forget_addresses(session: Session, addresses: set[str], at: datetime) -> None:
    """Where an address stands without a lead beside it."""
    refusals, attempts, messages = table("import_refusals"), table("attempts"), table("messages")
    mail = sa.and_(messages.c.lead_id.is_(None), messages.c.recipient.in_(addresses))
    _cancel(session, mail, at)
    session.execute(sa.update(messages).where(mail).values(BLANKED["messages"]))
    for address in addresses:
        text = sa.func.lower(sa.cast(refusals.c.row, sa.Text))
        session.execute(sa.delete(refusals).where(text.contains(address, autoescape=True)))
        session.execute(sa.delete(attempts).where(attempts.c.subject == address))
