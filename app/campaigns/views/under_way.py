"""What marketers see and decide while leads are inside: the publish plan, the release after a pause, what needs attention."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.campaigns import drafting, failing, migrating, passing_by, pausing, queries, undoing
from app.campaigns.views.room import blueprint, found
from app.engine import steering
from app.engine.models import Version
from app.web import Refused, htmx, session

SPREADS = ((0, "at once"), (1, "over one hour"), (4, "over 4 hours"), (24, "over a day"), (72, "over 3 days"))
AGES = ((0, "send all of them"), (1, "not those older than a day"), (3, "not those older than 3 days"), (7, "not those older than a week"))  # fmt: skip


@blueprint.post("/campaigns/<int:campaign_id>/plan")
def plan(campaign_id: int) -> str:
    """What publishing the draft would mean for the leads inside; changes nothing."""
    found(campaign_id)
    flow = drafting.written(drafting.get(session(), campaign_id).flow)
    try:
        made = migrating.plan(session(), campaign_id, flow, at=clock.now())
    except ValueError as error:
        raise Refused(str(error)) from None
    return render_template("campaigns/_publish_plan.html", plan=made, fates=migrating)


@blueprint.delete("/campaigns/<int:campaign_id>/publication")
def undo(campaign_id: int) -> Response:
    """Take the last publication back."""
    campaign = found(campaign_id)
    try:
        done = undoing.undo(session(), campaign_id, at=clock.now())
    except undoing.CannotUndo as error:
        raise Refused(str(error)) from None
    number = session().get_one(Version, done.before_id).number
    detail = {"version": number, "leads": done.moved_count}
    auditing.note(session(), current_user.id, "undid publication of campaign", "campaign", campaign_id, detail)
    htmx.toast(f"“{campaign.name}” is at version {number} again, with everybody where they were.")
    return htmx.redirect(url_for("campaigns.show", campaign_id=campaign_id))


@blueprint.get("/campaigns/<int:campaign_id>/release")
def release_form(campaign_id: int) -> str:
    """The dialog of “Resume”: what it lets go, and how fast."""
    campaign = found(campaign_id)
    made = pausing.release_plan(session(), campaign_id, at=clock.now())
    return render_template("campaigns/_release.html", campaign=campaign, plan=made, spreads=SPREADS, ages=AGES)


@blueprint.post("/campaigns/<int:campaign_id>/release")
def release(campaign_id: int) -> Response:
    campaign = found(campaign_id)
    days = request.form.get("older", 0, type=int)
    older = timedelta(days=days) if days > 0 else None
    done = pausing.resume(session(), campaign_id, at=clock.now(), spread=_spread(), drop_older=older)
    if done is None:
        raise Refused(f"“{campaign.name}” is not paused.")
    detail = {"leads": done.due, "mails": done.mails, "stale": done.stale}
    auditing.note(session(), current_user.id, "resumed campaign", "campaign", campaign_id, detail)
    htmx.toast(f"Live again: {done.due} leads go on, {done.mails} held mails leave.")
    return htmx.refresh()


def _spread() -> timedelta:
    hours = request.form.get("spread", 0, type=int)
    if hours not in dict(SPREADS):
        raise Refused("Choose one of the times.")
    return timedelta(hours=hours)


# --- what needs attention


@blueprint.get("/campaigns/<int:campaign_id>/attention")
def attention(campaign_id: int) -> str:
    campaign = found(campaign_id)
    version = session().get(Version, campaign.version_id) if campaign.version_id else None
    return render_template(
        "campaigns/attention.html",
        campaign=campaign,
        heaps=failing.counted(session(), campaign_id),
        failed=failing.people(session(), campaign_id),
        late=pausing.late(session(), campaign_id),
        paused=queries.paused(session(), campaign_id),
        passed=passing_by.offered(session(), campaign_id, at=clock.now()) if version else [],
        steps=queries.step_choices(session(), version.flow) if version else [],
        spreads=SPREADS,
    )


@blueprint.post("/campaigns/<int:campaign_id>/late")
def release_late(campaign_id: int) -> Response:
    found(campaign_id)
    count = pausing.release_late(session(), campaign_id, at=clock.now(), spread=_spread())
    return _done(campaign_id, "released late mail of campaign", {"mails": count}, f"{count} mails leave.")


@blueprint.delete("/campaigns/<int:campaign_id>/late")
def drop_late(campaign_id: int) -> Response:
    found(campaign_id)
    count = pausing.drop_late(session(), campaign_id, at=clock.now())
    return _done(campaign_id, "dropped late mail of campaign", {"mails": count}, f"{count} mails are not sent.")


@blueprint.post("/campaigns/<int:campaign_id>/failed")
def settle_failed(campaign_id: int) -> Response:
    """Try the failed passages again, put them at another step, or take them out: of one step, or all."""
    found(campaign_id)
    what, step, now = request.form.get("what", ""), request.form.get("step", ""), clock.now()
    try:
        if what == "retry":
            count, words = failing.retry(session(), campaign_id, step=step, at=now), "tried again within a minute"
        elif what == "move":
            to = request.form.get("to", "")
            values = {"reason": "failed before", "by": current_user.name}
            count, words = failing.move(session(), campaign_id, to, step=step, at=now, **values), "moved"
        elif what == "give_up":
            count, words = failing.give_up(session(), campaign_id, step=step, at=now), "taken out"
        else:
            raise Refused("Choose what to do with them.")
    except steering.CannotSteer as error:
        raise Refused(str(error)) from None
    detail = {"what": what, "step": step, "leads": count}
    return _done(campaign_id, "settled failed leads of campaign", detail, f"{count} {'lead is' if count == 1 else 'leads are'} {words}.")  # fmt: skip


@blueprint.post("/campaigns/<int:campaign_id>/steps/<step>/passed")
def run_for_passed(campaign_id: int, step: str) -> Response:
    """Run a step once for those who were past its place."""
    found(campaign_id)
    try:
        count = passing_by.run_for_passed(session(), campaign_id, step, at=clock.now())
    except passing_by.CannotRun as error:
        raise Refused(str(error)) from None
    detail = {"step": step, "leads": count}
    return _done(campaign_id, "ran a step for those who passed", detail, f"Done for {count} leads.")


def _done(campaign_id: int, action: str, detail: dict[str, object], words: str) -> Response:
    auditing.note(session(), current_user.id, action, "campaign", campaign_id, detail)
    htmx.toast(words)
    return htmx.refresh()
