"""Leads who pass through a few steps, and what is seen of it: for the tests of actions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.db import Database
from app.engine.models import Enrollment
from app.engine.ticking import tick
from app.sales.models import Rep
from app.tracking.queries import lead_events
from tests import factories
from tests.conftest import NOW


def user(session: Session, name: str, role: str = "sales", *, rep: bool = False, **values: Any) -> User:
    """Somebody who signs in, and takes leads if asked."""
    made = User(email=f"{name}@example.com", name=name.title(), role=role, password_hash="-", created_at=NOW, **values)
    session.add(made)
    session.flush()
    if rep:
        session.add(Rep(user_id=made.id))
        session.flush()
    return made


def passing(
    database: Database, *steps: dict[str, Any], ids: list[int], key: str = "nurture", at: datetime = NOW
) -> None:
    """Let leads pass through these steps now."""
    with database.write() as session:
        made = factories.campaign(session, factories.flow(*steps), key=key)
        factories.request(session, made, ids, at=at)
    tick(database, at)


def states(database: Database) -> list[tuple[str, str | None]]:
    with database.read() as session:
        rows = sa.select(Enrollment.state, Enrollment.reason).order_by(Enrollment.lead_id, Enrollment.id)
        return [(state, reason) for state, reason in session.execute(rows)]


def events(database: Database, kind: str) -> list[tuple[int, str, dict[str, Any]]]:
    """(lead, subject, props) of all events of a kind."""
    with database.read() as session:
        found = lead_events().subquery()
        rows = sa.select(found.c.lead_id, found.c.subject, found.c.props).where(found.c.kind == kind)
        return [(lead, subject, props) for lead, subject, props in session.execute(rows.order_by(found.c.lead_id))]
