"""Handoffs by API: what waits for sales, and what became of it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from flask import Response, jsonify
from pydantic import BaseModel, Field

from app.accounts.models import User
from app.api.views.blueprint import Paged, blueprint, page
from app.engine.models import Decision
from app.leads.models import Lead
from app.sales.models import Handoff
from app.web import paging, session


class HandoffAnswer(BaseModel):
    """One lead given to sales."""

    id: int
    lead_id: int
    email: str | None
    owner: str | None = Field(description="The address of who has to answer.")
    state: str = Field(description="open, accepted, rejected or recycled.")
    reason: str
    why: str = Field(
        description="Who got the lead and how, as its story tells it; empty when it was handed over by hand."
    )
    created_at: datetime
    due_at: datetime
    answered_at: datetime | None
    come_back_at: datetime | None


class HandoffsAnswer(BaseModel):
    handoffs: list[HandoffAnswer]
    next: str | None


class HandoffsAsked(Paged):
    state: str = Field("", pattern="^(open|accepted|rejected|recycled|)$", description="Only those in this state.")


@blueprint.get("/handoffs", summary="List handoffs", responses={200: HandoffsAnswer})
def list_handoffs(query: HandoffsAsked) -> Response:
    """The newest first."""
    found = (
        sa.select(Handoff, Lead.email, User.email.label("owner"), Decision.why["note"].as_string().label("why"))
        .join(Lead, Lead.id == Handoff.lead_id)
        .outerjoin(User, User.id == Handoff.owner_id)
        .outerjoin(Decision, sa.and_(Decision.enrollment_id == Handoff.enrollment_id, Decision.visit == Handoff.visit))
    )
    if query.state:
        found = found.where(Handoff.state == query.state)
    listed = page(session(), found, [paging.Key(Handoff.id, True)], query)
    rows = [_answer(row.Handoff, row.email, row.owner, row.why) for row in listed.rows]
    return jsonify(HandoffsAnswer(handoffs=rows, next=listed.next).model_dump(mode="json"))


def _answer(handoff: Handoff, email: str | None, owner: str | None, why: str | None) -> HandoffAnswer:
    names = HandoffAnswer.model_fields.keys() - {"email", "owner", "why"}
    return HandoffAnswer(email=email, owner=owner, why=why or "", **{name: getattr(handoff, name) for name in names})
