"""Who takes leads: reps, their teams, their deserved shares, and when they are away."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.sales.models import Rep

MOST_WEIGHT = 100
MOST_A_DAY = 1000


class BadRep(ValueError):
    """Something about a rep that cannot be; its text is one sentence that says what to do."""


def enlist(session: Session, user_id: int, *, team: str = "", weight: int = 1, capacity: int | None = None) -> Rep:
    """Let a user take leads from now on, level with the team, so that nobody new is flooded."""
    if session.get(Rep, user_id):
        raise BadRep("This person takes leads already.")
    if not session.scalar(sa.select(User.id).where(User.id == user_id, User.is_active)):
        raise BadRep("Choose somebody who works here.")
    rep = Rep(user_id=user_id, team="", weight=1, given_count=0)
    session.add(rep)
    change(session, rep, team=team, weight=weight, absent_until=None, capacity=capacity)
    return rep


def change(
    session: Session, rep: Rep, *, team: str, weight: int, absent_until: datetime | None, capacity: int | None = None
) -> None:
    """Another team, share, absence or capacity; a new share starts level with the others of the team."""
    if not 0 <= weight <= MOST_WEIGHT:
        raise BadRep(f"A share is a number from 0 (takes none) to {MOST_WEIGHT}.")
    if capacity is not None and not 1 <= capacity <= MOST_A_DAY:
        raise BadRep(f"Leads a day are 1 to {MOST_A_DAY}; leave it empty when nobody can say.")
    if len(team) > 200:
        raise BadRep("Shorten the name of the team.")
    is_new_share = (rep.team, rep.weight) != (team.strip(), weight) or rep.given_count == 0
    rep.team, rep.weight, rep.absent_until, rep.capacity = team.strip(), weight, absent_until, capacity
    session.flush()
    if is_new_share and weight:
        rep.given_count = int(_level(session, rep) * weight)
    session.flush()


def release(session: Session, user_id: int) -> None:
    """This user takes no more leads; those it has stay with it."""
    session.execute(sa.delete(Rep).where(Rep.user_id == user_id))


def _level(session: Session, rep: Rep) -> float:
    """How many leads per share the team has had, by whoever had the fewest."""
    given = sa.cast(Rep.given_count, sa.Float(53)) / Rep.weight
    others = sa.select(sa.func.min(given)).where(Rep.team == rep.team, Rep.weight > 0, Rep.user_id != rep.user_id)
    return float(session.scalar(others) or 0)
