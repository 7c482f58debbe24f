"""Keeps a mail's draft, says what is still wrong with it, and publishes it as a version that never changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.mail import blocks as kinds
from app.mail import composing, frame, merging
from app.mail.composing import Composed, Fault
from app.mail.models import Mail, MailVersion
from app.preferences import topics

EMPTY: dict[str, Any] = {"subject": "", "preheader": "", "blocks": []}
PURPOSES = {"marketing": "Marketing", "operational": "Operational"}


class BadMail(ValueError):
    """Everything that keeps a mail from being saved or published, each a sentence."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(" ".join(fault.sentence for fault in faults))
        self.faults = list(faults)

    @property
    def sentences(self) -> list[str]:
        return [fault.sentence for fault in self.faults]


def create(
    session: Session,
    *,
    name: str,
    at: datetime,
    key: str = "",
    purpose: str = "marketing",
    topic_id: int | None = None,
    draft: dict[str, Any] | None = None,
) -> Mail:
    """A new mail with its draft. Raises BadMail."""
    name = " ".join(name.split())[:200]
    if not name:
        raise BadMail([Fault("name", "Give the mail a name; only your team sees it.")])
    if purpose not in PURPOSES:
        raise BadMail([Fault("purpose", f"A mail is marketing or operational, not {purpose}.")])
    mail = Mail(
        key=_free_key(session, key or topics.slug(name) or "mail"), name=name, purpose=purpose, topic_id=topic_id
    )
    mail.draft, mail.created_at, mail.updated_at = read_draft(draft or EMPTY), at, at
    session.add(mail)
    session.flush()
    return mail


def _free_key(session: Session, wanted: str) -> str:
    """The key, or the key with the next number when somebody has it."""
    taken = set(session.scalars(sa.select(Mail.key).where(Mail.key.startswith(wanted, autoescape=True))))
    return next(key for key in (wanted, *(f"{wanted}-{n}" for n in range(2, len(taken) + 3))) if key not in taken)


def read_draft(given: Any) -> dict[str, Any]:
    """A draft from a form or a text file in the form it is stored in. Raises BadMail."""
    if not isinstance(given, dict) or not set(given) <= {"subject", "preheader", "blocks"}:
        raise BadMail([Fault("draft", "A mail holds a subject, a preheader and blocks, nothing else.")])
    lines = {name: given.get(name, "") for name in ("subject", "preheader")}
    for name, text in lines.items():
        if not isinstance(text, str) or len(text) > 1000:
            raise BadMail([Fault(name, f"The {name} must be a text of at most 1,000 characters.")])
    try:
        return {**lines, "blocks": kinds.plain(kinds.read(given.get("blocks", [])))}
    except kinds.BadBlocks as error:
        raise BadMail([Fault("blocks", sentence) for sentence in error.sentences]) from None


def save(session: Session, mail: Mail, draft: Any, *, at: datetime) -> None:
    """Keep the draft, finished or not. Raises BadMail only when it could not be read again."""
    mail.draft, mail.updated_at = read_draft(draft), at
    session.flush()


def compose(session: Session, mail: Mail, *, inlines: bool = True) -> Composed:
    """The draft compiled, with all that is wrong and all that could be better."""
    draft = read_draft(mail.draft)
    ours = organisation.get(session)
    done = composing.compose(
        subject=draft["subject"],
        preheader=draft["preheader"],
        blocks=kinds.read(draft["blocks"]),
        names=merging.known(session),
        look=frame.Look(accent=ours.accent, is_marketing=mail.purpose == "marketing"),
        inlines=inlines,
    )
    if mail.purpose == "marketing" and mail.topic_id is None:
        done.warnings.append(Fault("topic", "No topic is chosen: everybody who agreed to any topic may get this mail."))
    if not ours.postal_address:
        done.warnings.append(
            Fault("footer", "Your postal address is missing; the law asks for it. Write it under Settings.")
        )
    return done


def publish(session: Session, mail_id: int, *, at: datetime) -> MailVersion:
    """Compile the draft and make it what is sent from now on; unchanged drafts keep their version. Raises BadMail."""
    mail = session.get_one(Mail, mail_id)
    done = compose(session, mail)
    if done.faults:
        raise BadMail(done.faults)
    current = session.get(MailVersion, mail.version_id) if mail.version_id else None
    if current and (current.subject, current.html, current.text) == (done.subject, done.html, done.text):
        return current
    version = MailVersion(
        mail_id=mail.id,
        number=(session.scalar(sa.select(sa.func.max(MailVersion.number)).where(MailVersion.mail_id == mail.id)) or 0)
        + 1,
        subject=done.subject,
        preheader=done.preheader,
        blocks=mail.draft["blocks"],
        html=done.html,
        text=done.text,
        links=done.links,
        created_at=at,
    )
    session.add(version)
    session.flush()
    mail.version_id, mail.updated_at = version.id, at
    session.flush()
    return version


def is_changed(session: Session, mail: Mail) -> bool:
    """Whether the draft differs from what is sent."""
    current = session.get(MailVersion, mail.version_id) if mail.version_id else None
    if current is None:
        return True
    draft = (mail.draft.get("subject"), mail.draft.get("preheader"), mail.draft.get("blocks"))
    return draft != (current.subject, current.preheader, current.blocks)


def restore(session: Session, mail: Mail, version: MailVersion, *, at: datetime) -> None:
    """Take an older version as the draft."""
    draft = {"subject": version.subject, "preheader": version.preheader, "blocks": version.blocks}
    save(session, mail, draft, at=at)
