"""The small numbers beside the rooms of the side bar: cheap to ask, and asked at most twice a minute."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database
from app.reports.overview import known_count
from app.reports.remembering import remembered
from app.sales import queries as sales
from app.sales.models import Rep


def badges(database: Database, session: Session, user_id: int) -> dict[str, int]:
    """By endpoint: the leads there are, and the leads that wait for this rep (for anybody, if it is no rep)."""

    def waiting() -> int:
        is_rep = session.scalar(sa.select(Rep.user_id).where(Rep.user_id == user_id)) is not None
        return sales.waiting_count(session, user_id if is_rep else None)

    return {
        "leads.index": remembered(database, "leads", lambda: known_count(session)),
        "sales.index": waiting(),  # at once: who has just answered a lead looks whether the number went down
    }
