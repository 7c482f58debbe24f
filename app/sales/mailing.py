"""Writes the mails that sales gets: for each new handoff its story, and the alerts that were asked for by mail."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import zones
from app.accounts.models import User
from app.leads.models import Lead
from app.mail.queueing import queue_one
from app.sales import telling
from app.sales.models import Alert, Handoff
from app.sales.naming import name_and_company
from app.sales.queries import note_of

MOST = 200
LINK = "color:#4f46e5"


def run_once(session: Session, now: datetime, *, base_url: str = "") -> int:
    """Queue what is owed: operational mail, so consent and caps do not apply. How many mails."""
    return _handoffs(session, now, base_url) + _alerts(session, now, base_url)


def _handoffs(session: Session, now: datetime, base_url: str) -> int:
    """Freeze the story of each new handoff, and tell its owner."""
    new = session.execute(
        sa.select(Handoff, User, note_of().label("note"))
        .outerjoin(User, sa.and_(User.id == Handoff.owner_id, User.is_active))
        .where(Handoff.is_alerted.is_(False), Handoff.state == "open")
        .order_by(Handoff.due_at, Handoff.id)
        .limit(MOST)
    ).all()
    told = telling.stories(session, [handoff.lead_id for handoff, _, _ in new], now)
    queued = 0
    for handoff, owner, note in new:
        handoff.story, handoff.is_alerted = told.get(handoff.lead_id, {}), True
        if owner and handoff.story:
            key = f"handoff:{handoff.id}:{owner.id}"
            inputs = _handoff_mail(handoff, owner, note or "", base_url)
            queued += queue_one(session, key=key, at=now, recipient=owner.email, inputs=inputs) is not None
    session.flush()
    return queued


def _alerts(session: Session, now: datetime, base_url: str) -> int:
    owed = session.execute(
        sa.select(Alert, User, name_and_company().label("who"))
        .join(User, sa.and_(User.id == Alert.user_id, User.is_active))
        .outerjoin(Lead, Lead.id == Alert.lead_id)
        .where(Alert.wants_mail, Alert.is_mailed.is_(False))
        .order_by(Alert.id)
        .limit(MOST)
    ).all()
    queued = 0
    for alert, user, who in owed:
        alert.is_mailed = True
        inputs = _alert_mail(alert, who or "", base_url)
        queued += queue_one(session, key=f"alert:{alert.id}", at=now, recipient=user.email, inputs=inputs) is not None
    session.flush()
    return queued


def _handoff_mail(handoff: Handoff, owner: User, note: str, base_url: str) -> dict[str, str]:
    story: dict[str, Any] = handoff.story or {}
    who = ", ".join(part for part in (story["name"], story["company"]) if part)
    due = handoff.due_at.astimezone(zones.zone(owner.zone))
    until = f"{due:%A}, {due.day} {due:%B}, {due:%H:%M}"
    sections = [
        ("What made this lead ready", [f"{reason['text']} (+{reason['points']})" for reason in story["ready"]]),
        ("Last moments", [_moment(moment, owner.zone) for moment in story["moments"]]),
        ("What to say", [line for line in (note, *story["say"]) if line]),
    ]
    contact = " · ".join(part for part in (story["title"], story["email"], story["phone"]) if part)
    intro = [
        f"{who} is ready for you.",
        f"Score {story['score']}, grade {story['grade']}, {story['temperature']}. {contact}".strip(),
        f"Please answer until {until}.",
    ]
    return _compose(
        f"Ready for you: {who}", intro, sections, f"{base_url}/sales/handoffs/{handoff.id}", "Open the lead"
    )


def _moment(moment: dict[str, str], zone: str) -> str:
    at = datetime.fromisoformat(moment["at"]).astimezone(zones.zone(zone))
    text = f": {moment['text']}" if moment["text"] else ""
    return f"{at.day} {at:%B}, {at:%H:%M} – {moment['title']}{text}"


def _alert_mail(alert: Alert, who: str, base_url: str) -> dict[str, str]:
    about = f" ({who})" if who and who not in alert.text else ""
    url = f"{base_url}/leads/{alert.lead_id}" if alert.lead_id else f"{base_url}/sales"
    return _compose(_one_line(alert.text + about), [alert.text + about], [], url, "Open in Trellis")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 150 else line[:149] + "…"


def _compose(
    subject: str, intro: list[str], sections: list[tuple[str, list[str]]], url: str, button: str
) -> dict[str, str]:
    """One mail as text and as plain HTML; everything a lead wrote is escaped."""
    shown = [(title, lines) for title, lines in sections if lines]
    text = "\n\n".join(
        [
            "\n".join(intro),
            *("\n".join([title, *(f"- {line}" for line in lines)]) for title, lines in shown),
            f"{button}: {url}",
        ]
    )
    blocks = ["".join(f"<p>{escape(line)}</p>" for line in intro)]
    for title, lines in shown:
        items = "".join(f"<li>{escape(line)}</li>" for line in lines)
        blocks.append(f"<h2 style='font-size:16px;margin:24px 0 8px'>{escape(title)}</h2><ul>{items}</ul>")
    blocks.append(f"<p style='margin-top:24px'><a style='{LINK}' href='{escape(url)}'>{escape(button)}</a></p>")
    body = "<body style='font-family:Inter,Arial,sans-serif;font-size:15px;line-height:1.5;color:#1f2937'>"
    html = f"<!doctype html><html lang='en'>{body}{''.join(blocks)}</body></html>"
    return {"subject": _one_line(subject), "html": html, "text": text}
