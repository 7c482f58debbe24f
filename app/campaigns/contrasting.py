"""Sets a shadow beside the live version over the same time: which ways leads went, what was sent, and whose path differs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import following, palette, parting, queries
from app.campaigns.models import Shadow, ShadowRow
from app.campaigns.parting import Passage, Words
from app.db import EPOCH, table
from app.engine.models import Campaign, Decision, Enrollment, Version
from app.leads.models import Lead
from app.mail.models import Mail
from app.mail.queries import REASONS
from app.outbox import Message
from app.segments import ruling

MOST_TOLD = 100
LAG = timedelta(minutes=5)  # the shadow comes a little later to everything; before that nothing counts as another path
_OWED = {"handoffs": "Handoffs to sales", "tasks": "Tasks", "alerts": "Alerts", "webhook_calls": "Webhook calls"}
_TOLD = {
    "tag_added": ("tag added", "tags added"),
    "tag_removed": ("tag taken away", "tags taken away"),
    "field_changed": ("field changed", "fields changed"),
    "score_changed": ("score changed", "scores changed"),
    "stage_changed": ("stage changed", "stages changed"),
    "note_added": ("note written", "notes written"),
    "consent_given": ("consent recorded", "consents recorded"),
    "consent_withdrawn": ("topic unsubscribed", "topics unsubscribed"),
    "custom": ("event recorded", "events recorded"),
    "campaign_requested": ("lead sent to another campaign", "leads sent to other campaigns"),
    "campaign_exit_requested": ("lead taken out of another campaign", "leads taken out of other campaigns"),
}


@dataclass(frozen=True, slots=True)
class Pair:
    """How often something happened live, and in shadow."""

    label: str
    live: int
    shadow: int


@dataclass(frozen=True, slots=True)
class StepPair:
    step: str
    title: str
    kind: str
    is_live: bool  # the step is in the live version
    is_shadow: bool
    here: Pair
    ways: list[Pair]


@dataclass(frozen=True, slots=True)
class MailPair:
    mail: str
    sent: Pair
    not_sent: Pair
    reasons: str  # why the shadow would not have sent it


@dataclass(frozen=True, slots=True)
class Parted:
    """A lead whose path is another one, in a sentence."""

    lead_id: int
    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Contrast:
    entered: Pair
    steps: list[StepPair]
    mails: list[MailPair]
    owed: list[Pair]
    changes: list[str]  # of leads, in shadow
    parted: list[Parted]  # the first of them
    parted_count: int
    alike_count: int
    unknown: list[str]

    @property
    def by_sentence(self) -> list[tuple[str, list[Parted]]]:
        """Those of whom the same is said, together; the most first."""
        found: dict[str, list[Parted]] = defaultdict(list)
        for each in self.parted:
            found[each.sentence].append(each)
        return sorted(found.items(), key=lambda item: -len(item[1]))


def contrast(session: Session, shadow: Shadow) -> Contrast:
    """The two beside each other, from the start of the shadow until it ran last."""
    until = shadow.ran_until or shadow.started_at
    ours, theirs = _ours(session, shadow), _theirs(session, shadow, until)
    flow = _live_flow(session, shadow)
    words = _words(session, flow, shadow.flow)
    parted, alike = _parted(ours, theirs, words, until)
    return Contrast(
        entered=Pair("Entered", sum(map(len, theirs.values())), sum(map(len, ours.values()))),
        steps=_steps(shadow.flow, flow, words, ours, theirs),
        mails=_mails(session, shadow, until),
        owed=_owed(session, shadow, until),
        changes=_changes(session, shadow),
        parted=_named(session, parted[:MOST_TOLD]),
        parted_count=len(parted),
        alike_count=alike,
        unknown=_unknown(shadow),
    )


def _own(session: Session, shadow: Shadow, name: str) -> list[dict[str, Any]]:
    """The rows of a table that the shadow made, as SQLite held them."""
    mine = sa.select(ShadowRow.change).where(ShadowRow.campaign_id == shadow.campaign_id, ShadowRow.name == name)
    return [change["own"] for change in session.scalars(mine) if "own" in change]


def _ours(session: Session, shadow: Shadow) -> dict[int, list[Passage]]:
    """Lead -> its passages in shadow, the first first."""
    left: dict[int, list[tuple[int, str, str, datetime]]] = defaultdict(list)
    for row in _own(session, shadow, "decisions"):
        left[row["enrollment_id"]].append((row["visit"], row["step"], row["port"], _instant(row["at"])))
    found: dict[int, list[Passage]] = defaultdict(list)
    for row in sorted(_own(session, shadow, "enrollments"), key=lambda row: row["id"]):
        if row["campaign_id"] == shadow.campaign_id:
            passage = Passage(_instant(row["entered_at"]), row["step"], row["state"], sorted(left[row["id"]]))
            found[row["lead_id"]].append(passage)
    return found


def _instant(stored: int) -> datetime:
    return EPOCH + timedelta(microseconds=stored)


def _rivals(shadow: Shadow, until: datetime) -> sa.ColumnElement[bool]:
    """The passages of the live versions over the same time; of a full shadow, those of the leads that it follows."""
    since = sa.and_(Enrollment.entered_at >= shadow.started_at, Enrollment.entered_at <= until)
    mine = sa.and_(Enrollment.campaign_id == shadow.campaign_id, since)
    if not shadow.is_full:
        return mine
    followed = sa.select(ShadowRow.lead_id).where(
        ShadowRow.campaign_id == shadow.campaign_id, ShadowRow.name == "enrollments"
    )
    return sa.and_(mine, Enrollment.lead_id.in_(followed))


def _theirs(session: Session, shadow: Shadow, until: datetime) -> dict[int, list[Passage]]:
    rivals = _rivals(shadow, until)
    rows = session.execute(
        sa.select(Decision.enrollment_id, Decision.visit, Decision.step, Decision.port, Decision.at)
        .join(Enrollment, Enrollment.id == Decision.enrollment_id)
        .where(rivals, Decision.at <= until)
    )
    left: dict[int, list[tuple[int, str, str, datetime]]] = defaultdict(list)
    for enrollment_id, visit, step, port, at in rows:
        left[enrollment_id].append((visit, step, port, at))
    found: dict[int, list[Passage]] = defaultdict(list)
    for row in session.scalars(sa.select(Enrollment).where(rivals).order_by(Enrollment.id)):
        found[row.lead_id].append(Passage(row.entered_at, row.step, row.state, sorted(left[row.id])))
    return found


def _live_flow(session: Session, shadow: Shadow) -> dict[str, Any]:
    campaign = session.get_one(Campaign, shadow.campaign_id)
    version = session.get(Version, campaign.version_id) if campaign.version_id else None
    return version.flow if version else {"steps": []}


def _parted(
    ours: Mapping[int, list[Passage]], theirs: Mapping[int, list[Passage]], words: Words, until: datetime
) -> tuple[list[tuple[int, str]], int]:
    """The leads whose path is another one, with the sentence; and how many went the same way."""
    leads = sorted(ours.keys() | theirs.keys())
    told = [(lead, parting.sentence(ours.get(lead, []), theirs.get(lead, []), words, until - LAG)) for lead in leads]
    parted = [(lead, sentence) for lead, sentence in told if sentence]
    return parted, len(told) - len(parted)


def _named(session: Session, parted: list[tuple[int, str]]) -> list[Parted]:
    ids = following.some(lead for lead, _ in parted)
    leads = {lead.id: lead for lead in session.scalars(sa.select(Lead).where(Lead.id.in_(ids)))}
    return [Parted(id_, _name(leads.get(id_)), words) for id_, words in parted]


def _name(lead: Lead | None) -> str:
    return (f"{lead.first_name} {lead.last_name}".strip() or lead.email or "") if lead else ""


def _words(session: Session, *flows: dict[str, Any]) -> Words:
    """How the steps of the flows are called; those of the last as it calls them."""
    names = ruling.names(session)
    titles = {id_: title for flow in flows for id_, title in queries.step_choices(session, flow)}
    looks = [(step["id"], palette.look(step, names)["ports"] or ()) for flow in flows for step in flow["steps"]]
    return Words(titles, {(id_, port["name"]): port["label"] for id_, ports in looks for port in ports})


def _steps(
    flow: dict[str, Any],
    live: dict[str, Any],
    words: Words,
    ours: Mapping[int, list[Passage]],
    theirs: Mapping[int, list[Passage]],
) -> list[StepPair]:
    """Every step of either flow, those of the shadow first, in their order."""
    in_shadow, in_live = ({step["id"]: step["kind"] for step in each["steps"]} for each in (flow, live))
    went, here = _counted(ours)
    went_live, here_live = _counted(theirs)
    found = []
    for id_, kind in (in_shadow | in_live | in_shadow).items():
        drawn = [port for step, port in words.ways if step == id_]
        ports = dict.fromkeys([*drawn, *sorted(went[id_] | went_live[id_])])
        ways = [
            Pair(words.way(id_, port), went_live[id_][port], went[id_][port])
            for port in ports
            if went_live[id_][port] or went[id_][port]
        ]
        standing = Pair("Here now", here_live[id_], here[id_])
        found.append(StepPair(id_, words.title(id_), kind, id_ in in_live, id_ in in_shadow, standing, ways))
    return found


def _counted(passages: Mapping[int, list[Passage]]) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """Step -> port -> how often it was left by; step -> how many stand there."""
    went: dict[str, Counter[str]] = defaultdict(Counter)
    here: Counter[str] = Counter()
    for each in (passage for several in passages.values() for passage in several):
        here[each.step] += each.state == "active"
        for _, step, port, _ in each.left:
            went[step][port] += 1
    return went, here


def _mails(session: Session, shadow: Shadow, until: datetime) -> list[MailPair]:
    rivals = sa.select(Enrollment.id).where(_rivals(shadow, until))
    rows = session.execute(
        sa.select(Message.mail_id, Message.state, sa.func.count())
        .where(Message.enrollment_id.in_(rivals), Message.mail_id.is_not(None))
        .group_by(Message.mail_id, Message.state)
    )
    live = {(mail_id, state): count for mail_id, state, count in rows}
    own = [row for row in _own(session, shadow, "messages") if row["mail_id"] is not None]
    mine = Counter((row["mail_id"], row["state"]) for row in own)
    names = dict(session.execute(sa.select(Mail.id, Mail.name)).all())
    whys: dict[int, Counter[str]] = defaultdict(Counter)
    for row in own:
        if row["state"] == "not_sent":
            whys[row["mail_id"]][REASONS.get(row["reason"], str(row["reason"]))] += 1
    return [
        MailPair(
            names.get(id_, ""),
            Pair("Sent", live.get((id_, "sent"), 0), mine[id_, "sent"]),
            Pair("Not sent", live.get((id_, "not_sent"), 0), mine[id_, "not_sent"]),
            "; ".join(f"{count} as {why}" for why, count in whys[id_].most_common()),
        )
        for id_ in sorted({mail_id for mail_id, _ in [*live, *mine]}, key=lambda id_: names.get(id_, "").casefold())
    ]


def _owed(session: Session, shadow: Shadow, until: datetime) -> list[Pair]:
    """What people and other systems got, or would have got."""
    rivals = sa.select(Enrollment.id).where(_rivals(shadow, until))
    found = []
    for name, label in _OWED.items():
        rows = table(name)
        query = sa.select(sa.func.count()).select_from(rows).where(rows.c.enrollment_id.in_(rivals))
        live, mine = session.scalar(query) or 0, len(_own(session, shadow, name))
        if live or mine:
            found.append(Pair(label, live, mine))
    return found


def _changes(session: Session, shadow: Shadow) -> list[str]:
    kinds = Counter(row["kind"] for row in _own(session, shadow, "events"))
    return [
        f"{kinds[kind]:,} {one if kinds[kind] == 1 else many}" for kind, (one, many) in _TOLD.items() if kinds[kind]
    ]


def _unknown(shadow: Shadow) -> list[str]:
    """What a shadow cannot know, so that nobody takes it for a promise."""
    kinds = {step["kind"] for step in shadow.flow["steps"]}
    told = []
    if "send_email" in kinds:
        told.append(
            "Whether leads would have opened or clicked a mail that was never sent. Where the live version sent the same "
            "lead the same mail, what the lead did with that counts; all other mail of the shadow stays unanswered."
        )
    if kinds & {"handoff", "create_task", "wait_for_outcome"}:
        told.append("What sales would have done: nobody works on the handoffs and tasks of a shadow.")
    if "webhook" in kinds:
        told.append(
            "What other systems would have answered: no call is made, and each counts as done, with an empty answer."
        )
    if "ab_test" in kinds:
        told.append("Which path of an A/B test would have won: until the live version has a winner, chance decides.")
    if kinds & {"enter_campaign", "go_to_campaign", "leave_campaign"}:
        told.append("What other campaigns would have done with the leads sent to them.")
    told.append(
        "What leads would be like without the live version: tags, fields, points and stages that it gives them are there "
        "for the shadow, too. Its mails, handoffs and tasks are not."
    )
    return told
