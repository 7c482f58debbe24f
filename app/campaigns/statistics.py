"""The live figures on cards and paths: who entered, is here now, took which path, and what became of the mail."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine.models import Campaign, Decision, Enrollment, Version
from app.outbox import Message
from app.tracking.models import Event
from app.tracking.queries import by_people

RECENT = timedelta(days=30)
_REACTIONS = {"email_opened": "opened", "email_clicked": "clicked", "email_bounced": "bounced"}
_STATES = {"sent": "sent", "not_sent": "not_sent", "failed": "failed", "in_doubt": "in_doubt"}
_WAITING = ("ready", "deferred", "held", "claimed", "in_flight")


def figures(session: Session, campaign_id: int, flow: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """The figures of all versions together, by step and trigger of this flow, in six statements whatever its size."""
    here = _here(session, campaign_id)
    left = _left(session, campaign_id)
    mails = _mails(session, campaign_id)
    entered = _entered(session, campaign_id, [t["id"] for t in flow["triggers"]], now)
    ends = _ends(session, campaign_id)
    steps = {}
    for step in flow["steps"]:
        id_ = step["id"]
        count = here.get(id_, 0) + sum(left[id_].values()) + ends.get(id_, 0)
        steps[id_] = {"entered": count, "here": here.get(id_, 0), "left": dict(left[id_])}
        if mails[id_] or step["kind"] == "send_email":
            steps[id_] |= _of_mail(mails[id_])
        elif step["kind"] == "handoff":
            steps[id_]["result"] = _answer_within(step["settings"].get("answer_within_hours", 4))
    triggers = {t["id"]: _of_trigger(*entered[t["id"]]) for t in flow["triggers"]}
    return {"steps": steps, "triggers": triggers, "states": _states(session, campaign_id)}


def _answer_within(hours: Any) -> str:
    return f"Answer within {hours} working hour{'' if hours == 1 else 's'}"


def _here(session: Session, campaign_id: int) -> dict[str, int]:
    standing = sa.select(Enrollment.step, sa.func.count()).where(
        Enrollment.version_id.in_(_versions(campaign_id)), Enrollment.state == "active"
    )
    return dict(session.execute(standing.group_by(Enrollment.step)).all())


def _versions(campaign_id: int) -> sa.Select[Any]:
    return sa.select(Version.id).where(Version.campaign_id == campaign_id)


def _left(session: Session, campaign_id: int) -> defaultdict[str, dict[str, int]]:
    counted = (
        sa.select(Decision.step, Decision.port, sa.func.count())
        .where(Decision.version_id.in_(_versions(campaign_id)))
        .group_by(Decision.step, Decision.port)
    )
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for step, port, count in session.execute(counted):
        found[step][port] = count
    return found


def _ends(session: Session, campaign_id: int) -> dict[str, int]:
    """Leads whose passage ended at a step without a decision of it: taken out where they stood."""
    journalled = sa.select(Decision.visit).where(
        Decision.enrollment_id == Enrollment.id, Decision.visit == Enrollment.visit
    )
    counted = sa.select(Enrollment.step, sa.func.count()).where(
        Enrollment.campaign_id == campaign_id, Enrollment.state != "active", ~journalled.exists()
    )
    return dict(session.execute(counted.group_by(Enrollment.step)).all())


def _mails(session: Session, campaign_id: int) -> defaultdict[str, dict[str, int]]:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    own = sa.and_(Message.campaign_id == campaign_id, Message.step.is_not(None))
    states = sa.select(Message.step, Message.state, sa.func.count()).where(own).group_by(Message.step, Message.state)
    for step, state, count in session.execute(states):
        name = _STATES.get(state, "waiting" if state in _WAITING else state)
        found[str(step)][name] = found[str(step)].get(name, 0) + count
    reacted = (
        sa.select(Message.step, Event.kind, sa.func.count(Event.message_id.distinct()))
        .join(Message, Message.id == Event.message_id)
        .where(own, Event.kind.in_(_REACTIONS), by_people(Event))
        .group_by(Message.step, Event.kind)
    )
    for step, kind, count in session.execute(reacted):
        found[str(step)][_REACTIONS[kind]] = count
    return found


def _of_mail(mail: dict[str, int]) -> dict[str, Any]:
    sent = mail.get("sent", 0)
    opened, clicked = mail.get("opened", 0), mail.get("clicked", 0)
    names = ("sent", "opened", "clicked", "bounced", "not_sent", "waiting", "failed", "in_doubt")
    found: dict[str, Any] = {"mail": {name: mail.get(name, 0) for name in names}}
    if sent:
        best, word = (opened, "opened") if opened >= clicked else (clicked, "clicked")
        found["result"] = f"{round(100 * best / sent)}% {word}"
        found["rate"] = {"value": f"{round(100 * best / sent)}%", "label": word}
    return found


def _entered(
    session: Session, campaign_id: int, triggers: list[str], now: datetime
) -> defaultdict[str, tuple[int, int]]:
    found: defaultdict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    if not triggers:
        return found
    columns = []
    for id_ in triggers:
        by = Enrollment.occasion.startswith(f"{id_}:", autoescape=True)
        columns += [_count(by), _count(sa.and_(by, Enrollment.entered_at >= now - RECENT))]
    row = session.execute(sa.select(*columns).where(Enrollment.campaign_id == campaign_id)).one()
    for i, id_ in enumerate(triggers):
        found[id_] = (row[2 * i] or 0, row[2 * i + 1] or 0)
    return found


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((condition, 1), else_=0))


def _of_trigger(entered: int, recent: int) -> dict[str, Any]:
    a_day = recent / RECENT.days
    shown = f"{a_day:.0f}" if a_day >= 10 else f"{a_day:.1f}".removesuffix(".0")
    found: dict[str, Any] = {"entered": entered}
    if recent:
        found |= {"result": f"{shown}/day", "rate": {"value": shown, "label": "a day"}}
    return found


def _states(session: Session, campaign_id: int) -> dict[str, int]:
    counted = sa.select(Enrollment.state, sa.func.count()).where(Enrollment.campaign_id == campaign_id)
    return dict(session.execute(counted.group_by(Enrollment.state)).all())


def totals(session: Session, campaign_id: int, flow: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """The figures of one campaign as the command line shows them: leads by state, then every step."""
    found = figures(session, campaign_id, flow, now=now)
    campaign = session.get_one(Campaign, campaign_id)
    states = found["states"]
    return {"campaign": campaign.key, "state": campaign.state, "entered": sum(states.values()), **found}
