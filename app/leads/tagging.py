"""Tags: words marketers put on leads, added to and taken from whole sets at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads.fields import slug
from app.leads.finding import is_living
from app.leads.models import Lead, LeadTag, Tag
from app.leads.values import BadValue, clean, limited
from app.tracking import recording


def ensure(session: Session, name: str) -> Tag:
    """The tag of this name, made when it is new. Raises BadValue for a name without a letter or digit."""
    name = limited("The tag", clean(name), 60)
    key = slug(name)
    if not key:
        raise BadValue("A tag needs at least one letter or digit.")
    found = session.scalar(sa.select(Tag).where(Tag.key == key))
    if found is None:  # somebody else may be making it at this moment
        session.execute(recording.insert_once(session, Tag.__table__, "key").values(key=key, name=name))
        found = session.scalars(sa.select(Tag).where(Tag.key == key)).one()
    return found


def add(session: Session, leads: sa.Select[Any], tag_key: str, *, at: datetime) -> int:
    """Tag these leads; how many did not have the tag. An unknown tag is made."""
    tag = ensure(session, tag_key)
    has_it = sa.select(LeadTag.lead_id).where(LeadTag.lead_id == Lead.id, LeadTag.tag_id == tag.id).exists()
    missing = sa.select(Lead.id.label("lead_id")).where(Lead.id.in_(leads), is_living(), ~has_it)
    count = recording.record_for(session, missing.subquery(), kind="tag_added", subject=tag.key, at=at)
    if count:
        rows = missing.add_columns(sa.literal(tag.id, sa.BigInteger), sa.literal(at, LeadTag.at.type))
        session.execute(sa.insert(LeadTag).from_select(["lead_id", "tag_id", "at"], rows))
    return count


def remove(session: Session, leads: sa.Select[Any], tag_key: str, *, at: datetime) -> int:
    """Take the tag from these leads; how many had it."""
    tag = session.scalar(sa.select(Tag).where(Tag.key == slug(tag_key)))
    if tag is None:
        return 0
    has_it = sa.and_(LeadTag.tag_id == tag.id, LeadTag.lead_id.in_(leads))
    tagged = sa.select(LeadTag.lead_id.label("lead_id")).where(has_it).subquery()
    count = recording.record_for(session, tagged, kind="tag_removed", subject=tag.key, at=at)
    session.execute(sa.delete(LeadTag).where(has_it), execution_options={"synchronize_session": False})
    return count
