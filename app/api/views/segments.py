"""Segments by API: the list, and who is in one."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from flask import Response, jsonify
from pydantic import BaseModel, Field

from app.api.views.blueprint import Paged, blueprint, page
from app.leads.models import Lead
from app.segments.models import Segment, SegmentMember
from app.web import Refused, paging, session


class SegmentAnswer(BaseModel):
    key: str
    name: str
    description: str
    members_count: int
    refreshed_at: datetime | None


class SegmentsAnswer(BaseModel):
    segments: list[SegmentAnswer]


class SegmentPath(BaseModel):
    key: str = Field(max_length=200)


class Member(BaseModel):
    id: int
    email: str | None
    joined_at: datetime


class MembersAnswer(BaseModel):
    members: list[Member]
    next: str | None


@blueprint.get("/segments", summary="List segments", responses={200: SegmentsAnswer})
def list_segments() -> Response:
    rows = session().scalars(sa.select(Segment).order_by(Segment.key))
    names = SegmentAnswer.model_fields
    answer = SegmentsAnswer(segments=[SegmentAnswer(**{name: getattr(row, name) for name in names}) for row in rows])
    return jsonify(answer.model_dump(mode="json"))


@blueprint.get("/segments/<key>/members", summary="Members of a segment", responses={200: MembersAnswer})
def list_members(path: SegmentPath, query: Paged) -> Response:
    segment = session().scalar(sa.select(Segment).where(Segment.key == path.key))
    if segment is None:
        raise Refused("There is no such segment.", 404)
    members = (
        sa.select(SegmentMember.lead_id, Lead.email, SegmentMember.joined_at)
        .join(Lead, Lead.id == SegmentMember.lead_id)
        .where(SegmentMember.segment_id == segment.id)
    )
    listed = page(session(), members, [paging.Key(SegmentMember.lead_id)], query)
    found = [Member(id=row.lead_id, email=row.email, joined_at=row.joined_at) for row in listed.rows]
    return jsonify(MembersAnswer(members=found, next=listed.next).model_dump(mode="json"))
