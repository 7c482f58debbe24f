"""The mail of a year: it leaves when the engine says so, some of it bounces, and people and machines react to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.demo import browsing
from app.demo.browsing import Fact
from app.demo.drawing import Draw
from app.demo.people import Person
from app.demo.writing import write
from app.leads.models import Lead
from app.mail import links, queueing
from app.mail.leasing import Held
from app.mail.models import Mail, MailVersion
from app.mail.preparing import Owed, Preparing
from app.mail.transporttype import Transport
from app.outbox import Message
from app.preferences import consenting, suppressing
from app.preferences.models import Subscription, Topic

GATEWAY = "Mozilla/5.0 (compatible; Barracuda Sentinel; +https://www.barracuda.example)"
APPLE = "Mozilla/5.0"
MESSAGES: sa.Table = Message.__table__
REFUSED = "550 5.1.1 The mailbox does not exist"
FAREWELLS = {"may-we-stay-in-touch": 0.05, "still-moving-freight": 0.02}  # the share that unsubscribes


@dataclass(frozen=True, slots=True)
class Farewell:
    """Somebody will have had enough."""

    at: datetime
    person: Person
    topic: str | None


@dataclass(slots=True)
class Post:
    """The simulated way out: marks mail as sent and tells what its readers will do."""

    people: dict[int, Person]
    now: datetime
    preparing: Preparing = field(default_factory=Preparing)
    keys: dict[int, str] = field(default_factory=dict)

    def collect(self, session: Session, at: datetime) -> tuple[list[Fact], list[Farewell]]:
        """Send all that is ready; what will happen because of it."""
        ready = session.scalars(sa.select(Message).where(Message.state == "ready").order_by(Message.id)).all()
        if not ready:
            return [], []
        prepared = self.preparing.prepare(session, [Held(m.id, 1, "demo") for m in ready])
        rows, facts, reactions = [], [], list[Fact | Farewell]()
        for place, each in enumerate(prepared):
            message, person = each.message, self.people.get(each.message.lead_id or 0)
            left = at + timedelta(milliseconds=300 * place)
            bounces = person is not None and person.is_gone
            rows.append({"message": message.id, **_outcome(left, bounces=bounces), "inputs": each.inputs})
            if person is None:
                continue
            if bounces:
                facts.append(self._bounce(session, message, each.mail_key, person, left))
            else:
                facts.append(_fact("email_sent", left, message, each.mail_key, person))
                reactions += self.reactions(message, each.mail_key, person, left)
        statement = sa.update(MESSAGES).where(MESSAGES.c.id == sa.bindparam("message"))
        session.connection().execute(statement, rows)
        write(session, facts)
        return _parted(reactions)

    def copy(self, session: Session, transport: Transport, most: int) -> None:
        """Lay what was sent last into the mailbox, written by the product's own renderer."""
        last = sa.select(Message).where(Message.state == "sent", Message.mail_id.is_not(None))
        newest = session.scalars(last.order_by(Message.finished_at.desc(), Message.id.desc()).limit(most)).all()
        for each in reversed(self.preparing.prepare(session, [Held(m.id, 1, "demo") for m in newest])):
            with clock.at(each.message.finished_at or self.now):
                transport.deliver(self.preparing.envelope(each))

    def react(self, session: Session, since: int) -> tuple[list[Fact], list[Farewell]]:
        """What readers will do with the mail that really left after message `since`."""
        sent = session.execute(
            sa.select(Message, Mail.key)
            .join(Mail, Mail.id == Message.mail_id)
            .where(Message.id > since, Message.state == "sent")
        ).all()
        self.preparing._load_versions(session, {m.mail_version_id for m, _ in sent if m.mail_version_id})
        found = [
            reaction
            for message, key in sent
            if (person := self.people.get(message.lead_id or 0)) and message.finished_at
            for reaction in self.reactions(message, key, person, message.finished_at)
        ]
        return _parted(found)

    def reactions(self, message: Message | Owed, key: str, person: Person, sent: datetime) -> Iterator[Fact | Farewell]:
        """Opens and clicks of machines and people, the visits they lead to, and now and then a goodbye."""
        draw = person.draw("mail", key, sent.date())
        version = self.preparing.versions.get(message.mail_version_id or 0)
        if person.scanner:
            delay = draw.whole(1, 3) if person.scanner == "gateway" else draw.whole(40, 2400)
            browser = GATEWAY if person.scanner == "gateway" else APPLE
            yield from self._seen("email_opened", browser, delay, message, key, person, sent)
        is_quiet = person.quiet_from is not None and person.quiet_from < sent
        reads = float(person.kind["reads"]) * (0.5 if is_quiet else 1.0)
        if not draw.happens(reads):
            return
        delay = int(draw.skewed(240, 150_000))
        yield from self._seen("email_opened", person.browser, delay, message, key, person, sent)
        clicks = float(person.kind["clicks"]) * (
            0.45 if message.campaign_id is None else 1.0
        )  # newsletters are skimmed
        if version and version.links and draw.happens(clicks / reads * (0.7 if is_quiet else 1.0)):
            yield from self._clicked(draw, version, message, key, person, sent, delay + draw.whole(8, 400))
        if draw.happens(FAREWELLS.get(key, 0.006)) and sent + timedelta(seconds=delay + 60) < self.now:
            topic = None if draw.happens(0.25) else "product-news"
            yield Farewell(sent + timedelta(seconds=delay + 60), person, topic)

    def _clicked(
        self,
        draw: Draw,
        version: MailVersion,
        message: Message | Owed,
        key: str,
        person: Person,
        sent: datetime,
        delay: int,
    ) -> Iterator[Fact]:
        place = draw.place([1 / (n + 1) for n in range(len(version.links))])
        link = version.links[place]
        props = {"url": link["url"], "label": link["label"], "position": place}
        yield from self._seen("email_clicked", person.browser, delay, message, key, person, sent, props)
        at = sent + timedelta(seconds=delay + 2)
        path, is_file = browsing.landing_page(str(link["url"]))
        if not is_file:
            yield from browsing.visit(person, at, draw.whole(1, 4), self.now, first=path)
        elif at < self.now:
            props = {"host": browsing.HOST, "name": browsing.FILES.get(path, path.rpartition("/")[2])}
            seen = browsing.evidence("page", person.browser)
            yield Fact(at, "file_downloaded", path, person, props, *seen, by_visitor=True)

    def _seen(
        self, kind: str, browser: str, delay: int, message: Message | Owed, key: str, person: Person, sent: datetime,
        props: dict[str, Any] | None = None,
    ) -> Iterator[Fact]:  # fmt: skip
        at = sent + timedelta(seconds=delay)
        if at < self.now:
            medium = "open" if kind == "email_opened" else "click"
            agent, kept = browsing.evidence(medium, browser, delay if delay < 5 else -1)
            fact = _fact(kind, at, message, key, person)
            fact.agent, fact.evidence, fact.props = agent, {**kept, "delay": delay}, props or {}
            yield fact

    def _bounce(self, session: Session, message: Message | Owed, key: str, person: Person, at: datetime) -> Fact:
        suppressing.suppress(session, str(person.row["email"]), "bounce", REFUSED, at)
        fact = _fact("email_bounced", at, message, key, person)
        fact.props = {"type": "hard", "reply": REFUSED}
        return fact


def _fact(kind: str, at: datetime, message: Message | Owed, key: str, person: Person) -> Fact:
    return Fact(at, kind, key, person, {}, message_id=message.id, campaign_id=message.campaign_id)


def _outcome(at: datetime, *, bounces: bool) -> dict[str, Any]:
    done = {"finished_at": at, "attempt": 1}
    if bounces:
        return {**done, "state": "failed", "reason": "bounced", "reply": REFUSED}
    return {**done, "state": "sent", "reason": None, "reply": "250 2.0.0 accepted"}


def _parted(found: Sequence[Fact | Farewell]) -> tuple[list[Fact], list[Farewell]]:
    return [f for f in found if isinstance(f, Fact)], [f for f in found if isinstance(f, Farewell)]


def take_leave(session: Session, farewell: Farewell) -> None:
    """The unsubscribe link of a mail was used."""
    topic = farewell.topic
    farewell.person.topics[topic or "*"] = "withdrawn"
    who = sa.select(Lead.id).where(Lead.id == farewell.person.lead_id)
    proof = {"browser": farewell.person.browser}
    consenting.withdraw(session, who, topic, source="One-click unsubscribe", at=farewell.at, evidence=proof)


def newsletter(session: Session, mail_key: str, *, at: datetime) -> None:
    """One issue to everybody who agreed to product news by then."""
    agreed = (
        sa.select(Subscription.lead_id)
        .join(Topic, Topic.id == Subscription.topic_id)
        .where(Topic.key == "product-news", Subscription.state == "given")
        .subquery()
    )
    none = sa.cast(sa.null(), sa.BigInteger)
    columns = {name: none.label(name) for name in ("enrollment_id", "visit", "campaign_id")}
    source = sa.select(agreed.c.lead_id, *columns.values(), sa.cast(sa.null(), sa.Text).label("step")).subquery()
    queueing.queue_for(session, source, mail_key=mail_key, at=at)


def use(base_url: str) -> None:
    """The address under which links in these mails work."""
    links.use(base_url)
