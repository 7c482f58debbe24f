"""A lead's history with a campaign: in it now, ever, finished, converted, or never."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa

from app import db
from app.kinds import Settings, Widget
from app.segments.behaviour import within
from app.segments.ruletype import Names, RuleContext, RuleType, name_of

_STATES = (
    ("active", "is now in"),
    ("ever", "was ever in"),
    ("completed", "completed"),
    ("converted", "converted in"),
    ("exited", "left early"),
    ("not_active", "is not now in"),
    ("never", "was never in"),
)


class InCampaignRule(Settings):
    state: Annotated[
        Literal["active", "ever", "completed", "converted", "exited", "not_active", "never"],
        Widget("History", "choice", choices=_STATES),
    ] = "active"
    campaign: Annotated[str, Widget("Campaign", "campaign", hint="Empty: any campaign")] = ""


def _enrolled(s: InCampaignRule) -> sa.Select[Any]:
    enrollments, campaigns = sa.alias(db.table("enrollments")), sa.alias(db.table("campaigns"))
    found = sa.select(enrollments.c.lead_id)
    if s.campaign:
        joined = enrollments.join(campaigns, campaigns.c.id == enrollments.c.campaign_id)
        found = found.select_from(joined).where(campaigns.c.key == s.campaign)
    state = s.state.removeprefix("not_")
    return found if state in ("ever", "never") else found.where(enrollments.c.state == state)


def _predicate(s: InCampaignRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    enrolled = _enrolled(s)
    if s.state in ("never", "not_active"):
        return sa.not_(within(ctx, enrolled, negated=True))
    return within(ctx, enrolled)


def _sentence(s: InCampaignRule, names: Names) -> str:
    campaign = f"the campaign {name_of(names, 'campaign', s.campaign)}" if s.campaign else "any campaign"
    return f"{dict(_STATES)[s.state]} {campaign}"


def _operands(s: InCampaignRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    state = s.state.removeprefix("not_").replace("never", "ever")
    return {f"{state} in {s.campaign or 'any campaign'}": within(ctx, _enrolled(s))}


RULE = RuleType(
    label="Campaign",
    icon="sitemap",
    category="Groups and campaigns",
    Settings=InCampaignRule,
    example={"state": "converted", "campaign": "pricing-guide-nurture"},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
)
