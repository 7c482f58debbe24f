"""The list of leads: who is asked for, in which order, a page at a time, as fast at a million as at a thousand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.db import Instant, rows_of, table
from app.leads.finding import is_living
from app.leads.models import STAGES, Lead, LeadTag, Tag
from app.leads.values import clean

MOST_COUNTED = 10_000
MOST_WORDS = 6
FEW = 5_000  # up to so many matches it is better to find them first and sort them than to walk the order and look

SEEN: sa.ColumnElement[Any] = sa.type_coerce(sa.func.coalesce(Lead.last_seen_at, sa.literal_column("0")), Instant)
SORTS: dict[str, sa.ColumnElement[Any]] = {
    "name": Lead.__table__.c.last_name,
    "score": Lead.__table__.c.score,
    "seen": SEEN,
    "created": Lead.__table__.c.created_at,
}
DEFAULT_SORT = "-created"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody looks for in the list."""

    q: str = ""
    segment: str = ""
    stage: str = ""
    temperature: str = ""
    owner: str = ""
    tag: str = ""
    company: str = ""
    sort: str = DEFAULT_SORT

    @classmethod
    def read(cls, given: Mapping[str, str]) -> Wanted:
        """From a page's address; what makes no sense there is left out."""
        found = {name: clean(given.get(name, ""))[:200] for name in cls.__dataclass_fields__}
        if found["sort"].removeprefix("-") not in SORTS:
            found["sort"] = DEFAULT_SORT
        if found["stage"] not in STAGES:
            found["stage"] = ""
        return cls(**found)

    def arguments(self) -> dict[str, str]:
        """The same as an address, without what is not asked."""
        pairs = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in pairs.items() if value and (name, value) != ("sort", DEFAULT_SORT)}

    @property
    def is_filtered(self) -> bool:
        return any(name != "sort" for name in self.arguments())


Where = list[sa.ColumnElement[bool]]


def query(session: Session, wanted: Wanted, where: Where | None = None) -> sa.Select[Lead, str]:
    """Rows of (Lead, owner's name), in no order yet."""
    rows = sa.select(Lead, User.name.label("owner")).outerjoin(User, User.id == Lead.owner_id)
    return rows.where(*(conditions(session, wanted) if where is None else where))


def order(wanted: Wanted) -> list[tuple[sa.ColumnElement[Any], bool]]:
    """The columns to sort by, each with whether it descends; both the same way, so that an index can seek."""
    is_descending = wanted.sort.startswith("-")
    return [(SORTS[wanted.sort.removeprefix("-")], is_descending), (Lead.__table__.c.id, is_descending)]


def count(session: Session, where: Where) -> tuple[int, bool]:
    """How many there are, and whether that is exact; beyond some thousands nobody waits for the exact number."""
    some = sa.select(sa.literal(1)).select_from(Lead).where(*where).limit(MOST_COUNTED + 1)
    found = session.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0
    return min(found, MOST_COUNTED), found <= MOST_COUNTED


def ids(session: Session, wanted: Wanted) -> sa.Select[int]:
    """The leads asked for as a set."""
    return sa.select(Lead.id).where(*conditions(session, wanted))


def conditions(session: Session, wanted: Wanted) -> Where:
    """What is asked for as SQL, put so that both databases find few among many without reading them all."""
    found: Where = [is_living()]
    words = wanted.q.casefold().split()[:MOST_WORDS]
    if words:
        found.append(_few_or(session, sa.and_(*(Lead.search_text.contains(word, autoescape=True) for word in words))))
    if wanted.stage:
        found.append(_few_or(session, Lead.stage == wanted.stage, sa.func.lower(Lead.stage) == wanted.stage))
    if wanted.temperature:
        found.append(Lead.temperature == wanted.temperature)
    if wanted.owner:
        is_number = wanted.owner.isdecimal() and len(wanted.owner) < 16
        found.append(Lead.owner_id == int(wanted.owner) if is_number else Lead.owner_id.is_(None))
    if wanted.company.isdecimal() and len(wanted.company) < 16:
        found.append(Lead.company_id == int(wanted.company))
    if wanted.tag:
        tagged = sa.select(LeadTag.lead_id).join(Tag, Tag.id == LeadTag.tag_id).where(Tag.key == wanted.tag)
        found.append(Lead.id.in_(tagged))
    if wanted.segment:
        found.append(_is_member(session, wanted.segment))
    return found


def _few_or(
    session: Session, asked: sa.ColumnElement[bool], otherwise: sa.ColumnElement[bool] | None = None
) -> sa.ColumnElement[bool]:
    """The few leads that match, by id; when they are many, a condition that no index can answer.

    A planner without statistics would fetch and sort a million leads of a common stage, or walk a million in the
    sort order for a rare word; this way a page takes the shorter way of the two.
    """
    few = session.scalars(sa.select(Lead.id).where(asked).limit(FEW + 1)).all()
    if len(few) > FEW:
        return asked if otherwise is None else otherwise
    return Lead.id.in_(sa.select(rows_of([[i] for i in few], lead_id=sa.BigInteger()).c.lead_id))


def _is_member(session: Session, key: str) -> sa.ColumnElement[bool]:
    segments, members = table("segments"), table("segment_members")
    row = session.execute(sa.select(segments.c.id, segments.c.members_count).where(segments.c.key == key)).first()
    if row is None:
        return sa.false()
    if row.members_count <= FEW:
        return Lead.id.in_(sa.select(members.c.lead_id).where(members.c.segment_id == row.id))
    one = sa.select(members.c.lead_id).where(members.c.segment_id == row.id, members.c.lead_id == Lead.id)
    return one.correlate(Lead).exists()


def tags_of(session: Session, lead_ids: list[int]) -> dict[int, list[Tag]]:
    """The tags of each of these leads."""
    query = sa.select(LeadTag.lead_id, Tag).join(Tag, Tag.id == LeadTag.tag_id).where(LeadTag.lead_id.in_(lead_ids))
    found: dict[int, list[Tag]] = {}
    for lead_id, tag in session.execute(query.order_by(Tag.name)):
        found.setdefault(lead_id, []).append(tag)
    return found
