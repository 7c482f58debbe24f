"""What came of a rehearsal: leads per path and day, mails, collisions, handoffs against what reps are used to, and each lead's way."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.campaigns import admitting
from app.campaigns.backdating import ANSWERS
from app.campaigns.scratch import OURS
from app.campaigns.sidelines import collisions
from app.db import Key, micros, table
from app.engine.models import Campaign, Decision, Enrollment
from app.mail.models import Mail
from app.outbox import Message
from app.sales.models import Handoff, Rep
from app.tracking.models import Event

if TYPE_CHECKING:
    from app.campaigns.catching import Caught
    from app.campaigns.lenses import Past
    from app.campaigns.performing import Wanted

MOST_ROUNDS = 5  # past one step: whoever comes by oftener goes round and round
DAY = timedelta(days=1)
USED_TO = timedelta(days=365)
HOURS = (1, 4, 24, 72, 168, 336, 720, 1440, 2880)  # until a handoff: up to so many

Days = list[list[int]]  # [day, how many], where there was something
Usual = dict[int, dict[str, Any]]  # user -> handoffs on the busiest day so far, and on a day that had some


def usual(session: Session, before: datetime) -> Usual:
    """How many leads each rep was given on a day, in the year before, for those of whom nobody said what they can take."""
    day = _whole_days(Handoff.created_at, None)
    since = sa.and_(Handoff.created_at > before - USED_TO, Handoff.owner_id.is_not(None))
    a_day = sa.select(Handoff.owner_id, day.label("day"), sa.func.count().label("count")).where(since)
    listed = a_day.group_by(Handoff.owner_id, day).subquery("a_day")
    busiest, days, every = sa.func.max(listed.c.count), sa.func.count(), sa.func.sum(listed.c.count)
    rows = session.execute(sa.select(listed.c.owner_id, busiest, days, every).group_by(listed.c.owner_id))
    return {owner: {"busiest": int(most), "usual": round(int(total) / count, 1)} for owner, most, count, total in rows}


def _whole_days(column: Any, begin: datetime | None) -> sa.ColumnElement[int]:
    start = 0 if begin is None else micros(begin)
    return (sa.type_coerce(column, sa.BigInteger) - start) // sa.literal(DAY // timedelta(microseconds=1), Key)


def tell(session: Session, wanted: Wanted, caught: Caught, past: Past, used_to: Usual) -> dict[str, Any]:
    """The whole answer, plain enough for JSON, from the copy it was run on."""
    found: dict[str, Any] = {
        "days": -(-(wanted.ends_at - wanted.begins_at) // DAY),
        "leads": len(caught.leads),
        "asked": caught.asked,
        "entered": _count(session, sa.select(Enrollment.id).where(ours(wanted))),
        "inside_before": _count(session, _before(wanted)),
        "states": dict(
            _pairs(session, sa.select(Enrollment.state, sa.func.count()).where(ours(wanted)), Enrollment.state)
        ),
        "reasons": _reasons(session, wanted),
        "triggers": _triggers(session, wanted),
        "steps": _steps(session, wanted),
        "mails": _mails(session, wanted),
        "weeks": _weeks(session, wanted),
        "collisions": _collisions(session, wanted),
        "handoffs": _handoffs(session, wanted, used_to),
        "until_handoff": _until_handoff(session, wanted),
        "stays": _stays(session, wanted),
        "reactions": _reactions(session),
    }
    found["not_sent"] = _summed(found["mails"])
    return {**found, "unknown": admitting.unknown(session, wanted, caught, past, found)}


def ours(wanted: Wanted) -> sa.ColumnElement[bool]:
    """The passages of the rehearsal."""
    return sa.and_(Enrollment.campaign_id == wanted.campaign_id, Enrollment.id > OURS)


def _before(wanted: Wanted) -> sa.Select[Any]:
    inside = sa.and_(Enrollment.entered_at <= wanted.begins_at, Enrollment.id <= OURS)
    later = sa.or_(Enrollment.finished_at.is_(None), Enrollment.finished_at > wanted.begins_at)
    return sa.select(Enrollment.id).where(Enrollment.campaign_id == wanted.campaign_id, inside, later)


def _count(session: Session, chosen: sa.Select[Any]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(chosen.subquery())) or 0


def _pairs(session: Session, query: Any, *by: Any) -> list[Any]:
    return [tuple(row) for row in session.execute(query.group_by(*by).order_by(*by))]


def _reasons(session: Session, wanted: Wanted) -> dict[str, int]:
    """Why passages ended before their end."""
    early = sa.and_(ours(wanted), Enrollment.state.in_(("exited", "failed")))
    rows = _pairs(session, sa.select(Enrollment.reason, sa.func.count()).where(early), Enrollment.reason)
    return {reason or "exit": count for reason, count in rows}


def _by_day(rows: Any) -> dict[Any, Days]:
    """(key, day, count) as key -> the days."""
    found: dict[Any, Days] = defaultdict(list)
    for *key, day, count in rows:
        found[tuple(key) if len(key) > 1 else key[0]].append([int(day), int(count)])
    return found


def _triggers(session: Session, wanted: Wanted) -> dict[str, Days]:
    colon = sa.func.instr(Enrollment.occasion, ":")
    trigger = sa.func.substr(Enrollment.occasion, 1, colon - 1)
    day = _whole_days(Enrollment.entered_at, wanted.begins_at)
    return dict(_by_day(_pairs(session, sa.select(trigger, day, sa.func.count()).where(ours(wanted)), trigger, day)))


def _steps(session: Session, wanted: Wanted) -> dict[str, Any]:
    """Step -> on which day how many came, and left by which port."""
    begin = wanted.begins_at
    mine = sa.select(Enrollment.id).where(ours(wanted))
    journal = Decision.enrollment_id.in_(mine)
    came_on, left_on = _whole_days(Decision.arrived_at, begin), _whole_days(Decision.at, begin)
    came = _by_day(
        _pairs(session, sa.select(Decision.step, came_on, sa.func.count()).where(journal), Decision.step, came_on)
    )
    ways = sa.select(Decision.step, Decision.port, left_on, sa.func.count()).where(journal)
    left = _by_day(_pairs(session, ways, Decision.step, Decision.port, left_on))
    here_on = _whole_days(Enrollment.arrived_at, begin)
    journalled = sa.exists().where(Decision.enrollment_id == Enrollment.id, Decision.visit == Enrollment.visit)
    stands = sa.and_(ours(wanted), ~journalled)  # still there, or taken out where it stood without a decision
    standing = _by_day(
        _pairs(session, sa.select(Enrollment.step, here_on, sa.func.count()).where(stands), Enrollment.step, here_on)
    )
    out_on = _whole_days(Enrollment.finished_at, begin)
    out = sa.and_(stands, Enrollment.state != "active")
    gone = _by_day(
        _pairs(session, sa.select(Enrollment.step, out_on, sa.func.count()).where(out), Enrollment.step, out_on)
    )
    found: dict[str, Any] = {}
    for step in wanted.flow["steps"]:
        id_ = step["id"]
        ports = {port: days for (of, port), days in left.items() if of == id_}
        found[id_] = {
            "came": _joined(came.get(id_, []), standing.get(id_, [])),
            "left": ports,
            "gone": gone.get(id_, []),
        }
    return found


def _joined(one: Days, other: Days) -> Days:
    total: dict[int, int] = defaultdict(int)
    for day, count in [*one, *other]:
        total[day] += count
    return [[day, total[day]] for day in sorted(total)]


def _sent(wanted: Wanted) -> sa.ColumnElement[bool]:
    return sa.and_(Message.id > OURS, Message.campaign_id == wanted.campaign_id, Message.lead_id.is_not(None))


def _mails(session: Session, wanted: Wanted) -> list[dict[str, Any]]:
    """What became of each mail at each step, the steps in the order of the flow."""
    query = sa.select(Message.step, Mail.key, Mail.name, Message.state, Message.reason, sa.func.count())
    query = query.join(Mail, Mail.id == Message.mail_id).where(_sent(wanted))
    found: dict[tuple[str, str], dict[str, Any]] = {}
    by = (Message.step, Mail.key, Mail.name, Message.state, Message.reason)
    for step, key, name, state, reason, count in _pairs(session, query, *by):
        row = {"step": step, "mail": key, "name": name, "sent": 0, "waiting": 0, "not_sent": {}}
        mail = found.setdefault((step, key), row)
        if state == "sent":
            mail["sent"] += count
        elif state in ("not_sent", "cancelled", "failed"):
            mail["not_sent"][reason or state] = mail["not_sent"].get(reason or state, 0) + count
        else:
            mail["waiting"] += count
    order = [step["id"] for step in wanted.flow["steps"]]
    return sorted(
        found.values(), key=lambda mail: (order.index(mail["step"]) if mail["step"] in order else 0, mail["mail"])
    )


def _summed(mails: list[dict[str, Any]]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for mail in mails:
        for reason, count in mail["not_sent"].items():
            total[reason] += count
    return dict(total)


def _weeks(session: Session, wanted: Wanted) -> dict[str, Any]:
    """How many mails a lead got in a week: of this campaign, and of all together, for those who got any of it."""
    week = _whole_days(Message.finished_at, wanted.begins_at) // 7
    left = sa.and_(Message.state == "sent", Message.finished_at >= wanted.begins_at, Message.purpose == "marketing")
    mine = sa.case((Message.id > OURS, 1), else_=0)
    a_week = sa.select(Message.lead_id, sa.func.sum(mine).label("own"), sa.func.count().label("every"))
    a_week = a_week.where(left, Message.lead_id.is_not(None)).group_by(Message.lead_id, week)
    listed = a_week.having(sa.func.sum(mine) > 0).subquery("a_week")
    told: dict[str, Any] = {}
    for name in ("own", "every"):
        rows = _pairs(session, sa.select(listed.c[name], sa.func.count()), listed.c[name])
        told[name] = [[int(mails), int(count)] for mails, count in rows]
        told[f"most_{name}"] = max((int(mails) for mails, _ in rows), default=0)
    return told


def _collisions(session: Session, wanted: Wanted) -> list[dict[str, Any]]:
    """Whose mail had the slot when this campaign's mail was held or not sent."""
    skipped = sa.and_(Message.reason == "frequency_cap", Message.state == "not_sent")
    winner = table("messages").alias("winner")
    lost = sa.select(Message.id, winner.c.campaign_id.label("by"), sa.literal("skipped").label("how"))
    lost = lost.outerjoin(winner, winner.c.id == Message.winner_id).where(_sent(wanted), skipped)
    held = sa.select(collisions.c.message_id, collisions.c.winner_campaign_id, sa.literal("held"))
    never = sa.select(Message.id).where(_sent(wanted), skipped)
    held = held.where(collisions.c.message_id.not_in(never))
    every = sa.union_all(lost, held).subquery("every")
    query = sa.select(every.c.by, every.c.how, sa.func.count())
    names = {
        row.id: (row.key, row.name) for row in session.execute(sa.select(Campaign.id, Campaign.key, Campaign.name))
    }
    found: dict[Any, dict[str, Any]] = {}
    for by, how, count in _pairs(session, query, every.c.by, every.c.how):
        key, name = names.get(by, ("", "Mail of no campaign"))
        row = {"campaign": key, "name": name, "is_own": by == wanted.campaign_id, "held": 0, "skipped": 0}
        found.setdefault(by, row)[how] += count
    return sorted(found.values(), key=lambda row: -(row["held"] + row["skipped"]))


def _handoffs(session: Session, wanted: Wanted, used_to: Usual) -> dict[str, Any]:
    """Leads per rep and day, beside what the rep can take and is used to."""
    mine = sa.and_(Handoff.campaign_id == wanted.campaign_id, Handoff.id > OURS)
    day = _whole_days(Handoff.created_at, wanted.begins_at)
    rows = _by_day(
        _pairs(session, sa.select(Handoff.owner_id, day, sa.func.count()).where(mine), Handoff.owner_id, day)
    )
    called = sa.func.coalesce(sa.func.nullif(User.name, ""), User.email)
    names: dict[int, str] = dict(session.execute(sa.select(User.id, called)).all())
    reps: dict[int, int | None] = dict(session.execute(sa.select(Rep.user_id, Rep.capacity)).all())
    listed = []
    for owner in sorted({*rows, *reps} - {None}, key=lambda id_: str(names.get(id_, ""))):
        days = rows.get(owner, [])
        most = max((count for _, count in days), default=0)
        known = used_to.get(owner, {})
        row = {
            "user": owner,
            "name": names.get(owner, "Somebody"),
            "count": sum(count for _, count in days),
            "most": most,
        }
        capacity = reps.get(owner)
        over = sum(capacity is not None and count > capacity for _, count in days)
        row |= {"capacity": capacity, "over": over}  # on so many days more than that
        listed.append({**row, "busiest": known.get("busiest"), "usual": known.get("usual"), "days": days})
    return {"reps": listed, "nobody": sum(count for _, count in rows.get(None, []))}


def _until_handoff(session: Session, wanted: Wanted) -> dict[str, Any]:
    """How long it took from coming in until sales had the lead."""
    took = sa.type_coerce(Handoff.created_at, sa.BigInteger) - sa.type_coerce(Enrollment.entered_at, sa.BigInteger)
    query = (
        sa.select(took).join(Enrollment, Enrollment.id == Handoff.enrollment_id).where(ours(wanted), Handoff.id > OURS)
    )
    hours = sorted(int(each) / 3_600_000_000 for each in session.scalars(query))
    if not hours:
        return {"count": 0, "median": None, "slow": None, "spread": []}
    spread, low = [], 0.0
    for high in (*HOURS, float("inf")):
        count = sum(1 for each in hours if (low < each or low == 0.0) and each <= high)
        if count:
            spread.append([None if high == float("inf") else high, count])
        low = high
    slow = hours[min(len(hours) - 1, int(len(hours) * 0.9))]
    return {"count": len(hours), "median": round(hours[len(hours) // 2], 1), "slow": round(slow, 1), "spread": spread}


def _stays(session: Session, wanted: Wanted) -> list[dict[str, Any]]:
    """Who is still inside at the end: how many where, since when, and how many will not leave by themselves."""
    rounds = sa.select(sa.func.count()).where(Decision.enrollment_id == Enrollment.id, Decision.step == Enrollment.step)
    goes_round = rounds.correlate(Enrollment).scalar_subquery() > MOST_ROUNDS
    ever = sa.func.sum(sa.case((sa.or_(Enrollment.due_at.is_(None), goes_round), 1), else_=0))
    query = sa.select(Enrollment.step, sa.func.count(), ever, sa.func.min(Enrollment.arrived_at))
    rows = _pairs(session, query.where(ours(wanted), Enrollment.state == "active"), Enrollment.step)
    return [
        {"step": step, "count": count, "for_ever": int(ever), "longest": (wanted.ends_at - first) // DAY}
        for step, count, ever, first in rows
    ]


def _reactions(session: Session) -> dict[str, int]:
    """What people did with the mail of the rehearsal."""
    which = sa.and_(Event.message_id > OURS, Event.kind.in_(ANSWERS), Event.agent != "machine")
    return dict(_pairs(session, sa.select(Event.kind, sa.func.count()).where(which), Event.kind))
