"""The page where marketing and sales agree what "ready for sales" means, and how soon sales answers."""

from __future__ import annotations

from typing import Any

from flask import render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.sales import defining
from app.sales.views.doors import LEADERS, blueprint
from app.segments import building, ruling
from app.web import Refused, htmx, session


@blueprint.get("/sales/definition")
def definition() -> str:
    current = defining.current(session())
    names = ruling.names(session())
    return render_template(
        "sales/definition.html",
        current=current,
        sentence=ruling.who(current.rule, names) if current else "",
        minutes=defining.answer_within(session()),
        history=[(each, ruling.who(each.rule, names)) for each in defining.history(session())[:20]],
    )


@blueprint.post("/sales/definitions")
@allow(*LEADERS)
def agree() -> Any:
    """A new definition takes the place of the former one."""
    rule, hours = _rule(), request.form.get("hours", "")
    if not hours.isdigit() or not 1 <= int(hours[:4]) <= 720:
        raise Refused("Say within how many working hours sales answers, from 1 to 720.")
    name = " ".join(request.form.get("name", "").split())[:200] or "Ready for sales"
    made = defining.agree(session(), name=name, rule=rule, answer_within_minutes=int(hours) * 60, at=clock.now())
    auditing.note(session(), current_user.id, "agreed definition", "definition", made.id, {"name": name})
    htmx.toast("Agreed. It holds from now on.")
    return htmx.redirect(url_for("sales.definition"))


def _rule() -> dict[str, Any]:
    known = ruling.known(session())
    rule = building.settled(building.given(request.form, "rule"), known)
    if not any(rule.get(operator) for operator in ruling.OPERATORS):
        raise Refused("Add at least one condition that makes a lead ready for sales.")
    if complaints := ruling.check(rule, known):
        raise Refused(complaints[0].sentence)
    return rule
