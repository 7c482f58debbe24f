"""The outbox page: mail in doubt, failed, deferred or held, with the reason, and what a person can do about it."""

from __future__ import annotations

import sqlalchemy as sa
from flask import abort, render_template, request
from werkzeug.wrappers import Response

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.mail import halting, queries, resolving
from app.mail.views.rooms import blueprint
from app.outbox import Message
from app.web import htmx, session

STATES = ("in_doubt", "failed", "deferred", "held", "ready")
PAGE = 50
BACK = {"/outbox", "/administration/engine"}


@blueprint.get("/outbox")
def outbox() -> str:
    counts = queries.counts(session())
    state = request.args.get("state", "")
    if state not in STATES:
        state = next((each for each in STATES if counts.get(each)), "in_doubt")
    found = queries.waiting(session(), state, before=request.args.get("before", type=int), limit=PAGE + 1)
    return render_template(
        "mail/outbox.html",
        state=state,
        counts=counts,
        states=STATES,
        halt=halting.found(session()),
        waiting=found[:PAGE],
        older=found[PAGE - 1].message.id if len(found) > PAGE and state != "ready" else None,
    )


@blueprint.post("/outbox/<int:message_id>/resending")
def resend(message_id: int) -> Response:
    """Try one message again."""
    return _done(resolving.try_again(session(), Message.id == message_id, at=clock.now()), "resent mail", message_id)


@blueprint.post("/outbox/<int:message_id>/abandonment")
def abandon(message_id: int) -> Response:
    """Give one message up."""
    return _done(resolving.give_up(session(), Message.id == message_id, at=clock.now()), "gave up mail", message_id)


@blueprint.post("/outbox/<state>/resending")
def resend_all(state: str) -> Response:
    """Try all of a state again."""
    return _done(resolving.try_again(session(), _all(state), at=clock.now()), "resent mail", state)


@blueprint.post("/outbox/<state>/abandonment")
def abandon_all(state: str) -> Response:
    """Give up all of a state."""
    return _done(resolving.give_up(session(), _all(state), at=clock.now()), "gave up mail", state)


@blueprint.post("/outbox/pause")
def pause() -> Response:
    """Let no mail of the organisation leave until somebody lets it."""
    if halting.pause(session(), by=current_user.name or current_user.email, at=clock.now()):
        auditing.note(session(), current_user.id, "paused all sending", "outbox", 1)
    htmx.toast("No mail leaves from now on. It is kept, and leaves when you resume.", "warning")
    return _back()


@blueprint.delete("/outbox/pause")
def resume() -> Response:
    """Let mail leave again."""
    if halting.resume(session()):
        auditing.note(session(), current_user.id, "resumed all sending", "outbox", 1)
    htmx.toast("Mail leaves again.")
    return _back()


def _back() -> Response:
    """To the page the switch stood on."""
    wanted = request.values.get("back", "")
    return htmx.redirect(wanted if wanted in BACK else "/outbox")


def _all(state: str) -> sa.ColumnElement[bool]:
    if state not in STATES:
        abort(404)
    return Message.state == state


def _done(count: int, action: str, subject: int | str) -> Response:
    auditing.note(session(), current_user.id, action, "message", subject, {"count": count})
    words = "will be tried again" if action == "resent mail" else "will not be sent"
    if count:
        htmx.toast(f"{count:,} {'mail' if count == 1 else 'mails'} {words}.")
    else:
        htmx.toast("That mail has moved on meanwhile; nothing was changed.", "warning")
    return htmx.redirect(f"/outbox?state={request.form.get('state', '')}")
