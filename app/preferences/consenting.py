"""Records what people agree to hear and what they no longer want, with proof, and acts on it in the same transaction."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Instant, Json, Key, rows_of, table
from app.inserting import insert
from app.leads import importing
from app.outbox import Message
from app.preferences.cancelling import cancel
from app.preferences.models import Consent, MailPause, OptOut, Subscription, Topic
from app.tracking import recording

Leads = sa.Select[Any]


class UnknownTopic(ValueError):
    """No topic has this key; the sentence says what to do."""


def give(
    session: Session,
    leads: Leads,
    topic_key: str | None,
    *,
    source: str,
    at: datetime,
    wording: str = "",
    evidence: dict[str, Any] | None = None,
    state: str = "given",
    renew: bool = False,
) -> int:
    """Record consent of these leads to a topic (None: to all mail); answers how many records were written.

    Somebody who had withdrawn stays withdrawn unless `renew` says that they asked again themselves, so that an import
    never undoes an unsubscribe. The same consent twice is written twice only if it brings its own `evidence`.
    """
    topics = _topics(session, topic_key)
    count = 0
    for topic in topics:
        chosen = _willing(leads, topic.id, state, renew=renew, has_proof=evidence is not None)
        given, given_count = _materialised(session, chosen)
        _note(session, given, topic.id, state, source, wording, evidence, at)
        _stand(session, given, topic.id, state, at)
        count += given_count
        if state == "given":
            recording.record_for(
                session, given, kind="consent_given", subject=topic.key, at=at, props={"source": source}
            )
    if renew and state == "given":
        session.execute(sa.delete(OptOut).where(OptOut.lead_id.in_(leads)).execution_options(synchronize_session=False))
    return count


def withdraw(
    session: Session,
    leads: Leads,
    topic_key: str | None,
    *,
    source: str,
    at: datetime,
    evidence: dict[str, Any] | None = None,
    because_of: Message | None = None,
) -> int:
    """These leads want no more mail of the topic (None: none at all); their queued mail is cancelled; idempotent.

    `because_of` is the mail whose link they used, which reports count it for.
    """
    found = _topics(session, topic_key)
    topic = found[0] if topic_key is not None else None
    given, count = _materialised(session, _not_yet_out(leads, topic.id if topic else None))
    _note(session, given, topic.id if topic else None, "withdrawn", source, "", evidence, at)
    for each in found:
        _stand(session, given, each.id, "withdrawn", at)
    if topic is None:
        _opt_out(session, given, source, at)
    ids = sa.select(given.c.lead_id)
    of_topic = Message.topic_id == topic.id if topic else sa.true()
    which = sa.and_(Message.lead_id.in_(ids), Message.purpose == "marketing", of_topic)
    cancel(session, which, reason="unsubscribed", at=at)
    recording.record_for(
        session,
        given,
        kind="consent_withdrawn",
        subject=topic.key if topic else "*",
        at=at,
        props={"source": source},
        message_id=because_of.id if because_of else None,
        campaign_id=because_of.campaign_id if because_of else None,
    )
    return count


def pause(session: Session, lead_id: int, until: datetime, *, at: datetime) -> None:
    """The lead wants a rest from marketing mail until a date; what is queued for it is cancelled."""
    rest = session.get(MailPause, lead_id)
    if rest is None:
        session.add(MailPause(lead_id=lead_id, until_at=until))
    else:
        rest.until_at = until
    session.flush()
    cancel(session, sa.and_(Message.lead_id == lead_id, Message.purpose == "marketing"), reason="paused_by_lead", at=at)


def resume(session: Session, lead_id: int) -> None:
    """End a rest early."""
    rest = session.get(MailPause, lead_id)
    if rest is not None:
        session.delete(rest)
        session.flush()


def _topics(session: Session, key: str | None) -> list[Topic]:
    """The topic of the key, or every topic when none is named."""
    chosen = sa.select(Topic).order_by(Topic.id)
    found = list(session.scalars(chosen if key is None else chosen.where(Topic.key == key)))
    if key is not None and not found:
        raise UnknownTopic(f"There is no topic with the key “{key}”; create it under Topics, or correct the key.")
    return found


def _willing(leads: Leads, topic_id: int, state: str, *, renew: bool, has_proof: bool) -> Leads:
    """Those of the leads for whom the record says something new, and does not overrule their own withdrawal."""
    who = leads.subquery()
    lead_id = next(iter(who.c))
    now = _subscription(lead_id, topic_id)
    chosen = sa.select(lead_id.label("lead_id"))
    if state == "pending":
        chosen = chosen.where(sa.func.coalesce(now, "") != "given")
    if not renew:
        left = sa.exists().where(OptOut.lead_id == lead_id)
        chosen = chosen.where(sa.func.coalesce(now, "") != "withdrawn", sa.not_(left))
    return chosen if has_proof else chosen.where(sa.func.coalesce(now, "") != state)


def _not_yet_out(leads: Leads, topic_id: int | None) -> Leads:
    who = leads.subquery()
    lead_id = next(iter(who.c))
    if topic_id is None:
        is_out: sa.ColumnElement[bool] = sa.exists().where(OptOut.lead_id == lead_id)
    else:
        is_out = sa.func.coalesce(_subscription(lead_id, topic_id), "") == "withdrawn"
    return sa.select(lead_id.label("lead_id")).where(sa.not_(is_out))


def _subscription(lead_id: sa.ColumnElement[Any], topic_id: int) -> sa.ColumnElement[Any]:
    found = sa.select(Subscription.state).where(Subscription.lead_id == lead_id, Subscription.topic_id == topic_id)
    return found.scalar_subquery()


def _materialised(session: Session, chosen: Leads) -> tuple[sa.Subquery, int]:
    """The ids as plain values, since the statements below change what the SELECT would find; and how many."""
    rows = [[lead_id] for lead_id in session.scalars(chosen)]
    return rows_of(rows, lead_id=Key), len(rows)


def _note(
    session: Session,
    given: sa.Subquery,
    topic_id: int | None,
    state: str,
    source: str,
    wording: str,
    evidence: dict[str, Any] | None,
    at: datetime,
) -> None:
    values: dict[str, sa.ColumnElement[Any]] = {
        "lead_id": given.c.lead_id,
        "topic_id": sa.literal(topic_id, Key),
        "state": sa.literal(state, sa.String),
        "source": sa.literal(source[:200], sa.String),
        "wording": sa.literal(wording, sa.Text),
        "evidence": sa.literal(evidence or {}, Json),
        "at": sa.literal(at, Instant),
    }
    session.execute(sa.insert(Consent).from_select(list(values), sa.select(*values.values()), include_defaults=False))


def _stand(session: Session, given: sa.Subquery, topic_id: int, state: str, at: datetime) -> None:
    """Write where the leads stand with the topic now, as one row each."""
    columns: list[sa.ColumnElement[Any]] = [
        given.c.lead_id,
        sa.literal(topic_id, Key),
        sa.literal(state, sa.String),
        sa.literal(at, Instant),
    ]
    names = ["lead_id", "topic_id", "state", "at"]
    picked = sa.select(*columns).where(sa.true())
    statement = insert(session, Subscription).from_select(names, picked, include_defaults=False)
    newest = {"state": statement.excluded.state, "at": statement.excluded.at}
    session.execute(statement.on_conflict_do_update(index_elements=["lead_id", "topic_id"], set_=newest))


def _opt_out(session: Session, given: sa.Subquery, source: str, at: datetime) -> None:
    columns: list[sa.ColumnElement[Any]] = [
        given.c.lead_id,
        sa.literal(source[:200], sa.String),
        sa.literal(at, Instant),
    ]
    picked = sa.select(*columns).where(sa.true())
    statement = insert(session, OptOut).from_select(["lead_id", "reason", "at"], picked, include_defaults=False)
    session.execute(statement.on_conflict_do_nothing())


def current_lead(session: Session, lead_id: int) -> int:
    """The living lead behind an id that a mail carries: after a merge, the survivor."""
    identities = table("identities")
    found = session.scalar(sa.select(identities.c.lead_id).where(identities.c.id == lead_id))
    return found or lead_id


importing.consent_by(give)  # a file of leads may bring their consent with it
