"""The block editor: every change is saved at once in the draft, and the preview beside it shows the mail as it will be."""

from __future__ import annotations

import json
import secrets
from typing import Any

from flask import Blueprint, abort, make_response, render_template, request
from markupsafe import escape
from werkzeug.wrappers import Response

from app import clock
from app.accounts import organisation
from app.mail import blocks as kinds
from app.mail import editing, links, merging, publishing, queries
from app.mail.models import Mail, MailVersion
from app.mail.publishing import BadMail
from app.mail.views.pages import find
from app.preferences import topics
from app.web import htmx, session
from app.web.security import policy

blueprint = Blueprint("mail_editor", __name__, url_prefix="/mails/<int:mail_id>")
NUMBERS = ("level", "width", "count")


@blueprint.get("")
def show(mail_id: int) -> str:
    mail = find(mail_id)
    policy(frame_ancestors="'self'")  # the designer shows it beside the step that sends the mail
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
    block = home[place]
    words = str(escape(editing.summary(block)))
    if "url" not in block:
        return words
    return words + render_template("mail/_url_fault.html", block=block, url_fault=_url_fault(block), is_beside=True)


def _url_fault(block: dict[str, Any]) -> str:
    """What is wrong with the address a block leads to, to stand right below it."""
    url = str(block.get("url") or "").strip()
    wrong = links.fault(url, organisation.get(session()).website) if url else None
    return f"The address {wrong}" if wrong else ""


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
        "url_fault": _url_fault(full[name]) if name in full else "",
        "kinds": kinds.KINDS,
        "summary": editing.summary,
        "turn": secrets.token_hex(3),
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
