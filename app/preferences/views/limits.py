"""How often and when: the page on which the team limits how much mail a lead gets, and at which hours it leaves."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from app import clock
from app.accounts import auditing, organisation
from app.accounts.guards import current_user
from app.preferences import limiting, topics
from app.preferences.limiting import BadLimit
from app.web import htmx, session
from app.zones import DAYS

blueprint = Blueprint("preferences_limits", __name__)


@blueprint.get("/limits")
def index() -> str:
    return _page()


@blueprint.post("/limits/caps")
def add_cap() -> Response | tuple[str, int]:
    given, form = session(), request.form
    try:
        cap = limiting.add_cap(
            given,
            most=_number(form.get("most", "")),
            period=form.get("period", ""),
            days=_number(form.get("days", "")) if form.get("period") == "days" else 1,
            topic_key=form.get("topic") or None,
            at=clock.now(),
        )
    except BadLimit as error:
        return _page(cap_error=str(error)), 422
    return _changed("set a frequency cap", cap.id, "The cap holds from now on.")


@blueprint.delete("/limits/caps/<int:cap_id>")
def remove_cap(cap_id: int) -> Response:
    limiting.remove_cap(session(), cap_id, at=clock.now())
    return _changed("lifted a frequency cap", cap_id, "The cap is lifted.")


@blueprint.post("/limits/hours")
def add_hours() -> Response | tuple[str, int]:
    form = request.form
    try:
        days = [int(day) for day in form.getlist("weekdays") if day.isdigit()]
        window = limiting.add_window(
            session(), weekdays=days, opens=form.get("opens", ""), closes=form.get("closes", ""), at=clock.now()
        )
    except BadLimit as error:
        return _page(hours_error=str(error)), 422
    return _changed("set sending hours", window.id, "Marketing mail leaves in these hours from now on.")


@blueprint.delete("/limits/hours/<int:window_id>")
def remove_hours(window_id: int) -> Response:
    limiting.remove_window(session(), window_id, at=clock.now())
    return _changed("took sending hours away", window_id, "These hours are taken away.")


def _page(cap_error: str = "", hours_error: str = "") -> str:
    return render_template(
        "preferences/limits.html",
        caps=limiting.caps(session()),
        windows=limiting.windows(session()),
        topics=[(topic.key, topic.name) for topic in topics.everything(session())],
        periods=list(limiting.PERIODS.items()),
        days=DAYS,
        zone=organisation.get(session()).zone,
        cap_error=cap_error,
        hours_error=hours_error,
        given=request.form,
    )


def _changed(action: str, number: int, words: str) -> Response:
    auditing.note(session(), current_user.id, action, "limit", number)
    htmx.toast(words)
    return htmx.redirect("/limits")


def _number(text: str) -> int:
    return int(text) if text.strip().isdecimal() and len(text.strip()) < 7 else 0
