"""The list of mails, and what happens to a mail as a whole: made, renamed, copied, archived."""

from __future__ import annotations

from typing import Any

from flask import abort, render_template, request, url_for
from werkzeug.wrappers import Response

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.mail import publishing, queries
from app.mail.models import Mail
from app.mail.publishing import BadMail
from app.mail.views.rooms import blueprint
from app.preferences import topics
from app.web import htmx, session

STARTER: dict[str, Any] = {
    "subject": "",
    "preheader": "",
    "blocks": [
        {"kind": "heading", "text": 'Hello {{ lead.first_name | default("there") }}'},
        {"kind": "text", "text": "Write something worth reading.\n\n- What is new\n- Why it matters to them"},
        {"kind": "button", "label": "Read more", "url": "https://"},
    ],
}


@blueprint.get("/mails")
def index() -> str:
    search = request.args.get("q", "")
    return render_template(
        "mail/index.html",
        mails=queries.listed(session(), search),
        search=search,
        topics=topics.everything(session()),
        counts=queries.counts(session()),
        given={},
        error="",
    )


@blueprint.post("/mails")
def create() -> Response:
    """A new mail with a first draft, opened in the editor."""
    try:
        mail = publishing.create(session(), at=clock.now(), draft=STARTER, **_given())
    except BadMail as error:
        htmx.toast(str(error), "danger")
        return htmx.redirect(url_for("mail.index"))
    auditing.note(session(), current_user.id, "created mail", "mail", mail.id)
    return htmx.redirect(url_for("mail_editor.show", mail_id=mail.id))


@blueprint.post("/mails/<int:mail_id>/settings")
def change(mail_id: int) -> Response:
    """Name, purpose and topic."""
    mail, given = find(mail_id), _given()
    if not given["name"].strip():
        htmx.toast("Give the mail a name; only your team sees it.", "danger")
        return htmx.redirect(url_for("mail_editor.show", mail_id=mail.id))
    mail.name, mail.purpose, mail.topic_id = " ".join(given["name"].split())[:200], given["purpose"], given["topic_id"]
    mail.updated_at = clock.now()
    htmx.toast("Saved.")
    return htmx.redirect(url_for("mail_editor.show", mail_id=mail.id))


@blueprint.post("/mails/<int:mail_id>/copies")
def copy(mail_id: int) -> Response:
    """The same mail again, as a draft."""
    mail = find(mail_id)
    twin = publishing.create(
        session(),
        name=f"{mail.name[:190]} (copy)",
        purpose=mail.purpose,
        topic_id=mail.topic_id,
        draft=mail.draft,
        at=clock.now(),
    )
    htmx.toast("This is the copy.")
    return htmx.redirect(url_for("mail_editor.show", mail_id=twin.id))


@blueprint.post("/mails/<int:mail_id>/archive")
def archive(mail_id: int) -> Response:
    """Out of the list; what was sent stays, and campaigns that use it say so."""
    mail = find(mail_id)
    used = queries.used_in(session(), mail.key)
    if used:
        names = ", ".join(name for _, name in used)
        htmx.toast(f"{mail.name} is used in {names}; take it out there first.", "danger")
        return htmx.redirect(url_for("mail.index"))
    mail.archived_at = clock.now()
    auditing.note(session(), current_user.id, "archived mail", "mail", mail.id)
    htmx.toast(f"{mail.name} is archived.")
    return htmx.redirect(url_for("mail.index"))


def find(mail_id: int) -> Mail:
    return session().get(Mail, mail_id) or abort(404)


def _given() -> dict[str, Any]:
    purpose = request.form.get("purpose", "marketing")
    topic = topics.by_key(session(), request.form.get("topic", ""))  # that of the campaign it is written for
    return {
        "name": request.form.get("name", ""),
        "purpose": purpose if purpose in publishing.PURPOSES else "marketing",
        "topic_id": request.form.get("topic_id", type=int) or (topic.id if topic else None),
    }
