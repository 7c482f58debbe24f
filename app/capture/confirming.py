"""Double opt-in: nothing follows from a form until its sender has pressed a button reached by mail."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

import sqlalchemy as sa
from markupsafe import Markup
from sqlalchemy.orm import Session

from app.accounts import limiting, organisation
from app.capture.forming import settings_of
from app.capture.models import Confirmation, Form, Submission
from app.leads.addresses import canonical
from app.mail import queueing
from app.preferences.topics import by_key

VALID = timedelta(days=7)
# Strangers can make us write to any address, so each hears from us only this often (list bombing).
MOST_MAILS = 3
MAILS_WITHIN = timedelta(days=1)

_HTML = Markup(
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{subject}</title></head>'
    "<body><p>Hello,</p><p>somebody, probably you, filled in the form “{form}” of {sender} with this address{topic}.</p>"
    '<p><a href="{url}">Confirm my address</a></p>'
    "<p>The link opens a page with a button and works for 7 days. If it was not you, do nothing: you hear no more "
    "about it.</p><p>{sender}<br>{place}</p></body></html>"
)
_TEXT = """Hello,

somebody, probably you, filled in the form “{form}” of {sender} with this address{topic}.

Confirm your address here:
{url}

The link opens a page with a button and works for 7 days. If it was not you, do nothing: you hear no more about it.

{sender}
{place}
"""


def ask(session: Session, form: Form, submission: Submission, *, base_url: str, at: datetime) -> bool:
    """Send the mail with the link; False when this address had too many of them already."""
    address = canonical(submission.answers["email"])
    if not limiting.allow(session, "confirmation", address, most=MOST_MAILS, within=MAILS_WITHIN):
        return False
    token = secrets.token_urlsafe(24)
    session.add(Confirmation(token_hash=_hash(token), submission_id=submission.id, expires_at=at + VALID))
    session.flush()
    ours = organisation.get(session)
    topic = by_key(session, settings_of(form).topic)
    words = {
        "subject": "Please confirm your address",
        "form": form.name,
        "sender": ours.from_name or ours.name,
        "topic": f", and asked for mail about “{topic.name}”" if topic and submission.consented else "",
        "url": f"{base_url}/f/confirm/{token}",
        "place": ours.postal_address,
    }
    inputs = {"subject": words["subject"], "html": str(_HTML.format(**words)), "text": _TEXT.format(**words)}
    queueing.queue_one(session, key=f"confirmation:{submission.id}", at=at, recipient=address, inputs=inputs)
    return True


def find(session: Session, token: str) -> Confirmation | None:
    return session.get(Confirmation, _hash(token)) if 16 <= len(token) <= 100 else None


def is_open(confirmation: Confirmation, at: datetime) -> bool:
    return confirmation.used_at is None and at < confirmation.expires_at


def confirm(session: Session, confirmation: Confirmation, *, at: datetime) -> Submission | None:
    """Use the link, once: the submission to act on now, or None when it was used or is too old."""
    moved = session.connection().execute(
        sa.update(Confirmation)
        .where(Confirmation.token_hash == confirmation.token_hash)
        .where(Confirmation.used_at.is_(None), Confirmation.expires_at > at)
        .values(used_at=at)
    )
    if not moved.rowcount:
        return None
    submission = session.get_one(Submission, confirmation.submission_id)
    submission.state = "accepted"
    session.flush()
    return submission


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
