"""Campaigns drawn for tests: a small flow, and the house it needs."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from tests import factories

SCORE = {"rule": "score", "dimension": "total", "op": "at_least", "value": 50}


def step(id_: str, kind: str, next_: dict[str, str] | None = None, **settings: Any) -> dict[str, Any]:
    return {"id": id_, "kind": kind, "settings": settings, "next": next_ or {}}


def drawn(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    triggers = [{"id": "t1", "kind": "by_hand", "settings": {}}]
    return {"triggers": triggers, "start": steps[0]["id"] if steps else None, "steps": list(steps), **more}


def whole() -> dict[str, Any]:
    """Mail, wait, decide, handoff or end: nothing is wrong with it in a furnished house."""
    arms = [{"port": "a1", "name": "Ready", "rule": SCORE}]
    return drawn(
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait", {"out": "s3"}, amount=2, unit="days"),
        step("s3", "decide", {"a1": "s4", "else": "s5"}, arms=arms),
        step("s4", "handoff", {"out": "s5"}),
        step("s5", "exit"),
    )


def furnish(session: Session) -> None:
    """A topic, a published mail and somebody who takes leads."""
    from app.accounts.models import User
    from app.sales.models import Rep

    factories.topic(session)
    factories.mail(session)
    user = User(email="rep@example.com", name="Rita Rep", role="sales", password_hash="-", created_at=factories.NOW)
    session.add(user)
    session.flush()
    session.add(Rep(user_id=user.id))
    session.flush()
