"""Gathers what a batch of claimed messages needs to be written: versions, people, our own name; frozen at the first try."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import sqlalchemy as sa
from markupsafe import escape
from sqlalchemy.orm import Session

from app import signing
from app.accounts import organisation
from app.accounts.models import Organisation
from app.db import table
from app.leads.models import Lead
from app.mail import links, merging, rendering, valuing
from app.mail.assembling import Unsafe
from app.mail.leasing import Held
from app.mail.models import Mail, MailVersion
from app.mail.pacing import domain_of
from app.mail.rendering import BadTemplate, Envelope, Facts, Words
from app.mail.valuing import Values
from app.outbox import Message
from app.preferences.models import Topic

_PERSON = (Lead.id, Lead.first_name, Lead.last_name, Lead.email, Lead.canonical_email)


class NoAddress(ValueError):
    """The message has nobody to go to."""


class Owed(NamedTuple):
    """What a message says of itself."""

    id: int
    created_at: datetime
    purpose: str
    lead_id: int | None
    recipient: str | None
    mail_id: int | None
    mail_version_id: int | None
    topic_id: int | None
    campaign_id: int | None
    inputs: dict[str, Any] | None
    reason: str | None
    finished_at: datetime | None


_OWED = [getattr(Message, name) for name in Owed._fields]


@dataclass(slots=True)
class Prepared:
    """One claimed message with all that its mail is made of."""

    held: Held
    message: Owed
    mail_key: str
    campaign_key: str
    inputs: dict[str, Any]  # as they will be frozen
    recipient: str
    domain: str  # where it goes
    address_hash: str
    written: Envelope | ValueError | None = None  # by the process beside the sender


@dataclass(slots=True)
class Preparing:
    """Reads batches; keeps the versions it has seen, since thousands of messages share one."""

    versions: dict[int, MailVersion] = field(default_factory=dict)
    named: dict[int, dict[str, set[str]]] = field(default_factory=dict)  # what the merge tags of each version name

    def prepare(self, session: Session, held: Sequence[Held]) -> list[Prepared]:
        """The batch, in its order, in a constant number of statements."""
        asked = sa.select(*_OWED).where(Message.id.in_([each.id for each in held]))
        messages = {row.id: Owed(*row) for row in session.execute(asked)}
        self._load_versions(session, {m.mail_version_id for m in messages.values() if m.mail_version_id})
        lead_ids = {m.lead_id for m in messages.values() if m.lead_id}
        leads = {row.id: row for row in session.execute(sa.select(*_PERSON).where(Lead.id.in_(lead_ids)))}
        values = valuing.for_leads(session, list(lead_ids), self._named_by(messages.values()))
        names = _Names.read(session, messages.values())
        nobody = valuing.nobody(session)
        prepared = []
        for each in held:
            message = messages[each.id]
            lead = leads.get(message.lead_id or 0)
            merged = self._kept(message.mail_version_id, values.get(message.lead_id or 0, nobody))
            prepared.append(_prepared(each, message, lead, merged, names))
        return prepared

    def envelope(self, prepared: Prepared) -> Envelope:
        """The mail of one message. Raises BadTemplate, NoAddress, assembling.Unsafe."""
        facts = prepared.inputs["facts"]
        if not facts["recipient"]:
            raise NoAddress("The lead has no mail address.")
        message = prepared.message
        made = Facts(id=message.id, created_at=message.created_at, purpose=message.purpose, **facts)
        return rendering.envelope(made, self.words(message, prepared.inputs))

    def attempt(self, prepared: Prepared) -> Envelope | ValueError:
        """The mail, or the problem why it can never be written."""
        if prepared.written is not None:
            return prepared.written
        try:
            return self.envelope(prepared)
        except (NoAddress, BadTemplate, Unsafe) as error:
            return error

    def _named_by(self, messages: Iterable[Owed]) -> dict[str, set[str]]:
        """What the merge tags of these messages name, together."""
        found: dict[str, set[str]] = {}
        for version_id in {message.mail_version_id for message in messages}:
            for group, names in self.named.get(version_id or 0, {}).items():
                found[group] = found.get(group, set()) | names
        return found

    def _kept(self, version_id: int | None, values: Values) -> Values:
        """Of all values those that the mail names: nothing else of the person is kept with the message."""
        return {
            group: {name: values[group][name] for name in named if name in values[group]}
            for group, named in self.named.get(version_id or 0, {}).items()
            if group in values
        }

    def words(self, message: Any, inputs: dict[str, Any]) -> Words:
        """What the recipient reads: a version filled in, or a mail that was written whole. Raises BadTemplate."""
        if message.mail_version_id is None:
            return whole(inputs)
        version = self.versions.get(message.mail_version_id)
        if version is None:
            raise BadTemplate("The version of the mail is gone.")
        pages = links.pages(message.id, self.named.get(version.id, links.PAGES))
        return rendering.render(version, inputs["values"] | pages)

    def _load_versions(self, session: Session, ids: set[int]) -> None:
        missing = ids - self.versions.keys()
        if missing:
            for version in session.scalars(sa.select(MailVersion).where(MailVersion.id.in_(missing))):
                self.versions[version.id] = version
                texts = (version.subject, version.html, version.text, *(str(link["url"]) for link in version.links))
                self.named[version.id] = merging.named(texts)


def whole(inputs: dict[str, Any]) -> Words:
    """A mail that came complete: an alert, a confirmation, a test."""
    text = str(inputs.get("text") or "")
    html = str(inputs.get("html") or "")
    if not text and not html:
        raise BadTemplate("The mail has no words.")
    return Words(str(inputs.get("subject") or ""), html or _as_html(text), text or "This mail is written in HTML.")


def _as_html(text: str) -> str:
    paragraphs = "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part.strip())
    return f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title></title></head><body>{paragraphs}</body></html>'


@dataclass(frozen=True, slots=True)
class _Names:
    """The words that headers need, by id."""

    ours: dict[str, str]
    mails: dict[int, str]
    topics: dict[int, dict[str, str]]
    campaigns: dict[int, str]

    @classmethod
    def read(cls, session: Session, messages: Any) -> _Names:
        every = list(messages)
        mail_ids = {m.mail_id for m in every if m.mail_id}
        topic_ids = {m.topic_id for m in every if m.topic_id}
        campaigns = table("campaigns")
        campaign_ids = {m.campaign_id for m in every if m.campaign_id}
        keys = session.execute(sa.select(campaigns.c.id, campaigns.c.key).where(campaigns.c.id.in_(campaign_ids)))
        mails = session.execute(sa.select(Mail.id, Mail.key).where(Mail.id.in_(mail_ids)))
        topics = session.execute(sa.select(Topic.id, Topic.name, Topic.key).where(Topic.id.in_(topic_ids)))
        return cls(
            ours=_of_us(organisation.get(session)),
            mails={row.id: row.key for row in mails},
            topics={row.id: {"list_name": row.name, "list_key": row.key} for row in topics},
            campaigns={row.id: row.key for row in keys},
        )


def _of_us(ours: Organisation) -> dict[str, str]:
    return {
        "from_name": ours.from_name or ours.name,
        "from_email": ours.from_email or f"mail@{_host()}",
        "reply_to": ours.reply_to,
    }


def _prepared(held: Held, message: Any, lead: Any, values: Values, names: _Names) -> Prepared:
    mail_key = names.mails.get(message.mail_id or 0, "")
    campaign_key = names.campaigns.get(message.campaign_id or 0, "")
    given = dict(message.inputs or {})
    if "facts" not in given:  # else they are frozen already
        given["facts"] = _facts(message, lead, names, mail_key, campaign_key)
        if message.mail_version_id is not None:
            given["values"] = {**values, **given.get("values", {})}
    recipient = str(given["facts"]["recipient"])
    hashed = signing.address_hash(recipient.lower())
    return Prepared(held, message, mail_key, campaign_key, given, recipient, domain_of(recipient), hashed)


def _facts(message: Any, lead: Any, names: _Names, mail_key: str, campaign_key: str) -> dict[str, Any]:
    address = message.recipient or (_address(lead) if lead else "")
    name = " ".join(filter(None, (lead.first_name, lead.last_name))) if lead and not message.recipient else ""
    return {
        "recipient": address,
        "recipient_name": name,
        **names.ours,
        **names.topics.get(message.topic_id or 0, {"list_name": "", "list_key": "mail"}),
        "feedback": f"{campaign_key or 'none'}:{mail_key or 'none'}",
    }


def _address(lead: Any) -> str:
    """As the person wrote it, with the domain in ASCII; plus-tags and dots are theirs to choose."""
    if not lead.canonical_email:
        return ""
    local = (lead.email or lead.canonical_email).rpartition("@")[0]
    return f"{local}@{lead.canonical_email.rpartition('@')[2]}"


def _host() -> str:
    host = urlsplit(links.base_url()).hostname or ""
    return host if "." in host and not host.replace(".", "").isdigit() else "trellis.invalid"
