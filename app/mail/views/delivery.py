"""How mail leaves this copy: the transport, the sender's address, what waits, and the addresses that are never mailed."""

from __future__ import annotations

from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import render_template, request
from werkzeug.wrappers import Response

from app import clock
from app.accounts import auditing, organisation
from app.accounts.guards import allow, current_user
from app.leads import addresses
from app.mail import queries
from app.mail.transporttype import TRANSPORTS
from app.mail.views.rooms import blueprint
from app.preferences import suppressing
from app.preferences.models import Suppression
from app.web import Refused, htmx, session
from app.web import settings as copy_settings

EDITORS = ("administrator", "marketer")


@blueprint.get("/settings/delivery")
@allow(*EDITORS)
def settings() -> str:
    parts = urlsplit(copy_settings().mail_url)
    kinds = [kind.label for kind in TRANSPORTS.load().values() if parts.scheme in kind.schemes]
    counts = session().execute(sa.select(Suppression.reason, sa.func.count()).group_by(Suppression.reason))
    return render_template(
        "mail/delivery.html",
        transport=kinds[0] if kinds else parts.scheme,
        where=f"{parts.hostname}:{parts.port or 25}" if parts.hostname else "",
        ours=organisation.get(session()),
        base_url=copy_settings().base_url,
        counts=queries.counts(session()),
        suppressed=[(suppressing.REASONS.get(reason, reason), count) for reason, count in counts],
    )


@blueprint.post("/settings/delivery/suppressions")
@allow(*EDITORS)
def suppress() -> Response:
    """Never mail an address again, or let it be mailed again."""
    try:
        address = addresses.canonical(request.form.get("email", ""))
    except addresses.BadAddress as error:
        raise Refused(str(error)) from None
    if request.form.get("do") == "release":
        done = suppressing.release(session(), address)
        htmx.toast(
            f"{address} may be mailed again." if done else f"{address} was not suppressed, or was erased for good."
        )
    else:
        suppressing.suppress(session(), address, "manual", f"By {current_user.name}", clock.now())
        htmx.toast(f"{address} is never mailed again.")
    auditing.note(session(), current_user.id, f"{request.form.get('do', 'suppress')} address", "address", "suppression")
    return htmx.redirect("/settings/delivery")
