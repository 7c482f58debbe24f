"""Tells a try step by step, from the journal it left: decisions with their reasons, mails, tasks, handoffs, and how it ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.campaigns.hurrying import Hurry
from app.engine import barring, explaining, versions
from app.engine.explaining import Line, Passage
from app.engine.models import Campaign, Enrollment, WebhookCall
from app.mail import queries as mail_queries
from app.mail import rendering, valuing
from app.mail.models import Mail, MailVersion
from app.outbox import Message
from app.preferences import limits
from app.sales.models import Alert, Handoff, Task

Said = Callable[[datetime], str]
Visit = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """A mail as the lead would get it, or why it would not."""

    mail_id: int
    key: str
    version: int | None
    subject: str
    text: str
    state: str
    reason: str
    links: list[str]


@dataclass(frozen=True, slots=True)
class Stop:
    """One thing on the path: a step with its reason, or what the lead did."""

    at: datetime
    day: int  # since the beginning
    kind: str  # of the step; "entry", "reaction"
    step: str
    title: str
    port: str | None
    sentence: str
    is_waiting: bool = False
    is_done: bool = True
    mails: list[Seen] = field(default_factory=list)
    made: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Told:
    """The whole try."""

    began: datetime
    state: str  # of the last passage; "outside" when the lead never came in
    end: str
    path: list[Stop]
    unknown: list[str]


def tell(session: Session, hurry: Hurry, said: Said) -> Told:
    """What became of the lead in the database of the try."""
    lead_id, campaign_id, began = hurry.lead_id, hurry.campaign_id, hurry.began
    passages = sorted(explaining.why(session, lead_id, campaign_id, said=said), key=lambda p: p.enrollment_id)
    mails, made = _mails(session, lead_id), _made(session, said)
    path = [
        Stop(at, (at - began).days, "reaction", "", text, None, problem, is_done=not problem)
        for at, text, problem in hurry.done
    ]
    for number, passage in enumerate(passages):
        first, entry = passage.entered_at, passage.entry
        if hurry.is_let_in and number == 0:
            entry = entry.replace("Entered by", "Let in as if by", 1)
        path.append(Stop(first, (first - began).days, "entry", "", "Comes in", None, entry))
        path += [_stop(passage, line, began, mails, made) for line in passage.lines]
    path.sort(key=lambda stop: (stop.is_waiting, stop.at))
    state = passages[-1].state if passages else "outside"
    return Told(
        began, state, hurry.end or _end(session, passages, lead_id, campaign_id), path, _unknown(session, campaign_id)
    )


def _stop(
    passage: Passage, line: Line, began: datetime, mails: dict[Visit, list[Seen]], made: dict[Visit, list[str]]
) -> Stop:
    at, visit = line.left_at or line.arrived_at, (passage.enrollment_id, line.visit)
    return Stop(
        at,
        (at - began).days,
        line.kind,
        line.step,
        line.title,
        line.port,
        line.sentence,
        is_waiting=line.left_at is None,
        mails=mails.get(visit, []),
        made=made.get(visit, []),
    )


def _end(session: Session, passages: list[Passage], lead_id: int, campaign_id: int) -> str:
    if not passages:
        reasons = " ".join(barring.why_not(session, lead_id, campaign_id))
        return f"The lead did not come in. {reasons}".strip()
    last = passages[-1]
    if last.state == "active":
        return f"Still inside, at “{last.lines[-1].title}”. {last.lines[-1].sentence}"
    words = {"completed": "Came to the end", "converted": "Reached the goal", "exited": "Left", "failed": "Failed"}
    return words.get(last.state, last.state.capitalize()) + (f": {last.reason}." if last.reason else ".")


def _mails(session: Session, lead_id: int) -> dict[Visit, list[Seen]]:
    values = valuing.for_leads(session, [lead_id]).get(lead_id, {})
    found: dict[Visit, list[Seen]] = defaultdict(list)
    rows = session.execute(
        sa.select(Message, Mail, MailVersion)
        .join(Mail, Mail.id == Message.mail_id)
        .outerjoin(MailVersion, MailVersion.id == Message.mail_version_id)
        .where(Message.lead_id == lead_id, Message.enrollment_id.is_not(None))
        .order_by(Message.id)
    )
    for message, mail, version in rows:
        frozen = (message.inputs or {}).get("values", values)
        seen = _seen(message, mail, version, frozen)
        found[message.enrollment_id, message.visit].append(seen)
    return found


def _seen(message: Message, mail: Mail, version: MailVersion | None, values: Any) -> Seen:
    reason = mail_queries.reason(message)
    if version is None:
        return Seen(mail.id, mail.key, None, mail.name, "", message.state, reason, [])
    names = ("click_base", "open_url", "unsubscribe_url", "preferences_url", "view_url", "why_url")
    try:
        words = rendering.render(version, {**values, **dict.fromkeys(names, "#")})
    except rendering.BadTemplate as error:
        return Seen(mail.id, mail.key, version.number, mail.name, "", message.state, str(error), [])
    labels = [str(link.get("label") or link.get("url", "")) for link in version.links]
    return Seen(mail.id, mail.key, version.number, words.subject, words.text, message.state, reason, labels)


def _made(session: Session, said: Said) -> dict[Visit, list[str]]:
    """Visit -> what it would have made besides mail, as sentences."""
    found: dict[Visit, list[str]] = defaultdict(list)
    names = {id_: name or email for id_, name, email in session.execute(sa.select(User.id, User.name, User.email))}
    nobody = "nobody, for nobody was there"
    for handoff in session.scalars(sa.select(Handoff).order_by(Handoff.id)):
        owner = names.get(handoff.owner_id or 0, nobody)
        words = f"Handed to {owner}, who is to answer by {said(handoff.due_at)}." if handoff.due_at else f"To {owner}."
        found[handoff.enrollment_id, handoff.visit].append(words)
    for task in session.scalars(sa.select(Task).order_by(Task.id)):
        due = f", due {said(task.due_at)}" if task.due_at else ""
        words = f"Task for {names.get(task.owner_id or 0, nobody)}: {task.title}{due}."
        found[task.enrollment_id, task.visit].append(words)
    for alert in session.scalars(sa.select(Alert).order_by(Alert.id)):
        found[alert.enrollment_id, alert.visit].append(f"Alert to {names.get(alert.user_id, nobody)}: {alert.text}")
    for call in session.scalars(sa.select(WebhookCall).order_by(WebhookCall.id)):
        found[call.enrollment_id, call.visit].append(f"Would be called: POST {call.url}.")
    return found


def _unknown(session: Session, campaign_id: int) -> list[str]:
    """What a try cannot know about this flow, so that nobody takes it for a promise."""
    version_id = session.get_one(Campaign, campaign_id).version_id or 0
    flow = versions.get(session, version_id).flow
    kinds = {step.kind for step in flow.steps.values()}
    told = []
    if "throttle" in kinds:
        told.append("A throttle lets this lead through at once; in earnest it shares its turns with other leads.")
    if "ab_test" in kinds:
        told.append("An A/B test may have a winner by then, whose arm everybody new takes.")
    if kinds & {"enter_campaign", "go_to_campaign", "leave_campaign"}:
        told.append("Other campaigns stand still in a try; that the lead is sent to one is noted, not followed.")
    if session.scalar(sa.select(limits.exist())):
        told.append(
            "Mail that other campaigns will send meanwhile may fill the lead’s limits; only what is owed now counts."
        )
    if any(spec.most_per_day is not None for spec in flow.spec.triggers):
        told.append("How many others come in on that day is not known; the daily limit of the trigger is not applied.")
    if kinds & {"handoff", "create_task"}:
        told.append("Who gets the lead depends on whose turn it is by then.")
    elsewhere = sa.exists().where(Enrollment.campaign_id != campaign_id, Enrollment.state == "active")
    if session.scalar(sa.select(elsewhere)):
        told.append("The lead is in other campaigns, too; they stand still in a try.")
    return told
