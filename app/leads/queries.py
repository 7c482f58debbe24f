"""What the pages of leads and companies show."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.db import rows_of, table
from app.leads import fields, telling
from app.leads.finding import is_living
from app.leads.models import Lead, LeadField, LeadTag, Note, Tag
from app.tracking import queries as tracking
from app.tracking.models import Event, Identity

STORY_SIZE = 60
DEFAULT_CAPS = {"fit": 40, "interest": 60}
# What a timeline's subject is the key of -> its table; each has the columns key and name.
NAMED = {
    "mail": "mails",
    "form": "forms",
    "campaign": "campaigns",
    "segment": "segments",
    "tag": "tags",
    "topic": "topics",
}


@dataclass(frozen=True, slots=True)
class Score:
    """The score with what explains it."""

    caps: dict[str, int]
    this_week: int
    reasons: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Story:
    days: list[telling.Day]
    next: str | None


def score(session: Session, lead: Lead, now: datetime) -> Score:
    """The newest lines of the ledger, the caps of the active model, and by how much the score changed in seven days."""
    entries, models = table("score_entries"), table("score_models")
    reasons = session.execute(
        sa.select(entries)
        .where(entries.c.lead_id == lead.id)
        .order_by(entries.c.at.desc(), entries.c.id.desc())
        .limit(5)
    ).all()
    is_new = entries.c.at >= now - timedelta(days=7)
    sums = sa.select(
        entries.c.dimension, sa.func.sum(entries.c.points), sa.func.sum(sa.case((is_new, entries.c.points), else_=0))
    )
    earned = session.execute(sums.where(entries.c.lead_id == lead.id).group_by(entries.c.dimension)).all()
    thresholds = session.scalar(sa.select(models.c.thresholds).where(models.c.is_active).limit(1)) or {}
    given = thresholds.get("caps") if isinstance(thresholds, dict) else None
    caps = {name: int((given or {}).get(name) or most) for name, most in DEFAULT_CAPS.items()}
    changes = [
        min(max(every, 0), caps[name]) - min(max(every - recent, 0), caps[name]) for name, every, recent in earned
    ]
    return Score(caps, int(sum(changes)), reasons)


def tags(session: Session, lead_id: int) -> Sequence[Tag]:
    return session.scalars(sa.select(Tag).join(LeadTag).where(LeadTag.lead_id == lead_id).order_by(Tag.name)).all()


def notes(session: Session, lead_id: int) -> Sequence[Any]:
    """(Note, author's name), newest first."""
    query = sa.select(Note, User.name).outerjoin(User, User.id == Note.user_id).where(Note.lead_id == lead_id)
    return session.execute(query.order_by(Note.at.desc(), Note.id.desc()).limit(200)).all()


_subject: list[Callable[[str, Mapping[str, Any]], str]] = []


def subjects_by(fill: Callable[[str, Mapping[str, Any]], str]) -> None:
    """Who fills a subject with the values it was sent with: the room of mail, which stands above this one."""
    _subject[:] = [fill]


def emails(session: Session, lead_id: int) -> Sequence[tuple[Any, str]]:
    """The mail this lead was owed, newest first, with what became of it; each with the subject it was sent with."""
    messages, mails, versions = table("messages"), table("mails"), table("mail_versions")
    winners, won_by, of_campaign = messages.alias(), mails.alias(), table("campaigns")
    done = (
        sa.select(Event.message_id, Event.kind)
        .where(Event.message_id == messages.c.id, Event.agent != "machine")
        .correlate(messages)
    )
    query = (
        sa.select(
            messages.c.id, messages.c.state, messages.c.reason, messages.c.created_at, messages.c.finished_at,
            messages.c.inputs, mails.c.name, versions.c.subject, won_by.c.name.label("winner"),
            of_campaign.c.name.label("winning_campaign"),
            done.where(Event.kind == "email_opened").exists().label("is_opened"),
            done.where(Event.kind == "email_clicked").exists().label("is_clicked"),
        )
        .outerjoin(mails, mails.c.id == messages.c.mail_id)
        .outerjoin(versions, versions.c.id == messages.c.mail_version_id)
        .outerjoin(winners, winners.c.id == messages.c.winner_id)
        .outerjoin(won_by, won_by.c.id == winners.c.mail_id)
        .outerjoin(of_campaign, of_campaign.c.id == winners.c.campaign_id)
        .where(messages.c.lead_id == lead_id)
        .order_by(messages.c.created_at.desc(), messages.c.id.desc())
        .limit(200)
    )  # fmt: skip
    return [(row, _called(row)) for row in session.execute(query)]


def _called(mail: Any) -> str:
    """The subject as the lead read it; what was not sent goes by the name of its mail."""
    inputs = mail.inputs or {}
    read = str(inputs.get("subject") or "")
    if mail.state == "sent" and mail.subject and ("values" in inputs or "{" not in mail.subject):
        read = _subject[0](mail.subject, inputs.get("values", {}))
    return read or mail.name or "Mail"


def tab_counts(session: Session, lead_id: int) -> dict[str, int]:
    """How much lies behind each tab of the lead's page."""
    messages = table("messages")
    mine = sa.select(Identity.id).where(Identity.lead_id == lead_id)
    visits = sa.select(sa.func.count()).where(Event.identity_id.in_(mine), Event.kind == "page_viewed")
    asked = {
        "emails": sa.select(sa.func.count()).where(messages.c.lead_id == lead_id, messages.c.state == "sent"),
        "visits": visits,
        "notes": sa.select(sa.func.count()).where(Note.lead_id == lead_id),
    }
    row = session.execute(sa.select(*(query.scalar_subquery().label(name) for name, query in asked.items()))).one()
    return dict(row._mapping)


def story(
    session: Session, lead_id: int, *, before: tuple[datetime, int] | None, kinds: Collection[str] | None,
    zone: ZoneInfo, now: datetime,
) -> Story:  # fmt: skip
    """A stretch of the lead's timeline, newest first."""
    events = tracking.timeline(session, lead_id, before=before, limit=STORY_SIZE + 1, kinds=kinds)
    shown = events[:STORY_SIZE]
    days = telling.story(shown, words(session, shown), points(session, shown), zone=zone, now=now)
    last = shown[-1] if len(events) > STORY_SIZE else None
    return Story(days, f"{last.at.isoformat()}~{last.id}" if last else None)


def points(session: Session, events: Sequence[Any]) -> dict[int, int]:
    """The points each event earned."""
    if not events:
        return {}
    entries = table("score_entries")
    asked = rows_of([[e.id] for e in events], event_id=sa.BigInteger())
    query = sa.select(entries.c.event_id, sa.func.sum(entries.c.points)).join(
        asked, entries.c.event_id == asked.c.event_id
    )
    return {event_id: int(total) for event_id, total in session.execute(query.group_by(entries.c.event_id))}


def words(session: Session, events: Sequence[Any]) -> dict[tuple[str, str], str]:
    """The names of everything these events mention by key."""
    found: dict[tuple[str, str], str] = {}
    for kind, table_name in NAMED.items():
        keys = {e.subject for e in events if e.kind in telling.TELLINGS and telling.TELLINGS[e.kind].subject == kind}
        if keys:
            named = table(table_name)
            rows = session.execute(sa.select(named.c.key, named.c.name).where(named.c.key.in_(keys)))
            found |= {(kind, key): name for key, name in rows}
    if any(e.kind in {"field_changed", "form_submitted"} for e in events):
        found |= {("field", name): label for name, (label, _) in fields.labels(session).items()}
    found |= _users(session, events)
    noted = {e.props.get("note_id") for e in events if e.kind == "note_added"} - {None}
    if noted:
        found |= {
            ("note", str(i)): t for i, t in session.execute(sa.select(Note.id, Note.text).where(Note.id.in_(noted)))
        }
    return found


def _users(session: Session, events: Sequence[Any]) -> dict[tuple[str, str], str]:
    mentioned = {e.props.get("user_id") for e in events if e.kind == "note_added"}
    mentioned |= {e.props.get("owner") for e in events if e.kind == "handoff_created"}
    changed = [e for e in events if e.kind == "field_changed" and e.subject == "owner_id"]
    mentioned |= {e.props.get(side) for e in changed for side in ("from", "to")}
    known = {i for i in mentioned if isinstance(i, int)}
    if not known:
        return {}
    return {
        ("user", str(i)): name for i, name in session.execute(sa.select(User.id, User.name).where(User.id.in_(known)))
    }


def owners(session: Session) -> list[tuple[int, str]]:
    """Who may own a lead."""
    query = sa.select(User.id, User.name).where(User.is_active).order_by(User.name)
    return [(user_id, name) for user_id, name in session.execute(query)]


def segments(session: Session) -> list[tuple[str, str]]:
    known = table("segments")
    return [
        (key, name)
        for key, name in session.execute(sa.select(known.c.key, known.c.name).order_by(known.c.name).limit(500))
    ]


def all_tags(session: Session) -> list[tuple[str, str]]:
    return [(key, name) for key, name in session.execute(sa.select(Tag.key, Tag.name).order_by(Tag.name).limit(1000))]


def tags_with_counts(session: Session) -> Sequence[Any]:
    counted = sa.select(LeadTag.tag_id, sa.func.count().label("count")).group_by(LeadTag.tag_id).subquery()
    query = sa.select(Tag, sa.func.coalesce(counted.c.count, 0).label("count")).outerjoin(
        counted, counted.c.tag_id == Tag.id
    )
    return session.execute(query.order_by(Tag.name).limit(1000)).all()


def company_leads(session: Session, company_id: int) -> Sequence[Lead]:
    query = sa.select(Lead).where(Lead.company_id == company_id, is_living())
    return session.scalars(query.order_by(Lead.score.desc(), Lead.id.desc()).limit(100)).all()


def account_scores(session: Session, company_ids: Sequence[int]) -> dict[int, Any]:
    """company id -> (people, best score, sum of scores, last seen)."""
    query = (
        sa.select(
            Lead.company_id, sa.func.count().label("people"), sa.func.max(Lead.score).label("best"),
            sa.func.sum(Lead.score).label("total"), sa.func.max(Lead.last_seen_at).label("seen"),
        )
        .where(Lead.company_id.in_(company_ids), is_living())
        .group_by(Lead.company_id)
    )  # fmt: skip
    return {row.company_id: row for row in session.execute(query)}


def lead_fields(session: Session) -> Sequence[LeadField]:
    return list(fields.declared(session, archived=True).values())
