"""What people call the things that rules and flows name by key, for sentences and for pickers."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.accounts.models import User
from app.leads.models import STAGE_LABELS, LeadField, Tag
from app.preferences.models import Topic
from app.segments import fields
from app.segments.models import Segment
from app.segments.ruletype import Known


def names(session: Session) -> dict[tuple[str, str], str]:
    """(widget kind, key) -> name, of everything that can be named by key."""
    found: dict[tuple[str, str], str] = {("stage", key): label for key, label in STAGE_LABELS.items()}
    found |= {("field", name): label for name, (label, _) in fields.CORE.items()}
    listed = sa.union_all(*(_listed(kind, source, key, name) for kind, source, key, name in _sources()))
    found |= {(row.kind, row.key): row.name or row.key for row in session.execute(listed)}
    return found


def _sources() -> list[tuple[str, sa.FromClause, str, str]]:
    return [
        ("field", LeadField.__table__, "name", "label"),
        ("tag", Tag.__table__, "key", "name"),
        ("topic", Topic.__table__, "key", "name"),
        ("segment", Segment.__table__, "key", "name"),
        ("user", User.__table__, "email", "name"),
        ("mail", db.table("mails"), "key", "name"),
        ("form", db.table("forms"), "key", "name"),
        ("campaign", db.table("campaigns"), "key", "name"),
        ("definition", db.table("definitions"), "name", "name"),
    ]


def _listed(kind: str, source: sa.FromClause, key: str, name: str) -> sa.Select[tuple[str, str, str]]:
    return sa.select(sa.literal(kind).label("kind"), source.c[key].label("key"), source.c[name].label("name"))


def known(session: Session, since: tuple[str, ...] = ()) -> Known:
    """What rules may speak about now; `since` as ("arrival", "entry") inside a flow."""
    choices = {f.name: tuple(str(c) for c in f.choices) for f in fields.declared(session) if f.choices}
    return Known(names(session), fields.types(session), choices, frozenset(since))
