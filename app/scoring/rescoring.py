"""Applies a changed model to everything that ever happened: differences become lines, nothing is rewritten."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads.models import Lead
from app.scoring import decaying, grading, model, scoring
from app.scoring.model import DECAY, ScoreRule
from app.scoring.scoring import EVENTS, IDENTITIES, LEDGER


def rescore(session: Session, now: datetime) -> int:
    """Score every lead anew by the active model; how many leads have another score, grade or temperature."""
    found = model.active(session)
    if found is None:
        return 0
    current, everybody = found[1], sa.select(Lead.id)
    parts = [_gives(rule) for rule in current.of("interest")] + [_gave()]
    lines = scoring.differences(parts, current, "interest", now, "Model changed, no longer: ", "Model changed: ")
    scoring.write_lines(session, lines)
    scoring.write_fit(session, current, everybody, now)
    changed = grading.regrade(session, everybody, now=now)
    return max(changed, decaying.fade(session, now))


def _gives(rule: ScoreRule) -> sa.Select[Any]:
    """What a rule gives for all that was ever recorded, up to its cap."""
    times = sa.func.count()
    capped = sa.case((times > scoring.most_times(rule), scoring.most_times(rule)), else_=times)
    return (
        sa.select(
            IDENTITIES.c.lead_id.label("lead_id"),
            sa.literal(rule.key, sa.String).label("rule_key"),
            (capped * rule.points).label("points"),
        )
        .select_from(EVENTS.join(IDENTITIES, IDENTITIES.c.id == EVENTS.c.identity_id))
        .where(scoring.matching(rule), EVENTS.c.is_new.is_(False), IDENTITIES.c.lead_id.is_not(None))
        .group_by(IDENTITIES.c.lead_id)
    )


def _gave() -> sa.Select[Any]:
    by_rule = sa.and_(LEDGER.c.dimension == "interest", LEDGER.c.rule_key.is_not(None), LEDGER.c.rule_key != DECAY)
    owners = IDENTITIES.alias()
    return (
        sa.select(owners.c.lead_id, LEDGER.c.rule_key, -LEDGER.c.points)
        .join(owners, owners.c.id == LEDGER.c.lead_id)
        .where(by_rule)
    )
