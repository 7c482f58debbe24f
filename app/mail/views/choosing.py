"""The mails a campaign can send, to be looked at and chosen without leaving the campaign."""

from __future__ import annotations

from flask import jsonify, url_for
from werkzeug.wrappers import Response

from app.mail import queries
from app.mail.views.rooms import blueprint
from app.web import session


@blueprint.get("/mails/choices")
def choices() -> Response:
    """Every mail in use with where to see and to change it, the last changed first."""
    rows = [
        {
            "key": each.mail.key,
            "name": each.mail.name,
            "about": "Operational" if each.mail.purpose == "operational" else each.topic or "Marketing, no topic",
            "subject": str(each.mail.draft.get("subject", "")),
            "is_published": each.number is not None,
            "preview": url_for("mail_editor.preview", mail_id=each.mail.id),
            "editor": url_for("mail_editor.show", mail_id=each.mail.id),
        }
        for each in queries.listed(session())
    ]
    return jsonify(mails=rows)
