"""The block editor: every change is saved at once in the draft, and the preview beside it shows the mail as it will be."""

from __future__ import annotations

import json
import re
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, abort, make_response, render_template, request, url_for
from markupsafe import escape
from werkzeug.wrappers import Response

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.leads import addresses
from app.leads.models import Lead
from app.mail import blocks as kinds
from app.mail import composing, editing, merging, publishing, queries, queueing, rendering, valuing
from app.mail.models import Mail, MailVersion
from app.mail.publishing import BadMail
from app.mail.views.pages import find
from app.mail.views.recipients import document
from app.preferences import topics
from app.web import Refused, htmx, session

blueprint = Blueprint("mail_editor", __name__, url_prefix="/mails/<int:mail_id>")
PAGES = {name: f"#{name}" for name in ("unsubscribe_url", "preferences_url", "why_url", "view_url")} | {"open_url": ""}
NUMBERS = ("level", "width", "count")


@blueprint.get("")
def show(mail_id: int) -> str:
    mail = find(mail_id)
    return render_template(
        "mail/editor.html",
        **_blocks(mail, request.args.get("block", "")),
        topics=topics.everything(session()),
        names=merging.known(session()),
        urls=merging.URLS,
        samples=queries.samples(session(), limit=15),
        versions=queries.versions(session(), mail.id),
        figures=queries.figures(session(), mail.key).get(mail.key),
        used_in=queries.used_in(session(), mail.key),
        **_problems(mail),
    )


@blueprint.post("/draft")
def save_lines(mail_id: int) -> str:
    """Subject and preview line, while they are written."""
    lines = {name: request.form.get(name, "")[:1000] for name in ("subject", "preheader")}
    mail = find(mail_id)
    return _saved(mail, {**mail.draft, **lines})


@blueprint.post("/blocks")
def add(mail_id: int) -> str:
    mail, form = find(mail_id), request.form
    where = {"column": form.get("column", ""), "before": form.get("before", "")}
    if form.get("block"):  # one that was removed by mistake
        block = kinds.plain([kinds.read_one(_json(form["block"]))])[0]
        draft, name = editing.put(mail.draft, block, **where), block["id"]
    else:
        draft, name = editing.add(mail.draft, form.get("kind", ""), **where)
    _keep(mail, draft)
    return _list(mail, name)


@blueprint.get("/blocks")
def blocks(mail_id: int) -> str:
    """The list, with one block open for editing."""
    return _list(find(mail_id), request.args.get("block", ""), changed=False)


@blueprint.post("/blocks/<name>")
def save_block(mail_id: int, name: str) -> str:
    """One block, while it is written; answers its words for the list."""
    mail = find(mail_id)
    _keep(mail, editing.change(mail.draft, name, _values()))
    if "count" in request.form:
        return _list(mail, name)
    home, place = editing.find(mail.draft, name)
    htmx.trigger("mail-changed", {"block": name})
    return str(escape(editing.summary(home[place])))


@blueprint.post("/blocks/<name>/position")
def move(mail_id: int, name: str) -> str:
    mail, form = find(mail_id), request.form
    by = {"up": -1, "down": 1}.get(form.get("to", ""))
    if by is not None:
        draft = editing.step(mail.draft, name, by)
    else:
        draft = editing.move(mail.draft, name, column=form.get("column", ""), before=form.get("before", ""))
    _keep(mail, draft)
    return _list(mail, form.get("open", ""))


@blueprint.post("/blocks/<name>/copies")
def copy(mail_id: int, name: str) -> str:
    mail = find(mail_id)
    draft, twin = editing.copy(mail.draft, name)
    _keep(mail, draft)
    return _list(mail, twin)


@blueprint.post("/blocks/<name>/removal")
def remove(mail_id: int, name: str) -> str:
    """Take a block out; the list offers to put it back."""
    mail = find(mail_id)
    home, place = editing.find(mail.draft, name)
    after = home[place + 1]["id"] if place + 1 < len(home) else ""
    column = next(
        (
            f"{block['id']}:{number}"
            for block in mail.draft["blocks"]
            for number, leaves in enumerate(block.get("columns", []))
            if any(leaf["id"] == name for leaf in leaves)
        ),
        "",
    )
    draft, block = editing.remove(mail.draft, name)
    _keep(mail, draft)
    return _list(mail, "", removed={"block": json.dumps(block), "before": after, "column": column})


@blueprint.get("/problems")
def problems(mail_id: int) -> str:
    mail = find(mail_id)
    return render_template("mail/_problems.html", mail=mail, **_problems(mail))


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


@blueprint.errorhandler(editing.NoBlock)
def no_block(error: editing.NoBlock) -> Response:
    return _sentence(str(error), 409)


@blueprint.errorhandler(kinds.BadBlocks)
def bad_blocks(error: kinds.BadBlocks) -> Response:
    return _sentence(str(error), 400)


@blueprint.errorhandler(BadMail)
def bad_mail(error: BadMail) -> Response:
    return _sentence(str(error), 400)


def _sentence(text: str, status: int) -> Response:
    response = make_response(text, status)
    response.mimetype = "text/plain"
    return response


class _Untracked:
    """A compiled mail with the real addresses in the place of the numbered ones, for previews and tests."""

    id = 0

    def __init__(self, done: composing.Composed | MailVersion) -> None:
        self.subject, self.html, self.text = done.subject, done.html, done.text
        for number in reversed(range(len(done.links))):
            url, mark = str(done.links[number]["url"]), f"{{{{ click_base }}}}{number}"
            self.html = self.html.replace(mark, url if "{" in url else str(escape(url)))
            self.text = self.text.replace(mark, url)


def _values() -> dict[str, Any]:
    """The fields of a block's form."""
    given: dict[str, Any] = {name: value for name, value in request.form.items() if name != "csrf_token"}
    for name in NUMBERS:
        if name in given:
            given[name] = int(given[name]) if given[name].isdigit() else 0
    return given


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        abort(400)


def _keep(mail: Mail, draft: dict[str, Any]) -> None:
    publishing.save(session(), mail, draft, at=clock.now())


def _saved(mail: Mail, draft: dict[str, Any]) -> str:
    _keep(mail, draft)
    htmx.trigger("mail-changed", {"block": ""})
    return ""


def _list(mail: Mail, name: str, *, changed: bool = True, removed: dict[str, str] | None = None) -> str:
    if changed:
        htmx.trigger("mail-changed", {"block": name})
    else:
        htmx.trigger("block-opened", {"block": name})
    return render_template("mail/_blocks.html", **_blocks(mail, name), removed=removed)


def _blocks(mail: Mail, name: str) -> dict[str, Any]:
    blocks = kinds.plain(kinds.read(mail.draft.get("blocks", [])))
    full = {block.id: block.model_dump() for block in kinds.walk(kinds.read(blocks))}
    return {
        "mail": mail,
        "blocks": blocks,
        "open": name,
        "full": full,
        "kinds": kinds.KINDS,
        "summary": editing.summary,
    }


def _problems(mail: Mail) -> dict[str, Any]:
    done = publishing.compose(session(), mail, inlines=False)
    current = session().get(MailVersion, mail.version_id) if mail.version_id else None
    return {
        "faults": done.faults,
        "warnings": done.warnings,
        "current": current,
        "is_changed": publishing.is_changed(session(), mail),
    }


def _sample(lead_id: int | None) -> dict[str, Any]:
    found = valuing.for_leads(session(), [lead_id]) if lead_id and session().get(Lead, lead_id) else {}
    return dict(found[lead_id] if lead_id in found else valuing.sample(session()))


def _version(mail: Mail, number: int) -> MailVersion:
    query = sa.select(MailVersion).where(MailVersion.mail_id == mail.id, MailVersion.number == number)
    return session().scalar(query) or abort(404)


def _unfinished(faults: list[composing.Fault]) -> str:
    words = escape(faults[0].sentence if faults else "The mail cannot be shown yet.")
    return f'<!doctype html><html lang="en"><head><title>Preview</title></head><body><p>{words}</p></body></html>'
