"""What the scoring pages show; reading only."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import Audit
from app.leads.models import Lead
from app.scoring.model import FIT_GRADES, INTEREST_GRADES
from app.segments import ruling

RESCORED = "rescored everybody"


def matrix(session: Session) -> dict[str, int]:
    """How many leads stand at each pair of grades, "A1" to "D4"."""
    query = (
        sa.select(Lead.fit_grade, Lead.interest_grade, sa.func.count().label("leads"))
        .where(ruling.living())
        .group_by(Lead.fit_grade, Lead.interest_grade)
    )
    counted = {f"{row.fit_grade}{row.interest_grade}": row.leads for row in session.execute(query)}
    return {
        f"{fit}{interest}": counted.get(f"{fit}{interest}", 0) for fit in FIT_GRADES for interest in INTEREST_GRADES
    }


def top(session: Session, most: int = 8) -> list[Lead]:
    """The leads with the highest scores that are not yet with sales."""
    early = Lead.stage.in_(("subscriber", "lead", "mql"))
    return list(
        session.scalars(sa.select(Lead).where(ruling.living(), early).order_by(Lead.score.desc(), Lead.id).limit(most))
    )


def rescored_at(session: Session) -> datetime | None:
    """When everybody was last scored anew."""
    return session.scalar(
        sa.select(sa.func.max(Audit.at)).where(Audit.subject_kind == "score_model", Audit.action == RESCORED)
    )
