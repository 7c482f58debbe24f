"""The pages of rehearsals: start one, watch it, see on the canvas what would have come of it, and follow any lead."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.accounts import auditing, organisation
from app.accounts.guards import current_user
from app.campaigns import catching, drawing, likening, palette, queries, rehearsing, retracing
from app.campaigns.lenses import LENSES
from app.campaigns.models import Rehearsal, RehearsedPassage
from app.campaigns.performing import CannotRehearse, Wanted
from app.campaigns.views.room import blueprint, found
from app.db import Database
from app.leads.models import Lead
from app.mail.queries import REASONS
from app.segments import ruling
from app.segments.models import Segment
from app.web import Refused, database, htmx, session, settings
from app.web.assets import asset
from app.web.filters import local, plural
from app.zones import instant, zone

EVERY = [("1440", "Once a day"), ("360", "Every six hours"), ("60", "Every hour")]
MOST_LISTED = 50
AT_FIRST = timedelta(days=90)


@blueprint.get("/campaigns/<int:campaign_id>/rehearsals")
def rehearsals(campaign_id: int) -> str:
    """Those there are, and the form that starts another."""
    campaign = found(campaign_id)
    now = clock.now()
    listed = _listed(campaign_id)
    names = dict(session().execute(sa.select(Segment.key, Segment.name).order_by(Segment.name)).all())
    return htmx.answer(
        "campaigns/rehearsals.html",
        "campaigns/_rehearsal_list.html",
        campaign=campaign,
        rehearsals=listed,
        lost={row.id for row in listed if rehearsing.is_lost(row, now)},
        lenses=LENSES,
        segments=names,
        flows=queries.flows(session(), campaign_id),
        every=EVERY,
        most=catching.MOST_LEADS,
        dates=tuple((now - back).date().isoformat() for back in (AT_FIRST, timedelta(0))),
    )


def _listed(campaign_id: int) -> Sequence[Rehearsal]:
    mine = sa.select(Rehearsal).where(Rehearsal.campaign_id == campaign_id)
    return session().scalars(mine.order_by(Rehearsal.id.desc()).limit(MOST_LISTED)).all()


@blueprint.post("/campaigns/<int:campaign_id>/rehearsals")
def start_rehearsal(campaign_id: int) -> AnyResponse:
    campaign = found(campaign_id)
    number = request.form.get("version", type=int)
    try:
        wanted = Wanted(campaign_id, rehearsing.flow_of(session(), campaign_id, number), **_asked())
        row = rehearsing.start(session(), wanted, number=number, user_id=current_user.id, at=clock.now())
    except CannotRehearse as error:
        raise Refused(str(error)) from None
    detail = {"rehearsal": row.id, "version": number}
    auditing.note(session(), current_user.id, "rehearsed campaign", "campaign", campaign.id, detail)
    session().commit()  # the thread must find it
    _begin(database(), row.id, settings().base_url)
    return htmx.redirect(url_for("campaigns.rehearsal", campaign_id=campaign_id, rehearsal_id=row.id))


def _asked() -> dict[str, Any]:
    """The form, read."""
    lens, every = request.form.get("lens", "nobody"), request.form.get("every", "1440")
    if every not in dict(EVERY):
        raise Refused("Choose how often the engine looks.")
    period = {"begins_at": _moment("from"), "ends_at": _moment("to")}
    return {**period, "lens": lens, "every": timedelta(minutes=int(every)), "segment": request.form.get("segment", "")}


def _moment(name: str) -> datetime:
    """The first moment of a day, where the house is."""
    try:
        day = datetime.fromisoformat(request.form.get(name, "")).replace(tzinfo=None, hour=0, minute=0)
        return instant(day, zone(organisation.get(session()).zone))
    except (ValueError, OverflowError):
        raise Refused("Choose the first and the last day.") from None


def _begin(live: Database, rehearsal_id: int, base_url: str) -> None:
    """Carry it out beside the requests: it may take minutes. Whoever stops Trellis stops it."""
    args = {"database": live, "rehearsal_id": rehearsal_id, "base_url": base_url}
    threading.Thread(target=rehearsing.run, kwargs=args, name=f"rehearsal-{rehearsal_id}", daemon=True).start()


def _found(campaign_id: int, rehearsal_id: int) -> Rehearsal:
    row = session().get(Rehearsal, rehearsal_id)
    if row is None or row.campaign_id != campaign_id:
        raise Refused("There is no such rehearsal; somebody may have removed it.", 404)
    return row


@blueprint.get("/campaigns/<int:campaign_id>/rehearsals/<int:rehearsal_id>")
def rehearsal(campaign_id: int, rehearsal_id: int) -> str | Response:
    """How far it is; when it is done, what came of it, beside another one if that is asked for."""
    campaign, row = found(campaign_id), _found(campaign_id, rehearsal_id)
    given = {"campaign": campaign, "row": row, "called": _called(row)}
    if row.state != rehearsing.DONE:
        is_lost = rehearsing.is_lost(row, clock.now())
        return htmx.answer(
            "campaigns/rehearsal_progress.html", "campaigns/_rehearsal_progress.html", **given, is_lost=is_lost
        )
    if htmx.is_fragment():
        return htmx.refresh()
    told: dict[str, Any] = row.result or {}
    others = [each for each in _listed(campaign_id) if each.state == rehearsing.DONE and each.id != row.id]
    other = next((each for each in others if each.id == request.args.get("with", type=int)), None)
    return render_template(
        "campaigns/rehearsal.html",
        **given,
        told=told,
        drawing=_drawing(row, told),
        titles=dict(queries.step_choices(session(), row.flow)),
        reasons=REASONS,
        weeks={
            name: [(plural(mails, "mail"), count) for mails, count in told["weeks"][name]] for name in ("own", "every")
        },
        spread=[
            (f"Up to {_span(hours)}" if hours else "Longer", count) for hours, count in told["until_handoff"]["spread"]
        ],
        daily={rep["user"]: _daily(rep["days"], told["days"]) for rep in told["handoffs"]["reps"]},
        took={name: _span(told["until_handoff"][name]) for name in ("median", "slow")},
        others=[(each.id, f"{_called(each)}, {local(each.started_at)}") for each in others],
        other=other,
        likeness=likening.liken(told, other.result or {}) if other else [],
        steps=likening.step_figures(told, other.result or {}) if other else {},
    )


def _daily(days: list[list[int]], count: int) -> list[int]:
    """How many on each day, also where there were none."""
    known = {day: count for day, count in days}  # noqa: C416  (pairs that are lists)
    return [known.get(day, 0) for day in range(count + 1)]


def _span(hours: float | None) -> str:
    """Hours in the largest unit that suits."""
    if hours is None:
        return "–"
    if hours < 48:
        return plural(round(hours), "hour")
    return plural(round(hours / 24), "day")


def _called(row: Rehearsal) -> str:
    """Which flow, how, and over which time."""
    flow = f"Version {row.number}" if row.number else "The draft"
    return f"{flow}, {LENSES.get(row.lens, row.lens).lower()}, {local(row.begins_at, 'date')} to {local(row.ends_at, 'date')}"


def _drawing(row: Rehearsal, told: dict[str, Any]) -> dict[str, Any]:
    """The flow with the counts of every day, and the days by name."""
    drawn = drawing.whole(row.flow, ruling.names(session()), f"rehearsal-{row.id}")
    days = [local(row.begins_at + timedelta(days=day), "date") for day in range(told.get("days", 0) + 1)]
    counts = {"steps": told.get("steps", {}), "triggers": told.get("triggers", {}), "days": days}
    where = {"leads": url_for("campaigns.rehearsal_leads", campaign_id=row.campaign_id, rehearsal_id=row.id)}
    return drawn | {"counts": counts, "sprite": asset("vendor/icons.svg"), "urls": where}


@blueprint.get("/campaigns/<int:campaign_id>/rehearsals/<int:rehearsal_id>/leads")
def rehearsal_leads(campaign_id: int, rehearsal_id: int) -> str:
    """The leads who came to a step, left it by a path, or stood there at the end."""
    campaign, row = found(campaign_id), _found(campaign_id, rehearsal_id)
    step, port, scope = (request.args.get(name, "") for name in ("step", "port", "scope"))
    mine = RehearsedPassage.rehearsal_id == row.id
    here = sa.and_(RehearsedPassage.step == step, RehearsedPassage.state == "active")
    came = RehearsedPassage.route.contains(f" {step}:{port}{' ' if port else ''}", autoescape=True)
    if step:
        mine = sa.and_(mine, here if scope == "here" else came if port else sa.or_(came, here))
    count = session().scalar(sa.select(sa.func.count()).select_from(RehearsedPassage).where(mine)) or 0
    chosen = sa.select(RehearsedPassage, Lead).join(Lead, Lead.id == RehearsedPassage.lead_id).where(mine)
    rows = session().execute(chosen.order_by(RehearsedPassage.number).limit(MOST_LISTED)).all()
    titles = dict(queries.step_choices(session(), row.flow))
    listed = [(each, queries.called(lead.first_name, lead.last_name, lead.email)) for each, lead in rows]
    return render_template(
        "campaigns/_rehearsal_leads.html", campaign=campaign, row=row, passages=listed, count=count, titles=titles,
        step=step, port=port, scope=scope,
    )  # fmt: skip


@blueprint.get("/campaigns/<int:campaign_id>/rehearsals/<int:rehearsal_id>/leads/<int:number>")
def rehearsal_lead(campaign_id: int, rehearsal_id: int, number: int) -> str:
    """One lead followed through the rehearsal, drawn on the flow."""
    campaign, row = found(campaign_id), _found(campaign_id, rehearsal_id)
    passage = session().get(RehearsedPassage, (rehearsal_id, number))
    if passage is None:
        raise Refused("There is no such passage in this rehearsal.", 404)
    trodden = retracing.follow(session(), passage, row, local)
    lines, lead = trodden.passage.lines, trodden.lead
    times = {
        step: [local(lines[n - 1].left_at or lines[n - 1].arrived_at) for n in numbers]
        for step, numbers in trodden.steps.items()
    }
    drawn = drawing.whole(row.flow, ruling.names(session()), f"rehearsal-{row.id}-{number}")
    touched = {"steps": trodden.steps, "times": times, "paths": trodden.paths, "here": trodden.here}
    return render_template(
        "campaigns/rehearsal_lead.html",
        campaign=campaign,
        row=row,
        called=_called(row),
        trodden=trodden,
        passage=trodden.passage,
        lead=lead,
        name=queries.called(lead.first_name, lead.last_name, lead.email),
        did=retracing.did(passage),
        looks={card["kind"]: card for card in palette.steps()},
        drawing=drawn | {"passed": touched, "sprite": asset("vendor/icons.svg")},
    )


@blueprint.delete("/campaigns/<int:campaign_id>/rehearsals/<int:rehearsal_id>/run")
def cancel_rehearsal(campaign_id: int, rehearsal_id: int) -> Response:
    row = _found(campaign_id, rehearsal_id)
    if not rehearsing.cancel(session(), row.id, at=clock.now()):
        raise Refused("It does not run any more.")
    htmx.toast("The rehearsal stops; of what it did nothing is kept.")
    return htmx.redirect(url_for("campaigns.rehearsals", campaign_id=campaign_id))


@blueprint.delete("/campaigns/<int:campaign_id>/rehearsals/<int:rehearsal_id>")
def remove_rehearsal(campaign_id: int, rehearsal_id: int) -> Response:
    row = _found(campaign_id, rehearsal_id)
    rehearsing.forget(session(), row.id)
    auditing.note(session(), current_user.id, "removed rehearsal", "campaign", campaign_id, {"rehearsal": rehearsal_id})
    htmx.toast("The rehearsal is removed.")
    return htmx.redirect(url_for("campaigns.rehearsals", campaign_id=campaign_id))
