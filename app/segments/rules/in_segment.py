"""Members of another segment, or everybody else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from app.kinds import Settings, Widget
from app.segments.behaviour import within
from app.segments.models import Segment, SegmentMember
from app.segments.ruletype import Names, RuleContext, RuleType, name_of


class InSegmentRule(Settings):
    member: Annotated[
        Literal["is", "is_not"], Widget("Member?", "choice", choices=(("is", "is in"), ("is_not", "is not in")))
    ] = "is"
    segment: Annotated[str, Field(min_length=1), Widget("Segment", "segment")]


def _members(s: InSegmentRule) -> sa.Select[Any]:
    members, segments = sa.alias(SegmentMember.__table__), sa.alias(Segment.__table__)
    return (
        sa.select(members.c.lead_id)
        .select_from(members.join(segments, segments.c.id == members.c.segment_id))
        .where(segments.c.key == s.segment)
    )


def _predicate(s: InSegmentRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    members = _members(s)
    return within(ctx, members) if s.member == "is" else sa.not_(within(ctx, members, negated=True))


def _sentence(s: InSegmentRule, names: Names) -> str:
    return f"is {'' if s.member == 'is' else 'not '}in the segment {name_of(names, 'segment', s.segment)}"


def _operands(s: InSegmentRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {f"in segment {s.segment}": within(ctx, _members(s))}


RULE = RuleType(
    label="Segment",
    icon="users-group",
    category="Groups and campaigns",
    Settings=InSegmentRule,
    example={"member": "is", "segment": "swiss-leads"},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
)
