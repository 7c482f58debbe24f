"""Makes noise when a lead was not answered in time: its rep and every administrator hear of it, once."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.db import rows_of
from app.leads.models import Lead
from app.sales.models import Alert, Handoff
from app.sales.naming import name_and_company

HANDOFF: sa.Table = Handoff.__table__
LEAD: sa.Table = Lead.__table__
USER: sa.Table = User.__table__
ALERT: sa.Table = Alert.__table__


def run_once(session: Session, now: datetime) -> int:
    """Escalate every handoff that is overdue and has not been escalated. How many."""
    late = session.scalars(
        sa.update(HANDOFF)
        .where(HANDOFF.c.state == "open", HANDOFF.c.due_at < now, HANDOFF.c.escalated_at.is_(None))
        .values(escalated_at=now)
        .returning(HANDOFF.c.id)
    ).all()
    ids = rows_of([(number,) for number in late], id=sa.BigInteger())
    owner = USER.alias("owner")
    text = sa.case(
        (USER.c.id == HANDOFF.c.owner_id, name_and_company() + " still waits for your first reply."),
        else_=name_and_company()
        + " still waits for a first reply from "
        + sa.func.coalesce(owner.c.name, "nobody")
        + ".",
    )
    told = sa.or_(USER.c.id == HANDOFF.c.owner_id, sa.and_(USER.c.role == "administrator", USER.c.is_active))
    rows = (
        sa.select(USER.c.id, HANDOFF.c.lead_id, text, sa.literal(now, ALERT.c.at.type), sa.true())
        .select_from(
            HANDOFF.join(LEAD, LEAD.c.id == HANDOFF.c.lead_id)
            .outerjoin(owner, owner.c.id == HANDOFF.c.owner_id)
            .join(USER, told)
        )
        .where(HANDOFF.c.id.in_(sa.select(ids.c.id)))
    )
    session.execute(sa.insert(ALERT).from_select(["user_id", "lead_id", "text", "at", "wants_mail"], rows))
    return len(late)
