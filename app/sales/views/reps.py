"""Who takes leads: teams, shares, absences, and how many a day."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from flask import abort, render_template, request, url_for

from app import clock, zones
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.sales import queries, staffing
from app.sales.models import Rep
from app.sales.views.doors import LEADERS, blueprint
from app.web import Refused, htmx, session


@blueprint.get("/sales/reps")
def reps() -> str:
    return render_template(
        "sales/reps.html",
        team=queries.team(session(), clock.now()),
        candidate_options=[(each.id, f"{each.name} ({each.email})") for each in queries.candidates(session())],
        teams=queries.teams(session()),
    )


@blueprint.post("/sales/reps")
@allow(*LEADERS)
def add_rep() -> Any:
    """Let somebody take leads."""
    user = request.form.get("user_id", "")
    if not user.isdigit() or len(user) > 15:
        raise Refused("Choose who is to take leads.")
    return _change(
        lambda: staffing.enlist(session(), int(user), team=_team(), weight=_weight(), capacity=_capacity()),
        "added rep",
        user,
    )


@blueprint.post("/sales/reps/<int:user_id>")
@allow(*LEADERS)
def change_rep(user_id: int) -> Any:
    """Another team, share, absence or capacity."""
    rep = session().get(Rep, user_id) or abort(404)
    away = _absent_until(request.form.get("absent_until", ""))
    return _change(
        lambda: staffing.change(
            session(), rep, team=_team(), weight=_weight(), absent_until=away, capacity=_capacity()
        ),
        "changed rep",
        user_id,
    )


@blueprint.post("/sales/reps/<int:user_id>/release")
@allow(*LEADERS)
def release_rep(user_id: int) -> Any:
    """No more leads for this person."""
    return _change(lambda: staffing.release(session(), user_id), "released rep", user_id)


def _change(change: Any, action: str, user_id: int | str) -> Any:
    try:
        change()
    except staffing.BadRep as problem:
        raise Refused(str(problem)) from None
    auditing.note(
        session(), current_user.id, action, "user", user_id, {"team": _team(), "weight": request.form.get("weight")}
    )
    htmx.toast("Saved.")
    return htmx.redirect(url_for("sales.reps"))


def _team() -> str:
    return request.form.get("team", "").strip()


def _weight() -> int:
    given = request.form.get("weight", "1")
    if not given.isdigit() or len(given) > 3:
        raise Refused("A share is a whole number: 1 is usual, 2 gets twice as many leads, 0 gets none.")
    return int(given)


def _capacity() -> int | None:
    given = request.form.get("capacity", "").strip()
    if given and (not given.isdecimal() or len(given) > 4):
        raise Refused("Leads a day is a whole number, such as 8; leave it empty when nobody can say.")
    return int(given) if given else None


def _absent_until(text: str) -> datetime | None:
    """Away through that day, in the reader's calendar."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise Refused("Choose the last day of the absence from the calendar.") from None
    return zones.instant(datetime.combine(day, time()), zones.zone(current_user.zone))
