"""What a tester lets the test lead do, in words ("2d: clicks welcome"), read and done in the database of the try."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.calling_out import Answer
from app.capture.models import Form
from app.engine.models import Enrollment
from app.leads.models import Lead
from app.mail import reacting
from app.mail.models import Mail, MailVersion
from app.outbox import Message
from app.preferences import consenting
from app.sales import answering, tasking
from app.sales.models import Handoff, Task
from app.tracking import recording

SOON = timedelta(hours=1)  # how long the lead, or sales, takes when the tester does not say
_READING = timedelta(minutes=1)  # whoever is faster is a machine
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PERSON = {"browser": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
OF_MAIL = ("opens", "clicks", "replies")
_NEEDS = {"opens": "a mail", "clicks": "a mail", "replies": "a mail", "visits": "a page", "submits": "a form", "event": "a name"}  # fmt: skip
_ANSWERS = ("accepts", "rejects", "recycles")
WORDS = ("nothing", *_NEEDS, "unsubscribes", "sales", "task", "webhook")
HOW = (
    "opens MAIL, clicks MAIL [LINK], replies MAIL, visits PATH, submits FORM, event NAME, unsubscribes, "
    "sales accepts, sales rejects, sales recycles, task [OUTCOME], webhook ok [JSON], webhook fails, or nothing"
)


class BadReaction(ValueError):
    """A reaction that cannot be read, in one sentence that says how to write it."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """One thing that happens: `after` the entry, or as soon as there is what it is about."""

    text: str
    after: timedelta | None
    verb: str
    what: str = ""

    def due(self, session: Session, entered_at: datetime, campaign_id: int) -> datetime | None:
        """When it happens; None: there is nothing yet that it could be about."""
        found = self._about(session, campaign_id)
        if self.after is not None:
            at = entered_at + self.after
            sent_at = found.finished_at if isinstance(found, Message) else None
            return max(at, sent_at + _READING) if sent_at else at
        if self.verb in (*OF_MAIL, "sales", "task"):
            since = found.finished_at if isinstance(found, Message) else found.created_at if found else None
            return since + SOON if since else None
        return entered_at

    def _about(self, session: Session, campaign_id: int) -> Message | Handoff | Task | None:
        """The newest thing of the passage that it answers."""
        if self.verb in OF_MAIL:
            key = self.what.partition(" ")[0]
            mine = sa.and_(Message.campaign_id == campaign_id, Message.enrollment_id.is_not(None))
            query = sa.select(Message).join(Mail, Mail.id == Message.mail_id)
            return session.scalar(
                query.where(mine, Mail.key == key, Message.state == "sent").order_by(Message.id.desc())
            )
        here = sa.select(Enrollment.id).where(Enrollment.campaign_id == campaign_id)
        if self.verb == "sales":
            return session.scalar(
                sa.select(Handoff).where(Handoff.enrollment_id.in_(here)).order_by(Handoff.id.desc()).limit(1)
            )
        if self.verb == "task":
            open_ = sa.and_(Task.enrollment_id.in_(here), Task.done_at.is_(None))
            return session.scalar(sa.select(Task).where(open_).order_by(Task.id).limit(1))
        return None

    def happen(self, session: Session, *, lead_id: int, campaign_id: int, at: datetime) -> str:
        """Let it happen; "" or why it could not."""
        about = self._about(session, campaign_id)
        if isinstance(about, Message):
            return self._with_mail(session, about, at)
        if isinstance(about, Handoff):
            return self._by_sales(session, about, at)
        if isinstance(about, Task):
            tasking.finish(session, about.id, outcome=self.what, at=at)
            return ""
        if self.verb in OF_MAIL:
            return f"The mail “{self.what.partition(' ')[0]}” had not been sent by then."
        if self.verb in {"sales", "task"}:
            return f"Nothing was with {'sales' if self.verb == 'sales' else 'anybody as a task'} by then."
        self._alone(session, lead_id, at)
        return ""

    def _alone(self, session: Session, lead_id: int, at: datetime) -> None:
        kinds = {"visits": "page_viewed", "submits": "form_submitted", "event": "custom"}
        if self.verb in kinds:
            recording.record(
                session, kind=kinds[self.verb], identity_id=lead_id, subject=self.what, at=at, agent="human"
            )
        elif self.verb == "unsubscribes":
            consenting.withdraw(session, sa.select(Lead.id).where(Lead.id == lead_id), None, source="try", at=at)

    def _with_mail(self, session: Session, message: Message, at: datetime) -> str:
        if self.verb == "opens":
            reacting.opened(session, message, at=at, evidence={**_PERSON, "medium": "open"})
        elif self.verb == "replies":
            key = self.what.partition(" ")[0]
            recording.record(
                session,
                kind="email_replied",
                identity_id=message.lead_id or 0,
                subject=key,
                at=at,
                message_id=message.id,
                campaign_id=message.campaign_id,
            )
        else:
            wanted = self.what.partition(" ")[2].strip()
            place = _place(session, message, wanted)
            link = reacting.link_of(session, message, place) if place is not None else None
            if link is None or place is None:
                return f"The mail has no link “{wanted}”." if wanted else "The mail has no link."
            evidence = {**_PERSON, "medium": "click"}
            reacting.click(session, message, place, link, at=at, evidence=evidence, remembered=None)
        return ""

    def _by_sales(self, session: Session, handoff: Handoff, at: datetime) -> str:
        user_id = handoff.owner_id or session.scalar(sa.text("SELECT min(id) FROM users")) or 0
        try:
            if self.what == "accepts":
                answering.accept(session, handoff.id, user_id, at=at)
            elif self.what == "rejects":
                answering.reject(session, handoff.id, user_id, reason="In a try", at=at)
            else:
                later = at + timedelta(days=30)
                answering.recycle(session, handoff.id, user_id, reason="In a try", come_back_at=later, at=at)
        except answering.BadAnswer as error:
            return str(error)
        return ""


def _place(session: Session, message: Message, wanted: str) -> int | None:
    """The link that is meant, by its words or a part of its address; the first when none is named."""
    version = session.get(MailVersion, message.mail_version_id) if message.mail_version_id else None
    for place, link in enumerate(version.links if version else []):
        words = f"{link.get('label', '')} {link.get('url', '')}".casefold()
        if wanted.casefold() in words:
            return place
    return None


def read(texts: Iterable[str]) -> list[Reaction]:
    """Reactions as they are written. Raises BadReaction."""
    return [found for text in texts if text.strip() and (found := _read(text)).verb != "nothing"]


def _read(text: str) -> Reaction:
    words = " ".join(text.split())
    timed = re.fullmatch(r"((?:\d{1,5}[mhdw] ?)+): ?(.+)", words)
    after = _span(timed[1]) if timed else None
    verb, _, what = (timed[2] if timed else words).partition(" ")
    if (verb, what) == ("does", "nothing"):
        verb, what = "nothing", ""
    if verb not in WORDS:
        raise BadReaction(f"“{words}” is no reaction; write, with “2d: ” before it if you like, {HOW}.")
    if verb in _NEEDS and not what:
        raise BadReaction(f"“{words}”: say which: {verb} needs {_NEEDS[verb]}.")
    if verb == "sales" and what not in _ANSWERS:
        raise BadReaction(f"“{words}”: sales accepts, rejects or recycles.")
    if verb == "webhook":
        _answered(what)
    return Reaction(words, after, verb, what)


def _span(text: str) -> timedelta:
    parts = re.findall(r"(\d+)([mhdw])", text)
    return sum((timedelta(**{_UNITS[unit]: int(count)}) for count, unit in parts), timedelta())


def _answered(what: str) -> Answer:
    said, _, body = what.partition(" ")
    if said == "fails":
        return Answer(400, b"")
    try:
        if said != "ok" or not isinstance(json.loads(body or "{}"), dict):
            raise ValueError
    except ValueError:
        raise BadReaction("A webhook is written: webhook ok, webhook ok {…JSON…}, or webhook fails.") from None
    return Answer(200, (body or "{}").encode())


def answer_of(reactions: Iterable[Reaction]) -> Answer:
    """What every server answers that would be called: done, unless the tester says otherwise."""
    given = [each.what for each in reactions if each.verb == "webhook"]
    return _answered(given[-1] if given else "ok")


def check(session: Session, reactions: Iterable[Reaction]) -> None:
    """Whether the mails and forms they name exist. Raises BadReaction."""
    known = {"mail": set(session.scalars(sa.select(Mail.key))), "form": set(session.scalars(sa.select(Form.key)))}
    for each in reactions:
        kind = "mail" if each.verb in OF_MAIL else "form" if each.verb == "submits" else ""
        key = each.what.partition(" ")[0] if kind == "mail" else each.what
        if kind and key not in known[kind]:
            raise BadReaction(f"“{each.text}”: there is no {kind} with the key “{key}”.")
