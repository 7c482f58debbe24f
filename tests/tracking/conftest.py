from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from app.leads.models import Lead
from app.tracking.models import Identity

MakeLead = Callable[..., int]


@pytest.fixture
def make_lead(now: datetime) -> MakeLead:
    """A bare lead with its own identity; answers its id."""

    def make(session: Session, email: str | None = None) -> int:
        own = Identity(kind="lead", created_at=now)
        session.add(own)
        session.flush()
        own.lead_id = own.id
        session.add(
            Lead(id=own.id, email=email, canonical_email=email, bucket=own.id % 64, created_at=now, updated_at=now)
        )
        session.flush()
        return own.id

    return make
