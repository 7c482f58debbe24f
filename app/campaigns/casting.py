"""Makes the lead that a scenario gives, on a copy of the house: its fields, tags, consent, points and stage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns.scenarios import Scenario
from app.leads import creating, tagging
from app.leads.models import Lead
from app.preferences import consenting
from app.scoring import scoring, staging

_EMAIL = "scenario@example.com"


def zone(scenario: Scenario, otherwise: str) -> str:
    """The lead's own zone: as given, by its country or telephone, or that of the campaign."""
    known = {name: value for name, value in scenario.given.fields.items() if name in ("country", "phone")}
    inferred = creating.prepare({"email": _EMAIL, **known}, {}).get("inferred_zone")
    return scenario.given.zone or inferred or otherwise


def make(session: Session, scenario: Scenario, at: datetime) -> int:
    """The lead as the scenario gives it. Raises ValueError with what cannot be."""
    given = scenario.given
    values = {"first_name": "Sam", "last_name": "Scenario", "email": _EMAIL, **given.fields}
    if given.zone:
        values["zone"] = given.zone
    [lead_id] = creating.create_many(session, [values], source="Scenario", at=at)
    who = sa.select(Lead.id).where(Lead.id == lead_id)
    for key in given.tags:
        tagging.add(session, who, key, at=at)
    for key in given.consent:
        consenting.give(session, who, key, source="Scenario", at=at)
    _score(session, scenario, lead_id, who, at)
    if given.stage:
        staging.set_stage(session, who, given.stage, reason="Scenario", at=at)
    return lead_id


def _score(session: Session, scenario: Scenario, lead_id: int, who: sa.Select[Any], at: datetime) -> None:
    """Points by hand, so that it has what is given, whatever the model gives it for who it is."""
    wanted = scenario.given.score
    scoring.score_fit(session, who, now=at)
    if wanted is None:
        return
    session.expire_all()
    lead = session.get_one(Lead, lead_id)
    lacks = {"interest": wanted - lead.score} if isinstance(wanted, int) else {
        "fit": wanted.fit - lead.fit,
        "interest": wanted.interest - lead.interest,
    }  # fmt: skip
    for dimension, points in lacks.items():
        if points:
            scoring.change(session, who, points, dimension=dimension, reason="Scenario", at=at)
