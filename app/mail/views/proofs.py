"""What a mail will look like and when it counts: previews, tests, publishing, and older versions."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from flask import abort, render_template, request, url_for
from markupsafe import escape
from werkzeug.wrappers import Response

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.leads import addresses
from app.leads.models import Lead
from app.mail import composing, merging, publishing, queueing, rendering, valuing
from app.mail.models import Mail, MailVersion
from app.mail.publishing import BadMail
from app.mail.views.editor import blueprint
from app.mail.views.pages import find
from app.mail.views.recipients import document
from app.web import Refused, htmx, session

PAGES = {name: f"#{name}" for name in ("unsubscribe_url", "preferences_url", "why_url", "view_url")} | {"open_url": ""}


@blueprint.get("/preview")
def preview(mail_id: int) -> Response:
    """The draft as one lead would get it, as a page for the frame."""
    mail = find(mail_id)
    done = publishing.compose(session(), mail, inlines=False)
    try:
        words = rendering.render(_Untracked(done), _sample(request.args.get("lead", type=int)) | PAGES)
    except rendering.BadTemplate:
        return document(_unfinished(done.faults))
    html = re.sub(r' class="b-([a-z0-9]+)"', r' id="b-\1"', words.html)
    return document(html.replace("<head>", '<head><base target="_blank">', 1))


@blueprint.get("/preview/subject")
def preview_subject(mail_id: int) -> str:
    """Subject and preview line as an inbox shows them to one lead."""
    mail = find(mail_id)
    values = _sample(request.args.get("lead", type=int))
    known = merging.known(session())
    shown = {}
    for name in ("subject", "preheader"):
        text = str(mail.draft.get(name, ""))
        shown[name] = text if merging.complaints(text, known) else merging.compiled(text, escapes=False).render(values)
    return render_template("mail/_inbox_line.html", **shown, sender=values["sender"]["name"])


@blueprint.post("/publication")
def publish(mail_id: int) -> Response:
    """Make the draft what is sent from now on."""
    mail = find(mail_id)
    try:
        version = publishing.publish(session(), mail.id, at=clock.now())
    except BadMail as error:
        htmx.toast(f"Not published: {error.sentences[0]}", "danger")
        return htmx.redirect(url_for("mail_editor.show", mail_id=mail.id))
    auditing.note(session(), current_user.id, "published mail", "mail", mail.id, {"version": version.number})
    htmx.toast(f"Version {version.number} is published; it is sent from now on.")
    return htmx.redirect(url_for("mail_editor.show", mail_id=mail.id))


@blueprint.post("/tests")
def send_test(mail_id: int) -> str:
    """Send the draft to one address, as one lead would get it; its links are not tracked."""
    mail = find(mail_id)
    try:
        recipient = addresses.canonical(request.form.get("to", ""))
    except addresses.BadAddress as error:
        raise Refused(str(error)) from None
    done = publishing.compose(session(), mail)
    if done.faults:
        raise Refused(f"The mail is not finished: {done.faults[0].sentence}")
    words = rendering.render(_Untracked(done), _sample(request.form.get("lead", type=int)) | PAGES)
    key = f"test:{mail.id}:{clock.now().timestamp():.3f}"
    inputs = {"subject": f"[Test] {words.subject}", "html": words.html, "text": words.text}
    queueing.queue_one(session(), key=key, at=clock.now(), recipient=recipient, inputs=inputs)
    htmx.toast(f"A test is on its way to {recipient}.")
    return ""


@blueprint.get("/versions/<int:number>")
def version(mail_id: int, number: int) -> Response:
    """A published version, as it is sent."""
    found = _version(find(mail_id), number)
    words = rendering.render(_Untracked(found), _sample(request.args.get("lead", type=int)) | PAGES)
    return document(words.html)


@blueprint.post("/versions/<int:number>/restoration")
def restore(mail_id: int, number: int) -> Response:
    """Take a version back as the draft."""
    mail = find(mail_id)
    publishing.restore(session(), mail, _version(mail, number), at=clock.now())
    htmx.toast(f"The draft is version {number} again. Publish it to send it.")
    return htmx.redirect(url_for("mail_editor.show", mail_id=mail.id))


class _Untracked:
    """A compiled mail with the real addresses in the place of the numbered ones, for previews and tests."""

    id = 0

    def __init__(self, done: composing.Composed | MailVersion) -> None:
        self.subject, self.html, self.text = done.subject, done.html, done.text
        for number in reversed(range(len(done.links))):
            url, mark = str(done.links[number]["url"]), f"{{{{ click_base }}}}{number}"
            self.html = self.html.replace(mark, url if "{" in url else str(escape(url)))
            self.text = self.text.replace(mark, url)


def _sample(lead_id: int | None) -> dict[str, Any]:
    found = valuing.for_leads(session(), [lead_id]) if lead_id and session().get(Lead, lead_id) else {}
    return dict(found[lead_id] if lead_id in found else valuing.sample(session()))


def _version(mail: Mail, number: int) -> MailVersion:
    query = sa.select(MailVersion).where(MailVersion.mail_id == mail.id, MailVersion.number == number)
    return session().scalar(query) or abort(404)


def _unfinished(faults: list[composing.Fault]) -> str:
    words = escape(faults[0].sentence if faults else "The mail cannot be shown yet.")
    return f'<!doctype html><html lang="en"><head><title>Preview</title></head><body><p>{words}</p></body></html>'
