"""Leads that carry a tag, or do not."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from app.kinds import Settings, Widget
from app.leads.models import LeadTag, Tag
from app.segments.behaviour import within
from app.segments.ruletype import Names, RuleContext, RuleType, name_of


class TagRule(Settings):
    has: Annotated[
        Literal["has", "has_not"],
        Widget("Tagged?", "choice", choices=(("has", "has the tag"), ("has_not", "does not have the tag"))),
    ] = "has"
    tag: Annotated[str, Field(min_length=1), Widget("Tag", "tag")]


def _tagged(s: TagRule, ctx: RuleContext) -> sa.Select[Any]:
    carried, tags = sa.alias(LeadTag.__table__), sa.alias(Tag.__table__)
    return (
        sa.select(carried.c.lead_id)
        .select_from(carried.join(tags, tags.c.id == carried.c.tag_id))
        .where(tags.c.key == s.tag)
    )


def _predicate(s: TagRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    tagged = _tagged(s, ctx)
    return within(ctx, tagged) if s.has == "has" else sa.not_(within(ctx, tagged, negated=True))


def _sentence(s: TagRule, names: Names) -> str:
    return f"{'has' if s.has == 'has' else 'does not have'} the tag {name_of(names, 'tag', s.tag)}"


def _operands(s: TagRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    return {f"tag {s.tag}": within(ctx, _tagged(s, ctx))}


RULE = RuleType(
    label="Tag",
    icon="tag",
    category="Profile",
    Settings=TagRule,
    example={"has": "has", "tag": "trade-fair"},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
)
