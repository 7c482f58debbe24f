"""Users, reps and leads for the tests of sales, written straight into the tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.db import rows_of
from app.leads.models import Lead
from app.sales.models import Rep
from app.tracking.models import Identity


def user(session: Session, name: str, *, at: datetime, role: str = "sales", zone: str = "UTC") -> User:
    made = User(
        email=f"{name.casefold()}@nordhafen.example", name=name, role=role, password_hash="", zone=zone, created_at=at
    )
    session.add(made)
    session.flush()
    return made


def rep(
    session: Session,
    name: str,
    *,
    at: datetime,
    team: str = "",
    weight: int = 1,
    absent_until: datetime | None = None,
    zone: str = "UTC",
) -> User:
    made = user(session, name, at=at, zone=zone)
    session.add(Rep(user_id=made.id, team=team, weight=weight, absent_until=absent_until, given_count=0))
    session.flush()
    return made


def lead(session: Session, *, at: datetime, email: str | None = None, **values: Any) -> Lead:
    identity = Identity(kind="lead", created_at=at)
    session.add(identity)
    session.flush()
    identity.lead_id = identity.id
    made = Lead(
        id=identity.id,
        email=email,
        canonical_email=email,
        bucket=identity.id % 64,
        created_at=at,
        updated_at=at,
        **values,
    )
    session.add(made)
    session.flush()
    return made


def leads(session: Session, count: int, *, at: datetime) -> list[int]:
    """Many plain leads, with two statements."""
    ids = list(
        session.scalars(
            sa.insert(Identity).returning(Identity.id), [{"kind": "lead", "created_at": at} for _ in range(count)]
        )
    )
    session.execute(sa.update(Identity).where(Identity.lead_id.is_(None)).values(lead_id=Identity.id))
    session.execute(
        sa.insert(Lead),
        [
            {"id": i, "bucket": i % 64, "created_at": at, "updated_at": at, "first_name": f"Lead {i}", "fields": {}}
            for i in ids
        ],
    )
    return ids


def arrivals(lead_ids: Sequence[int], *, visit: int = 1, campaign_id: int = 1, step: str = "s1") -> sa.Subquery:
    """A source as a step gives it: enrollment n of lead n stands at `visit`."""
    given = rows_of([(i,) for i in lead_ids], id=sa.BigInteger())
    return (
        sa.select(
            Lead.id.label("lead_id"),
            (Lead.id + 1000).label("enrollment_id"),
            sa.literal(visit, sa.BigInteger()).label("visit"),
            sa.literal(campaign_id, sa.BigInteger()).label("campaign_id"),
            sa.literal(step).label("step"),
        )
        .where(Lead.id.in_(sa.select(given.c.id)))
        .subquery()
    )
