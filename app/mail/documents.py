"""Mails as readable documents: what a file holds, so that mails can be written, compared and carried over as text."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.mail import publishing
from app.mail.composing import Fault
from app.mail.models import Mail
from app.mail.publishing import BadMail
from app.preferences import topics
from app.preferences.models import Topic

MEMBERS = ("key", "name", "purpose", "topic", "subject", "preheader", "blocks")


def write(session: Session, mail: Mail) -> dict[str, Any]:
    """The mail as a document: {"key", "name", "purpose", "topic", "subject", "preheader", "blocks"}; its topic by key."""
    topic = session.get(Topic, mail.topic_id) if mail.topic_id else None
    blocks = [_without_id(block) for block in mail.draft.get("blocks", [])]
    return {
        "key": mail.key,
        "name": mail.name,
        "purpose": mail.purpose,
        "topic": topic.key if topic else None,
        "subject": mail.draft.get("subject", ""),
        "preheader": mail.draft.get("preheader", ""),
        "blocks": blocks,
    }


def read(session: Session, document: Any, *, at: datetime) -> Mail:
    """Make or change the mail that a document describes, as a draft; publishing is another step. Raises BadMail."""
    if not isinstance(document, dict) or not isinstance(document.get("key"), str) or not document["key"].strip():
        raise BadMail([Fault("key", "A mail document is an object with a key; add the key.")])
    unknown = sorted(set(document) - set(MEMBERS))
    if unknown:
        raise BadMail([Fault(unknown[0], f"A mail has no {unknown[0]}; it may hold {', '.join(MEMBERS)}.")])
    draft = {name: document.get(name, publishing.EMPTY[name]) for name in ("subject", "preheader", "blocks")}
    mail = session.scalar(sa.select(Mail).where(Mail.key == document["key"]))
    if mail is None:
        name = str(document.get("name") or document["key"])
        mail = publishing.create(session, name=name, key=document["key"], at=at, draft=draft)
    else:
        publishing.save(session, mail, draft, at=at)
        mail.name = str(document.get("name") or mail.name)[:200]
    mail.purpose = _purpose(document)
    mail.topic_id = _topic_id(session, document, mail)
    session.flush()
    return mail


def _purpose(document: dict[str, Any]) -> str:
    purpose = document.get("purpose", "marketing")
    if purpose not in publishing.PURPOSES:
        raise BadMail([Fault("purpose", f"A mail is marketing or operational, not {purpose}.")])
    return str(purpose)


def _topic_id(session: Session, document: dict[str, Any], mail: Mail) -> int | None:
    if "topic" not in document:
        return mail.topic_id
    key = document["topic"]
    if key is None:
        return None
    topic = topics.by_key(session, str(key))
    if topic is None:
        raise BadMail([Fault("topic", f"There is no topic with the key “{key}”; create it first, or correct the key.")])
    return topic.id


def _without_id(block: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in block.items() if name != "id"}
    if "columns" in kept:
        kept["columns"] = [[_without_id(leaf) for leaf in column] for column in kept["columns"]]
    return kept
