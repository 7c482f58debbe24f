"""The story of a ready lead in plain sentences: what made it ready, its last moments, and what to say first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import zones
from app.db import rows_of, table
from app.leads import queries as lead_queries
from app.leads import telling as lead_telling
from app.leads.models import Lead
from app.sales.naming import name_of
from app.tracking.queries import lead_events

RECENT = timedelta(days=90)
MOST_EVENTS, MOST_MOMENTS, MOST_REASONS, MOST_PAGES = 60, 6, 5, 5
DID = (
    "page_viewed", "time_spent", "file_downloaded", "form_submitted", "email_opened", "email_clicked", "email_replied",
    "custom", "lead_came_back",
)  # fmt: skip
Story = dict[str, Any]


def story(session: Session, lead_id: int, now: datetime, zone: str | None = None) -> Story:
    """The story of one lead; empty when there is no such lead."""
    return stories(session, [lead_id], now, zone).get(lead_id, {})


def stories(session: Session, lead_ids: Collection[int], now: datetime, zone: str | None = None) -> dict[int, Story]:
    """The stories of many leads, in as many statements as for one."""
    ids = rows_of([(number,) for number in lead_ids], id=sa.BigInteger())
    wanted = sa.select(ids.c.id)
    people = session.execute(
        sa.select(
            Lead.id, name_of().label("name"), Lead.job_title, Lead.company_name, Lead.email, Lead.phone, Lead.score,
            Lead.fit_grade, Lead.interest_grade, Lead.temperature, Lead.source, Lead.last_seen_at,
        ).where(Lead.id.in_(wanted))
    ).all()  # fmt: skip
    reasons = _reasons(session, wanted, now)
    events = _events(session, wanted, now)
    words = lead_queries.words(session, [event for mine in events.values() for event in mine])
    return {p.id: _tell(p, reasons.get(p.id, []), events.get(p.id, []), words, now, zone) for p in people}


def _reasons(session: Session, wanted: sa.Select[Any], now: datetime) -> dict[int, list[Any]]:
    """What brought most points lately, per lead."""
    entries = table("score_entries")
    points = sa.func.sum(entries.c.points).label("points")
    summed = (
        sa.select(entries.c.lead_id, entries.c.reason, points, sa.func.count().label("times"))
        .where(entries.c.lead_id.in_(wanted), entries.c.at > now - RECENT, entries.c.at <= now)
        .group_by(entries.c.lead_id, entries.c.reason)
        .subquery()
    )
    nth = sa.func.row_number().over(partition_by=summed.c.lead_id, order_by=(summed.c.points.desc(), summed.c.reason))
    ranked = sa.select(summed, nth.label("nth")).where(summed.c.points > 0).subquery()
    found: dict[int, list[Any]] = defaultdict(list)
    for row in session.execute(sa.select(ranked).where(ranked.c.nth <= MOST_REASONS).order_by(ranked.c.nth)):
        found[row.lead_id].append(row)
    return found


def _events(session: Session, wanted: sa.Select[Any], now: datetime) -> dict[int, list[Any]]:
    """The newest things each lead did, newest first; machines' visits left out."""
    every = lead_events().subquery()
    nth = sa.func.row_number().over(partition_by=every.c.lead_id, order_by=(every.c.at.desc(), every.c.id.desc()))
    ranked = (
        sa.select(every, nth.label("nth"))
        .where(
            every.c.lead_id.in_(wanted),
            every.c.kind.in_(DID),
            every.c.agent != "machine",
            every.c.at > now - RECENT,
            every.c.at <= now,
        )
        .subquery()
    )
    found: dict[int, list[Any]] = defaultdict(list)
    for row in session.execute(sa.select(ranked).where(ranked.c.nth <= MOST_EVENTS).order_by(ranked.c.nth)):
        found[row.lead_id].append(row)
    return found


def _tell(
    person: Any,
    reasons: Sequence[Any],
    events: Sequence[Any],
    words: lead_telling.Words,
    now: datetime,
    zone: str | None,
) -> Story:
    pages = Counter(event.subject for event in events if event.kind == "page_viewed")
    told = lead_telling.story(events, words, {}, zone=zones.zone(zone), now=now)
    moments = [moment for day in told for moment in day.moments][:MOST_MOMENTS]
    ready = [_reason(row) for row in reasons]
    return {
        "name": person.name,
        "title": person.job_title,
        "company": person.company_name,
        "email": person.email or "",
        "phone": person.phone,
        "score": person.score,
        "grade": f"{person.fit_grade}{person.interest_grade}",
        "temperature": person.temperature,
        "line": _line(person, ready, moments),
        "ready": ready,
        "moments": [_moment(moment) for moment in moments],
        "pages": [{"path": path, "count": count} for path, count in pages.most_common(MOST_PAGES)],
        "say": _say(person, events, pages, words, now),
    }


def _reason(row: Any) -> dict[str, Any]:
    times = f", {row.times} times" if row.times > 1 else ""
    return {"text": f"{row.reason}{times}", "points": int(row.points)}


def _moment(moment: lead_telling.Moment) -> dict[str, str]:
    text = moment.text or "; ".join(f"{label}: {value}" if value else label for label, value in moment.rows[:4])
    at = moment.at.astimezone(UTC).isoformat()
    return {"at": at, "title": moment.title, "text": text, "icon": moment.icon, "tone": moment.tone}


def _line(person: Any, ready: Sequence[Mapping[str, Any]], moments: Sequence[lead_telling.Moment]) -> str:
    """The story in one line, for a list."""
    parts = [moment.title for moment in moments[:2]] or [reason["text"] for reason in ready[:2]]
    first = "; ".join(
        part[:1].upper() + part[1:] if i == 0 else part[:1].lower() + part[1:] for i, part in enumerate(parts)
    )
    return first or (f"Came by {person.source}" if person.source else "Nothing known yet but the profile")


def _say(
    person: Any, events: Sequence[Any], pages: Mapping[str, int], words: lead_telling.Words, now: datetime
) -> list[str]:
    """What a good rep would open with, from what the lead did."""
    said = [
        sentence for sentence in (_form(events, words), _price(pages), _click(events, words), _file(events)) if sentence
    ]
    if person.fit_grade in {"A", "B"} and person.job_title:
        at = f" at {person.company_name}" if person.company_name else ""
        said.append(
            f"{person.job_title}{at} fits the profile (grade {person.fit_grade}): talk about what that role needs."
        )
    if not events:
        seen = f" since {person.last_seen_at.day} {person.last_seen_at:%B}" if person.last_seen_at else ""
        said.append(f"Quiet{seen}: introduce yourself before you offer anything.")
    said.append(
        f"Call {person.phone}." if person.phone else "No telephone number is known: write first, and ask for one."
    )
    return said[:5]


def _form(events: Sequence[Any], words: lead_telling.Words) -> str:
    form = next((event for event in events if event.kind == "form_submitted"), None)
    if form is None:
        return ""
    name = words.get(("form", form.subject), form.subject)
    answers = [str(value) for value in (form.props.get("answers") or {}).values() if isinstance(value, str)]
    message = max((" ".join(answer.split()) for answer in answers if " " in answer), key=len, default="")
    if len(message) > 20:
        return f"They wrote in “{name}”: “{message[:200]}”. Start there."
    return f"They filled in “{name}”: ask what made them want it."


def _price(pages: Mapping[str, int]) -> str:
    path, count = next(((path, count) for path, count in pages.items() if "pric" in path.casefold()), ("", 0))
    if not path:
        return ""
    often = f" {count} times" if count > 1 else ""
    return f"They looked at {path}{often}: be ready to talk about plans and cost."


def _click(events: Sequence[Any], words: lead_telling.Words) -> str:
    click = next((event for event in events if event.kind == "email_clicked"), None)
    if click is None:
        return ""
    label = str(click.props.get("label") or "").strip()
    mail = words.get(("mail", click.subject), click.subject)
    return (
        f"They clicked “{label}” in “{mail}”: ask what they were looking for."
        if label
        else f"They clicked in “{mail}”."
    )


def _file(events: Sequence[Any]) -> str:
    file = next((event for event in events if event.kind == "file_downloaded"), None)
    return f"They have {file.props.get('name') or file.subject}: ask which part mattered." if file else ""
