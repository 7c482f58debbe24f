"""Takes a test lead through a flow in seconds: the real engine on a copy of the lead; nothing of it is sent or kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.campaigns import choosing, reactions, retelling, scratch
from app.campaigns.hurrying import Hurry, Nowhere, current
from app.campaigns.retelling import Told
from app.db import Database
from app.engine import barring, entering
from app.engine.graph import TriggerSpec
from app.engine.models import Enrollment
from app.leads.models import Lead
from app.mail import links, telling


class CannotTry(ValueError):
    """Why nobody can be taken through, in one sentence."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to try: which flow (None: the draft), whom, from when, and what happens on the way.

    `by_trigger`: the lead is not let in at once, but comes in by what happens, as in earnest.
    """

    campaign_id: int
    lead_id: int
    version: int | None = None
    at: datetime | None = None
    reactions: tuple[str, ...] = ()
    by_trigger: bool = False


def attempt(
    database: Database, wanted: Wanted, *, base_url: str, said: Callable[[datetime], str] = telling.in_utc
) -> Told:
    """Take the lead through; nothing of it is written to `database`. Raises CannotTry and BadReaction."""
    links.use(base_url)
    given = reactions.read(wanted.reactions)
    began = wanted.at or clock.now()
    with database.read() as session:
        flow = choosing.flow_of(session, wanted.campaign_id, wanted.version, verb="be tried", error=CannotTry)
        _living(session, wanted.lead_id)
        reactions.check(session, given)
    ids = {"lead_id": wanted.lead_id, "campaign_id": wanted.campaign_id}
    with scratch.copied(database, **ids, flow=flow, at=began) as copy:
        waiting = [each for each in given if each.verb != "webhook"]
        caller, is_let_in = Nowhere(reactions.answer_of(given)), not wanted.by_trigger
        hurry = Hurry(copy, wanted.lead_id, wanted.campaign_id, base_url, began, waiting, caller, is_let_in)
        if is_let_in:
            let_in(copy, wanted.lead_id, wanted.campaign_id, began)
        hurry.run()
        with copy.read() as session:
            return retelling.tell(session, hurry, said)


def _living(session: Session, lead_id: int) -> None:
    lead = session.get(Lead, lead_id)
    if lead is None or lead.erased_at is not None or lead.merged_into_id is not None:
        raise CannotTry("There is no such lead any more; choose another.")


def let_in(database: Database, lead_id: int, campaign_id: int, at: datetime) -> None:
    """Let the lead in as its first trigger would whose filter it passes. Raises CannotTry with what keeps it out."""
    with clock.at(at), database.write() as session:
        version = current(session, campaign_id)
        for spec in version.flow.spec.triggers:
            if entering.enter(session, version, _entry(lead_id, spec, at), now=at, trigger=_unlimited(spec)):
                return
        reasons = [each for each in barring.why_not(session, lead_id, campaign_id) if "has not happened" not in each]
    raise CannotTry("The lead would not be let in. " + (" ".join(reasons) or "The flow has no trigger."))


def _unlimited(spec: TriggerSpec) -> TriggerSpec:
    """How many others come in on that day cannot be known."""
    return spec.model_copy(update={"most_per_day": None})


def _entry(lead_id: int, spec: TriggerSpec, at: datetime) -> sa.Subquery:
    columns = (sa.literal(lead_id).label("lead_id"), sa.literal(at, Enrollment.entered_at.type).label("at"))
    return sa.select(*columns, sa.literal(f"{spec.id}:try").label("occasion")).subquery("matching")
