"""Answering a handoff: accepting, rejecting, sending back, taking the answer back, giving it to somebody else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any

from flask import render_template, request, url_for

from app import clock, zones
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.sales import answering, queries
from app.sales.models import Handoff
from app.sales.views.doors import LEADERS, WORKERS, blueprint, is_leader
from app.sales.views.inbox import row_values
from app.web import Refused, htmx, session

COME_BACK = time(9)


@blueprint.post("/sales/handoffs/<int:handoff_id>/acceptance")
@allow(*WORKERS)
def accept(handoff_id: int) -> Any:
    """Take the lead."""
    return _answer(handoff_id, lambda: answering.accept(session(), handoff_id, current_user.id, at=clock.now()))


@blueprint.get("/sales/handoffs/<int:handoff_id>/rejection")
def rejecting(handoff_id: int) -> str:
    return _dialog("sales/_rejection.html", handoff_id)


@blueprint.post("/sales/handoffs/<int:handoff_id>/rejection")
@allow(*WORKERS)
def reject(handoff_id: int) -> Any:
    """Refuse the lead, with a reason."""
    reason = _reason()
    return _answer(
        handoff_id, lambda: answering.reject(session(), handoff_id, current_user.id, reason=reason, at=clock.now())
    )


@blueprint.get("/sales/handoffs/<int:handoff_id>/recycling")
def recycling(handoff_id: int) -> str:
    return _dialog("sales/_recycling.html", handoff_id)


@blueprint.post("/sales/handoffs/<int:handoff_id>/recycling")
@allow(*WORKERS)
def recycle(handoff_id: int) -> Any:
    """Send the lead back until a date."""
    reason, back = _reason(), _come_back_at(request.form.get("come_back_on", ""))
    return _answer(
        handoff_id,
        lambda: answering.recycle(
            session(), handoff_id, current_user.id, reason=reason, come_back_at=back, at=clock.now()
        ),
    )


@blueprint.post("/sales/handoffs/<int:handoff_id>/undo")
@allow(*WORKERS)
def undo(handoff_id: int) -> Any:
    """Take the last answer back."""
    return _answer(handoff_id, lambda: answering.undo(session(), handoff_id, current_user.id, at=clock.now()))


@blueprint.post("/sales/handoffs/<int:handoff_id>/owner")
@allow(*LEADERS)
def give(handoff_id: int) -> Any:
    """Give a waiting lead to somebody else."""
    owner = request.form.get("owner_id", "")
    if not owner.isdigit() or len(owner) > 15:
        raise Refused("Choose who gets the lead.")
    return _answer(
        handoff_id, lambda: answering.give(session(), handoff_id, int(owner), current_user.id, at=clock.now())
    )


def _answer(handoff_id: int, change: Callable[[], Handoff]) -> Any:
    """Do it, note it, and show the line or the page as it is now."""
    _check_hand(handoff_id)
    try:
        handoff = change()
    except answering.BadAnswer as problem:
        raise Refused(str(problem)) from None
    auditing.note(
        session(), current_user.id, f"handoff {handoff.state}", "handoff", handoff_id, {"reason": handoff.reason}
    )
    if htmx.is_fragment() and request.form.get("from") != "page":
        htmx.trigger("inbox-changed")
        return render_template("sales/_answered.html", **row_values(handoff_id))
    htmx.toast(_said(handoff))
    return htmx.redirect(url_for("sales.show", handoff_id=handoff_id))


def _check_hand(handoff_id: int) -> None:
    """A rep answers for its own leads and for those nobody has; others' need a word with who leads the team."""
    row = queries.handoff(session(), handoff_id)
    if row is None:
        raise Refused(f"There is no handoff number {handoff_id}.", 404)
    if not is_leader() and row.Handoff.owner_id not in {None, current_user.id}:
        raise Refused(f"This lead belongs to {row.owner_name}; ask an administrator to give it to you.", 403)


def _said(handoff: Handoff) -> str:
    return {
        "accepted": "Accepted: the lead is yours.",
        "rejected": "Rejected; marketing sees the reason.",
        "recycled": "Sent back; it comes back on its date.",
        "open": "The lead waits for an answer again.",
    }[handoff.state]


def _dialog(template: str, handoff_id: int) -> str:
    return render_template(template, **row_values(handoff_id), reasons=answering.REASONS, today=clock.now())


def _reason() -> str:
    """The chosen reason, with what was written beside it."""
    parts = (request.form.get("reason", "").strip(), request.form.get("note", "").strip())
    return ": ".join(part for part in parts if part)


def _come_back_at(text: str) -> datetime | None:
    """A date in the reader's calendar: nine in the morning there."""
    try:
        return zones.instant(datetime.combine(date.fromisoformat(text), COME_BACK), zones.zone(current_user.zone))
    except (ValueError, OverflowError):
        return None
