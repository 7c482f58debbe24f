"""Two records of one person become one, and can be taken apart again, because nothing is deleted (SEMANTICS 27).

The enrollments of the two are the engine's to settle; here move the history, what is attached, and the consent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import table
from app.leads import fields, updating
from app.leads.finding import is_living
from app.leads.models import Lead, LeadTag, Merge
from app.tracking import recording

# Rows that simply change hands; all have an id.
ATTACHED = (
    "notes", "score_entries", "consents", "messages", "submissions", "handoffs", "tasks", "alerts", "webhook_calls", "waiting",
)  # fmt: skip
STRICTNESS = {"given": 0, "pending": 1, "withdrawn": 2}
MOST_CANDIDATES = 8


class BadMerge(ValueError):
    """Two records that cannot be merged or taken apart, in one sentence."""


def merge(session: Session, survivor_id: int, merged_id: int, *, user_id: int | None, at: datetime) -> Merge:
    """Make `merged_id` a part of `survivor_id`: histories joined, empty fields filled, the strictest consent kept."""
    if survivor_id == merged_id:
        raise BadMerge("A lead cannot be merged with itself; choose another one.")
    leads = {
        lead.id: lead
        for lead in session.scalars(sa.select(Lead).where(Lead.id.in_([survivor_id, merged_id]), is_living()))
    }
    if len(leads) < 2:
        raise BadMerge("One of the two is gone: merged already, or erased. Reload the page.")
    survivor, merged = leads[survivor_id], leads[merged_id]
    session.flush()
    _stand_once(session, survivor_id, merged_id)
    undo: dict[str, Any] = {
        "identities": _move(session, table("identities"), merged_id, survivor_id),
        "attached": {name: _move(session, table(name), merged_id, survivor_id) for name in ATTACHED},
        "values": _complete(session, survivor, merged, at),
        "tags": _share_tags(session, survivor_id, merged_id),
        "subscriptions": _strictest(session, survivor_id, merged_id, at),
        "opted_out": _opt_out(session, survivor_id, merged_id),
    }
    merged.merged_into_id = survivor_id
    done = Merge(survivor_id=survivor_id, merged_id=merged_id, user_id=user_id, undo=undo, at=at)
    session.add(done)
    recording.record(session, kind="merged", identity_id=survivor_id, at=at, props={"lead": merged_id})
    session.flush()
    return done


def unmerge(session: Session, merge_id: int, *, at: datetime) -> Merge:
    """Take two records apart again; what happened since stays with the survivor."""
    done = session.get(Merge, merge_id)
    if done is None or done.undone_at is not None:
        raise BadMerge("There is no such merge to undo; reload the page.")
    merged = session.get_one(Lead, done.merged_id)
    if merged.merged_into_id != done.survivor_id or merged.erased_at is not None:
        raise BadMerge("The record has moved on since and cannot be taken apart.")
    if session.get_one(Lead, done.survivor_id).merged_into_id is not None:
        raise BadMerge("The survivor was itself merged since; undo that merge first.")
    undo = done.undo
    merged.merged_into_id = None
    session.flush()
    _move_back(session, table("identities"), undo["identities"], done)
    for name, ids in undo["attached"].items():
        _move_back(session, table(name), ids, done)
    _put_back(session, done, at)
    done.undone_at = at
    recording.record(session, kind="unmerged", identity_id=done.survivor_id, at=at, props={"lead": merged.id})
    session.flush()
    return done


def merges_of(session: Session, lead_id: int) -> Sequence[Any]:
    """(Merge, the merged lead) that can still be undone."""
    query = sa.select(Merge, Lead).join(Lead, Lead.id == Merge.merged_id)
    query = query.where(Merge.survivor_id == lead_id, Merge.undone_at.is_(None), Lead.erased_at.is_(None))
    return session.execute(query.order_by(Merge.at.desc())).all()


def candidates(session: Session, lead: Lead, q: str) -> Sequence[Lead]:
    """Who might be the same person: those found by the words given, else those of the same name or phone."""
    query = sa.select(Lead).where(is_living(), Lead.id != lead.id)
    if q.strip():
        for word in q.casefold().split()[:6]:
            query = query.where(Lead.search_text.contains(word, autoescape=True))
        return session.scalars(query.order_by(Lead.score.desc()).limit(MOST_CANDIDATES)).all()
    alike = []
    if lead.last_name:
        alike.append(sa.and_(Lead.last_name == lead.last_name, Lead.first_name == lead.first_name))
    if lead.phone:
        alike.append(sa.and_(Lead.phone == lead.phone, Lead.last_name == lead.last_name))
    return session.scalars(query.where(sa.or_(*alike)).limit(MOST_CANDIDATES)).all() if alike else []


def _move(session: Session, rows: sa.Table, merged_id: int, survivor_id: int) -> list[int]:
    statement = sa.update(rows).where(rows.c.lead_id == merged_id).values(lead_id=survivor_id).returning(rows.c.id)
    return sorted(session.scalars(statement, execution_options={"synchronize_session": False}))


def _stand_once(session: Session, survivor_id: int, merged_id: int) -> None:
    """Who waits at the door of a campaign in both records waits there once."""
    theirs = table("waiting")
    ours = theirs.alias()
    same = [ours.c[name] == theirs.c[name] for name in ("campaign_id", "trigger", "key")]
    both = sa.exists().where(ours.c.lead_id == survivor_id, *same)
    session.execute(sa.delete(theirs).where(theirs.c.lead_id == merged_id, both))


def _move_back(session: Session, rows: sa.Table, ids: Sequence[int], done: Merge) -> None:
    for start in range(0, len(ids), 500):
        mine = sa.and_(rows.c.id.in_(ids[start : start + 500]), rows.c.lead_id == done.survivor_id)
        session.execute(sa.update(rows).where(mine).values(lead_id=done.merged_id))
    session.expire_all()


def _complete(session: Session, survivor: Lead, merged: Lead, at: datetime) -> dict[str, Any]:
    """Fill what the survivor lacks; the names filled, to be emptied again by an undo."""
    lacking: dict[str, Any] = {
        name: getattr(merged, name)
        for name in fields.CORE
        if name != "email" and not getattr(survivor, name) and getattr(merged, name)
    }
    lacking |= {name: value for name, value in merged.fields.items() if survivor.fields.get(name) in (None, "")}
    owner_before = survivor.owner_id
    filled = (
        updating.set_many(session, {survivor.id: lacking}, at=at, overwrite=False).get(survivor.id, [])
        if lacking
        else []
    )
    session.refresh(survivor)
    session.refresh(merged)
    survivor.owner_id = survivor.owner_id or merged.owner_id
    if merged.last_seen_at and (survivor.last_seen_at is None or survivor.last_seen_at < merged.last_seen_at):
        survivor.last_seen_at = merged.last_seen_at
    session.flush()
    return {"filled": {name: lacking[name] for name in filled}, "owner_id": owner_before}


def _share_tags(session: Session, survivor_id: int, merged_id: int) -> list[int]:
    had = set(session.scalars(sa.select(LeadTag.tag_id).where(LeadTag.lead_id == survivor_id)))
    gained = [
        tag for tag in session.scalars(sa.select(LeadTag).where(LeadTag.lead_id == merged_id)) if tag.tag_id not in had
    ]
    session.add_all(LeadTag(lead_id=survivor_id, tag_id=tag.tag_id, at=tag.at) for tag in gained)
    return [tag.tag_id for tag in gained]


def _strictest(session: Session, survivor_id: int, merged_id: int, at: datetime) -> dict[str, str | None]:
    """Per topic the stricter of both; topic -> what the survivor had before (None: nothing)."""
    rows = table("subscriptions")
    found = session.execute(sa.select(rows).where(rows.c.lead_id.in_([survivor_id, merged_id]))).all()
    mine = {row.topic_id: row.state for row in found if row.lead_id == survivor_id}
    before: dict[str, str | None] = {}
    for row in found:
        had = mine.get(row.topic_id)
        if row.lead_id != merged_id or (had and STRICTNESS.get(row.state, 2) <= STRICTNESS.get(had, 2)):
            continue
        before[str(row.topic_id)] = had
        values = {"lead_id": survivor_id, "topic_id": row.topic_id, "state": row.state, "at": at}
        here = sa.and_(rows.c.lead_id == survivor_id, rows.c.topic_id == row.topic_id)
        session.execute(
            sa.update(rows).where(here).values(state=row.state, at=at) if had else sa.insert(rows).values(values)
        )
    return before


def _opt_out(session: Session, survivor_id: int, merged_id: int) -> bool:
    rows = table("opt_outs")
    found = {
        row.lead_id: row for row in session.execute(sa.select(rows).where(rows.c.lead_id.in_([survivor_id, merged_id])))
    }
    if merged_id not in found or survivor_id in found:
        return False
    session.execute(sa.insert(rows).values(lead_id=survivor_id, reason=found[merged_id].reason, at=found[merged_id].at))
    return True


def _put_back(session: Session, done: Merge, at: datetime) -> None:
    undo, survivor = done.undo, session.get_one(Lead, done.survivor_id)
    filled = undo["values"]["filled"]
    same = {
        n: None
        for n, v in filled.items()
        if (getattr(survivor, n) if n in fields.CORE else survivor.fields.get(n)) == v
    }
    if same:
        updating.set_many(session, {survivor.id: same}, at=at, overwrite=True)
        session.refresh(survivor)
    survivor.owner_id = undo["values"]["owner_id"]
    session.execute(sa.delete(LeadTag).where(LeadTag.lead_id == survivor.id, LeadTag.tag_id.in_(undo["tags"])))
    rows = table("subscriptions")
    for topic, had in undo["subscriptions"].items():
        here = sa.and_(rows.c.lead_id == survivor.id, rows.c.topic_id == int(topic))
        session.execute(sa.update(rows).where(here).values(state=had) if had else sa.delete(rows).where(here))
    if undo["opted_out"]:
        session.execute(sa.delete(table("opt_outs")).where(table("opt_outs").c.lead_id == survivor.id))
