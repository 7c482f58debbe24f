"""Says what became of a mail as a sentence: its state, the reason, until when it waits, and who took its slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.mail.queries import REASONS, winner_names
from app.outbox import Message


def in_utc(instant: datetime) -> str:
    """An instant where nobody's clock is known."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def of_passage(session: Session, enrollment_id: int, said: Callable[[datetime], str] = in_utc) -> dict[int, str]:
    """Visit -> what became of the mail it owes."""
    message = Message
    rows = session.execute(
        sa.select(message.visit, message.state, message.reason, message.not_before, message.winner_id).where(
            message.enrollment_id == enrollment_id
        )
    ).all()
    winners = winner_names(session, {row.winner_id for row in rows if row.winner_id})
    return {
        row.visit: sentence(row.state, row.reason, said(row.not_before), winners.get(row.winner_id or 0, ""))
        for row in rows
    }


def of_messages(
    session: Session, messages: Sequence[Message], said: Callable[[datetime], str] = in_utc
) -> dict[int, str]:
    """Message -> what became of it."""
    winners = winner_names(session, {each.winner_id for each in messages if each.winner_id})
    return {
        each.id: sentence(each.state, each.reason, said(each.not_before), winners.get(each.winner_id or 0, ""))
        for each in messages
    }


def sentence(state: str, reason: str | None, next_try: str, winner: str) -> str:
    """“The mail is not sent: the lead had enough mail for now; “Spring fair” of the campaign Fairs came first.”"""
    words = [REASONS.get(reason or "", (reason or "").replace("_", " "))]
    if reason == "frequency_cap" and winner:
        words.append(f"; {winner} came first")
    if state == "held" and reason in {"frequency_cap", "quiet_hours"}:
        words.append(f"; next try {next_try}")
    because = "".join(words)
    return f"The mail is {state.replace('_', ' ')}" + (f": {because}." if because else ".")
