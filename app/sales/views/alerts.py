"""The bell: what somebody should know now, read or unread; and the number in the side bar."""

from __future__ import annotations

from typing import Any

from flask import render_template, request

from app import clock
from app.accounts.guards import allow, current_user
from app.accounts.models import ROLES
from app.sales import alerting, queries
from app.sales.views.doors import blueprint
from app.web import htmx, session


@blueprint.get("/sales/alerts")
def alerts() -> str:
    return htmx.answer("sales/alerts.html", "sales/_alerts.html", **_alerts())


@blueprint.post("/sales/alerts/reading")
@allow(*ROLES)
def read_alerts() -> Any:
    """Mark one alert as read, or all of them."""
    given = request.form.get("alert_id", "")
    alert_id = int(given) if given.isdigit() and len(given) < 16 else None
    alerting.read(session(), current_user.id, at=clock.now(), alert_id=alert_id)
    if htmx.is_fragment():
        return render_template("sales/_alerts.html", **_alerts())
    return htmx.refresh()


def _alerts() -> dict[str, Any]:
    return {
        "alerts": queries.alerts(session(), current_user.id, 50),
        "unread": queries.unread_count(session(), current_user.id),
    }
