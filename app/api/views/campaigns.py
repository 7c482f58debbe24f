"""Campaigns by API: the list, the figures, letting leads in, and why a lead is where it is."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Response, jsonify
from pydantic import BaseModel, Field

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.api.description import Given
from app.api.views.blueprint import blueprint
from app.api.views.leads import MOST_ID, known
from app.campaigns import contrasting, queries, statistics
from app.campaigns.models import Shadow
from app.engine import barring, entering, explaining, replaying
from app.engine.models import Campaign, Version
from app.leads import addresses
from app.leads.finding import is_living
from app.leads.models import Lead
from app.web import Refused, database, session


class CampaignAnswer(BaseModel):
    """A campaign with its figures."""

    key: str
    name: str
    state: str = Field(description="draft, live, paused or ended.")
    entered: int
    in_flow: int
    sent: int
    opened: int
    handed_over: int
    converted: int


class CampaignsAnswer(BaseModel):
    campaigns: list[CampaignAnswer]


class CampaignsAsked(Given):
    state: str = Field("", pattern="^(draft|live|paused|ended|)$", description="Only those in this state.")


class CampaignPath(BaseModel):
    key: str = Field(max_length=200)


class CampaignLeadPath(CampaignPath):
    lead_id: int = Field(ge=1, le=MOST_ID)


class Statistics(BaseModel):
    """Leads by state and the figures of every step, as `flask campaigns stats` tells them."""

    campaign: str
    state: str
    entered: int
    states: dict[str, int]
    steps: dict[str, Any]


class ShadowAnswer(BaseModel):
    """A flow run in shadow beside the live one, over the same time, as `flask campaigns shadow show` tells it."""

    number: int | None = Field(description="The version that runs in shadow; none: the draft, as it was at the start.")
    started_at: datetime
    ran_until: datetime | None
    is_full: bool = Field(description="More leads would have come in than are followed.")
    trouble: str | None
    entered: dict[str, Any]
    steps: list[dict[str, Any]]
    mails: list[dict[str, Any]]
    owed: list[dict[str, Any]]
    changes: list[str]
    parted: list[dict[str, Any]] = Field(description="The first leads whose path is another one, with a sentence each.")
    parted_count: int
    alike_count: int
    unknown: list[str]


class LeadsGiven(Given):
    """Leads to let in, by address or by id."""

    emails: list[str] = Field(default_factory=list, max_length=10_000)
    ids: list[int] = Field(default_factory=list, max_length=10_000)
    props: dict[str, str | int] = Field(
        default_factory=dict,
        max_length=20,
        description="What it is about, such as the order that is the key where a lead may come again for each one.",
    )


class LeadsAsked(BaseModel):
    requested: int = Field(description="Leads that enter at the engine's next tick, if the campaign lets them.")
    unknown: list[str] = Field(description="Addresses and ids of nobody.")


class Why(BaseModel):
    """The lead's passages with every decision; and, if it is not inside now, what keeps it out."""

    passages: list[dict[str, Any]]
    kept_out: list[str]


class Replayed(BaseModel):
    """Every decision of the lead asked again from the log, as `flask replay` tells it."""

    passages: list[dict[str, Any]]
    has_drift: bool = Field(description="Whether the log leads elsewhere at one of them.")


class StepPath(CampaignPath):
    step: str = Field(max_length=200)


class Standing(BaseModel):
    """A lead that stands at the step now."""

    lead_id: int
    email: str | None
    arrived_at: datetime
    due_at: datetime | None
    why: str = Field(description="What it waits for, or why it is still here.")


class StepAnswer(BaseModel):
    """Who stands at a step, the first to go on first, at most a hundred."""

    total: int
    leads: list[Standing]


@blueprint.get("/campaigns", summary="List campaigns", responses={200: CampaignsAnswer})
def list_campaigns(query: CampaignsAsked) -> Response:
    names = CampaignAnswer.model_fields
    rows = [{name: getattr(row, name) for name in names} for row in queries.listed(session(), state=query.state)]
    return jsonify(campaigns=rows)


@blueprint.get("/campaigns/<key>/stats", summary="Figures of a campaign", responses={200: Statistics})
def campaign_stats(path: CampaignPath) -> Response:
    campaign = _found(path.key)
    version = session().get(Version, campaign.version_id) if campaign.version_id else None
    flow = version.flow if version else {"triggers": [], "steps": []}
    return jsonify(statistics.totals(session(), campaign.id, flow, now=clock.now()))


@blueprint.get("/campaigns/<key>/shadow", summary="A shadow beside the live version", responses={200: ShadowAnswer})
def campaign_shadow(path: CampaignPath) -> Response:
    """404 when no shadow runs."""
    running = session().get(Shadow, _found(path.key).id)
    if running is None:
        raise Refused("The campaign has no shadow; start one on its page.", 404)
    told = asdict(contrasting.contrast(session(), running))
    names = ("number", "started_at", "ran_until", "is_full", "trouble")
    head = {name: getattr(running, name) for name in names}
    return jsonify(ShadowAnswer(**head, **told).model_dump(mode="json"))


@blueprint.post("/campaigns/<key>/leads", summary="Let leads into a campaign", responses={200: LeadsAsked})
def enter_campaign(path: CampaignPath, body: LeadsGiven) -> Response:
    """The campaign must be live and have the trigger "Added by hand"."""
    campaign = _found(path.key)
    if campaign.id not in {open_id for open_id, _ in queries.open_by_hand(session())}:
        raise Refused("The campaign takes nobody by hand: publish it with the trigger “Added by hand”.")
    ids, unknown = _meant(body)
    if not ids:
        raise Refused("None of these leads is known; create them first with PUT /api/v1/leads.")
    leads = sa.select(Lead.id).where(Lead.id.in_(ids), is_living())
    reason = f"API, {current_user.name}"
    count = entering.request(session(), campaign.id, leads, at=clock.now(), reason=reason, props=body.props)
    auditing.note(session(), current_user.id, "let leads in by API", "campaign", campaign.id, {"leads": count})
    return jsonify(requested=count, unknown=unknown)


@blueprint.get("/campaigns/<key>/leads/<int:lead_id>/why", summary="Why a lead is where it is", responses={200: Why})
def explain(path: CampaignLeadPath) -> Response:
    campaign, lead = _found(path.key), known(path.lead_id)
    passages = [asdict(passage) for passage in explaining.why(session(), lead.id, campaign.id)]
    is_inside = any(passage["state"] == "active" for passage in passages)
    kept_out = [] if is_inside else barring.why_not(session(), lead.id, campaign.id)
    return jsonify(Why(passages=passages, kept_out=kept_out).model_dump(mode="json"))


@blueprint.get("/campaigns/<key>/leads/<int:lead_id>/replay", summary="Ask decisions again", responses={200: Replayed})
def replay(path: CampaignLeadPath) -> Response:
    """Nothing is changed: what was known then is put back, the same steps are run, and all of it is undone."""
    campaign, lead = _found(path.key), known(path.lead_id)
    told = [replaying.replay(database(), id_) for id_ in replaying.passages(session(), lead.id, campaign.id)]
    answer = Replayed(passages=[asdict(one) for one in told], has_drift=any(one.drift for one in told))
    return jsonify(answer.model_dump(mode="json"))


@blueprint.get("/campaigns/<key>/steps/<step>/leads", summary="Who stands at a step", responses={200: StepAnswer})
def step_leads(path: StepPath) -> Response:
    total, standing = explaining.at_step(session(), _found(path.key).id, path.step)
    return jsonify(
        StepAnswer(total=total, leads=[Standing(**asdict(each)) for each in standing]).model_dump(mode="json")
    )


def _found(key: str) -> Campaign:
    campaign = session().scalar(sa.select(Campaign).where(Campaign.key == key))
    if campaign is None:
        raise Refused("There is no such campaign.", 404)
    return campaign


def _meant(body: LeadsGiven) -> tuple[list[int], list[str]]:
    """The ids of the leads named, and the names of nobody."""
    by_address: dict[str, str] = {}
    unknown: list[str] = []
    for given in body.emails:
        try:
            by_address[addresses.canonical(given)] = given
        except addresses.BadAddress:
            unknown.append(given)
    living = sa.select(Lead.id, Lead.canonical_email).where(is_living())
    found = {
        row.id: row.canonical_email for row in session().execute(living.where(Lead.canonical_email.in_(by_address)))
    }
    here = set(
        session().scalars(sa.select(Lead.id).where(is_living(), Lead.id.in_(i for i in body.ids if abs(i) <= MOST_ID)))
    )
    unknown += [given for address, given in by_address.items() if address not in set(found.values())]
    unknown += [str(lead_id) for lead_id in body.ids if lead_id not in here]
    return sorted({*found, *here}), unknown
