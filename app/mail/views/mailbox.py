"""The mailbox page: every mail the default transport delivered, shown as its recipient gets it."""

from __future__ import annotations

from flask import abort, make_response, render_template, request
from werkzeug.wrappers import Response

from app.mail import mailboxes
from app.mail.mailboxes import Mailbox, Opened
from app.mail.views.recipients import document
from app.mail.views.rooms import blueprint
from app.web import settings

PAGE = 50


def _mailbox() -> Mailbox:
    return mailboxes.at(settings().data)


@blueprint.get("/mailbox")
@blueprint.get("/mailbox/<int:number>")
def mailbox(number: int | None = None) -> str:
    """The list, and beside it one mail."""
    opened = None if number is None else _opened(number)
    search = request.args.get("q", "")
    box = _mailbox()
    letters = box.letters(search=search, before=request.args.get("before", type=int), limit=PAGE + 1)
    return render_template(
        "mail/mailbox.html",
        letters=letters[:PAGE],
        older=letters[PAGE - 1].id if len(letters) > PAGE else None,
        total=box.count(),
        search=search,
        opened=opened,
        is_used=settings().mail_url.startswith("mailbox:"),
    )


@blueprint.get("/mailbox/<int:number>/content")
def letter_content(number: int) -> Response:
    """The HTML of a mail, for a sandboxed frame; its links open outside of it."""
    html = _opened(number).html
    return document(html.replace("<head>", '<head><base target="_blank">', 1))


@blueprint.get("/mailbox/<int:number>/source")
def letter_source(number: int) -> Response:
    """The mail as it went over the wire."""
    response = make_response(_opened(number).source)
    response.headers["Content-Type"] = "text/plain; charset=utf-8"
    return response


def _opened(number: int) -> Opened:
    return _mailbox().open(number) or abort(404)
