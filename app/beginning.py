"""Makes a new copy of Trellis ready to work: the schema, and defaults good enough to start with and easy to change."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from app import schema
from app.db import Database
from app.preferences import topics
from app.preferences.models import Topic
from app.scoring import seeding


def begin(database: Database, *, at: datetime) -> bool:
    """Bring the schema up to date and lay out what is missing; whether the schema was behind. Raises schema.NewerSchema."""
    was_behind = schema.upgrade(database)
    with database.write() as session:
        seeding.ensure(session, at=at)
        if was_behind and session.scalar(sa.select(Topic.id).limit(1)) is None:
            topics.ensure(session, "news", "News", description="What is new, now and then.")
    return was_behind
