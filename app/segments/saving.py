"""Makes, changes and deletes segments, and refuses what would break those who use them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.segments import refreshing, ruling
from app.segments.models import Segment


class BadSegment(ValueError):
    """What is wrong with a segment, as sentences."""

    def __init__(self, *sentences: str) -> None:
        super().__init__(" ".join(sentences))
        self.sentences = sentences


def save(
    session: Session,
    segment: Segment | None,
    *,
    name: str,
    rule: Any,
    description: str = "",
    key: str = "",
    at: datetime,
) -> Segment:
    """Make a segment or change one, and sort everybody at once. The key never changes, because flows name it."""
    name = " ".join(name.split())[:200]
    complaints = [c.sentence for c in ruling.check(rule, ruling.known(session))]
    if not name:
        complaints.insert(0, "Give the segment a name.")
    if segment is not None and _asks_itself(session, segment.key, rule):
        complaints.append("The segment asks about itself, by way of another; choose another segment.")
    if complaints:
        raise BadSegment(*complaints)
    if segment is None:
        key = _free_key(session, key or name)
        segment = Segment(key=key, name=name, rule={}, created_at=at, updated_at=at)
        session.add(segment)
    segment.name, segment.description, segment.rule, segment.updated_at = name, description.strip(), dict(rule), at
    session.flush()
    refreshing.ordered(session)  # works out who drifts
    refreshing.refresh_one(session, segment, now=at)
    return segment


def slug(text: str) -> str:
    """A readable key: "Swiss leads" becomes "swiss-leads"."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80] or "segment"


def _free_key(session: Session, text: str) -> str:
    wanted = slug(text)
    taken = set(session.scalars(sa.select(Segment.key).where(Segment.key.startswith(wanted, autoescape=True))))
    numbered = (f"{wanted}-{n}" for n in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(k for k in numbered if k not in taken)


def _asks_itself(session: Session, key: str, rule: Any) -> bool:
    asked = {k: refreshing.asks(r) for k, r in session.execute(sa.select(Segment.key, Segment.rule))}
    seen: set[str] = set()
    waiting = refreshing.asks(rule)
    while waiting:
        seen |= waiting
        waiting = set().union(*(asked.get(k, set()) for k in waiting)) - seen
    return key in seen


def delete(session: Session, segment: Segment) -> None:
    """Delete a segment that nothing uses; else BadSegment names who does."""
    uses = used_by(session, segment.key)
    if uses:
        named = ", ".join(f"{kind} “{name}”" for kind, name, _ in uses)
        raise BadSegment(f"“{segment.name}” is used by {named}. Take it out there first.")
    session.delete(segment)
    session.flush()


def used_by(session: Session, key: str) -> list[tuple[str, str, int]]:
    """(sort, name, id) of everything that names the segment: segments, campaigns, the sales definition, scoring."""
    uses = [
        ("segment", s.name, s.id)
        for s in session.scalars(sa.select(Segment).order_by(Segment.name))
        if key in refreshing.asks(s.rule)
    ]
    uses += [("campaign", name, id_) for id_, name, flow in _flows(session) if key in _named_segments(flow)]
    for table, sort, column in (("definitions", "definition", "rule"), ("score_models", "scoring model", "rules")):
        rows = session.execute(sa.select(db.table(table)))
        uses += [(sort, r.name, r.id) for r in rows if key in _named_segments(getattr(r, column))]
    return list(dict.fromkeys(uses))


def _flows(session: Session) -> Iterator[tuple[int, str, Any]]:
    campaigns, versions, drafts = db.table("campaigns"), db.table("versions"), db.table("drafts")
    current = campaigns.join(versions, versions.c.id == campaigns.c.version_id)
    drawn = campaigns.join(drafts, drafts.c.campaign_id == campaigns.c.id)
    for source, flow in ((current, versions.c.flow), (drawn, drafts.c.flow)):
        yield from session.execute(sa.select(campaigns.c.id, campaigns.c.name, flow).select_from(source))


def _named_segments(data: Any) -> set[str]:
    """Every value of a member called "segment", however deep: settings of steps and triggers, rules; and who is awaited in one."""
    if isinstance(data, Mapping):
        own = {data["segment"]} if isinstance(data.get("segment"), str) else set()
        if data.get("event") in ("segment_joined", "segment_left") and isinstance(data.get("subject"), str):
            own.add(data["subject"])
        return own.union(*(_named_segments(value) for value in data.values()))
    return set().union(*(_named_segments(item) for item in data)) if isinstance(data, list) else set()
