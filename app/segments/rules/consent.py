"""Where a lead stands with mail: agreed to a topic, withdrew, or was never asked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa

from app.kinds import Settings, Widget
from app.preferences.models import OptOut, Subscription, Topic
from app.segments.behaviour import within
from app.segments.ruletype import Names, RuleContext, RuleType, name_of

_STATES = (
    ("given", "has agreed to"),
    ("pending", "has not yet confirmed"),
    ("withdrawn", "has unsubscribed from"),
    ("never", "has never said about"),
)


class ConsentRule(Settings):
    state: Annotated[
        Literal["given", "pending", "withdrawn", "never"], Widget("Consent", "choice", choices=_STATES)
    ] = "given"
    topic: Annotated[str, Widget("Topic", "topic", hint="Empty: any topic")] = ""


def _standing(s: ConsentRule, *states: str) -> sa.Select[Any]:
    held, topics = sa.alias(Subscription.__table__), sa.alias(Topic.__table__)
    found = sa.select(held.c.lead_id).where(*([held.c.state.in_(states)] if states else []))
    if s.topic:
        found = found.select_from(held.join(topics, topics.c.id == held.c.topic_id)).where(topics.c.key == s.topic)
    return found


def _opted_out() -> sa.Select[Any]:
    gone = sa.alias(OptOut.__table__)
    return sa.select(gone.c.lead_id)


def _predicate(s: ConsentRule, ctx: RuleContext) -> sa.ColumnElement[bool]:
    stays = sa.not_(within(ctx, _opted_out(), negated=True))
    if s.state == "never":
        return sa.and_(stays, sa.not_(within(ctx, _standing(s), negated=True)))
    standing = within(ctx, _standing(s, s.state))
    return sa.or_(standing, within(ctx, _opted_out())) if s.state == "withdrawn" else sa.and_(standing, stays)


def _sentence(s: ConsentRule, names: Names) -> str:
    topic = name_of(names, "topic", s.topic) if s.topic else ""
    return {
        "given": f"has agreed to {topic or 'mail'}",
        "pending": f"has not yet confirmed {topic or 'the wish for mail'}",
        "withdrawn": f"has unsubscribed from {topic or 'a topic or all mail'}",
        "never": f"has never said yes or no to {topic or 'mail'}",
    }[s.state]


def _operands(s: ConsentRule, ctx: RuleContext) -> dict[str, sa.ColumnElement[Any]]:
    topic = s.topic or "any topic"
    return {
        f"agreed to {topic}": within(ctx, _standing(s, "given")),
        "unsubscribed from all": within(ctx, _opted_out()),
    }


RULE = RuleType(
    label="Consent",
    icon="checklist",
    category="Email",
    Settings=ConsentRule,
    example={"state": "given", "topic": "product-news"},
    predicate=_predicate,
    sentence=_sentence,
    operands=_operands,
)
