"""Give each lead to a person, to whoever is next in turn, or to nobody."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from app import db
from app.engine.batch import Batch, rows
from app.engine.steptype import StepType
from app.kinds import Complaint, Settings, Widget
from app.sales import turning
from app.segments.ruletype import Names

TO = (
    ("round_robin", "whoever is next in turn"),
    ("account_owner", "the account's owner, else in turn"),
    ("person", "one person"),
    ("nobody", "nobody"),
)


class SetOwner(Settings):
    to: Annotated[
        str, Field(pattern="^(round_robin|account_owner|person|nobody)$"), Widget("To", "choice", choices=TO)
    ] = "round_robin"
    person: Annotated[str, Field(max_length=320), Widget("Person", "user", shown_if=("to", "person"))] = ""
    team: Annotated[
        str,
        Field(max_length=200),
        Widget("Team", hint="Empty: everybody who takes leads.", shown_if=("to", "round_robin")),
    ] = ""
    only_without: Annotated[bool, Widget("Only leads without an owner", "switch")] = True


def describe(settings: SetOwner, names: Names) -> str:
    if settings.to == "person":
        return names.get(("user", settings.person), settings.person)
    return dict(TO)[settings.to] + (f": {settings.team}" if settings.team and settings.to == "round_robin" else "")


def run(batch: Batch, settings: SetOwner) -> None:
    leads = db.table("leads")
    chosen = sa.select(leads.c.id.label("lead_id")).where(leads.c.id.in_(batch.lead_ids))
    if settings.only_without and settings.to != "nobody":
        chosen = chosen.where(leads.c.owner_id.is_(None))
    turning.give(batch.session, chosen, to=settings.to, person=settings.person, team=settings.team, at=batch.now)
    if settings.to != "nobody":
        alone = sa.exists().where(leads.c.id == rows.c.lead_id, leads.c.owner_id.is_(None))
        batch.leave(where=alone, why=db.json_object("note", "nobody was there to take it"))
    batch.leave()


STEP = StepType(
    label="Set owner",
    icon="user-check",
    tone="pink",
    category="Actions",
    settings=SetOwner,
    example={"to": "round_robin", "only_without": False},
    describe=describe,
    check=lambda s: [Complaint("person", "Person is missing.")] if s.to == "person" and not s.person else [],
    run=run,
    keys=lambda s: [("user", s.person)] if s.to == "person" else [],
    help="Sales is not told; to hand a lead over with a task and a clock, use “Hand to sales”.",
)
