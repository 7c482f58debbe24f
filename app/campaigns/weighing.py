"""Sets what became of the leads in one version beside what became of those in another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns.models import Move, Moved
from app.engine.models import Decision, Enrollment
from app.outbox import Message
from app.tracking.models import Event
from app.tracking.queries import by_people

_REACTIONS = {"email_opened": "opened", "email_clicked": "clicked"}


@dataclass(slots=True)
class Results:
    """One version's figures. Whoever was brought along counts where he stands, or where he ended."""

    entered: int = 0
    brought: int = 0  # from other versions
    went: int = 0  # on to other versions
    states: Counter[str] = field(default_factory=Counter)
    mails: Counter[str] = field(default_factory=Counter)  # sent, opened, clicked, not_sent

    @property
    def been(self) -> int:
        """Those who are in it, or ended in it."""
        return sum(self.states.values())

    @property
    def passed(self) -> int:
        return self.states["completed"] + self.states["converted"]


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of both; `of` is what it is a share of, or 0."""

    label: str
    values: tuple[int, int]
    of: tuple[int, int]


def weigh(session: Session, campaign_id: int, versions: Collection[int]) -> dict[int, Results]:
    """Version id -> its results, in four statements whatever the number of leads."""
    found: dict[int, Results] = {id_: Results() for id_ in versions}
    for version_id, state, count in session.execute(_standing(campaign_id, versions)):
        found[version_id].states[state] = count
    for first, now, count in session.execute(_brought(campaign_id)):
        if now in found:
            found[now].brought += count
        if first in found:
            found[first].went += count
    for each in found.values():
        each.entered = each.been - each.brought + each.went
    for version_id, what, count in _mails(session, campaign_id):
        if version_id in found:
            found[version_id].mails[what] += count
    return found


def _standing(campaign_id: int, versions: Collection[int]) -> sa.Select[*tuple[Any, ...]]:
    mine = sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.version_id.in_(versions))
    counted = sa.select(Enrollment.version_id, Enrollment.state, sa.func.count()).where(mine)
    return counted.group_by(Enrollment.version_id, Enrollment.state)


def _brought(campaign_id: int) -> sa.Select[*tuple[Any, ...]]:
    """(the version they entered, the one they are in now, how many), of those that publications moved."""
    stands = sa.and_(Move.campaign_id == campaign_id, Move.undone_at.is_(None))
    firsts = sa.select(Moved.enrollment_id, sa.func.min(Moved.move_id).label("move_id"))
    first = firsts.join(Move, Move.id == Moved.move_id).where(stands).group_by(Moved.enrollment_id).subquery()
    of_first = sa.and_(Moved.enrollment_id == first.c.enrollment_id, Moved.move_id == first.c.move_id)
    counted = (
        sa.select(Moved.version_id, Enrollment.version_id, sa.func.count())
        .join(first, of_first)
        .join(Enrollment, Enrollment.id == Moved.enrollment_id)
        .where(Moved.version_id != Enrollment.version_id)
    )
    return counted.group_by(Moved.version_id, Enrollment.version_id)


def _mails(session: Session, campaign_id: int) -> list[tuple[Any, ...]]:
    """(version, what became of it, how many mails); a mail belongs to the version that decided to send it."""
    decided = sa.and_(Decision.enrollment_id == Message.enrollment_id, Decision.visit == Message.visit)
    version = sa.func.coalesce(Decision.version_id, Enrollment.version_id).label("version_id")
    mine = sa.and_(Message.campaign_id == campaign_id, Message.step.is_not(None))
    source = Message.__table__.join(Enrollment.__table__, Enrollment.id == Message.enrollment_id)
    source = source.outerjoin(Decision.__table__, decided)
    states = sa.select(version, Message.state, sa.func.count()).select_from(source).where(mine)
    found = [tuple(row) for row in session.execute(states.group_by(version, Message.state))]
    reacted = (
        sa.select(version, Event.kind, sa.func.count(Event.message_id.distinct()))
        .select_from(source.join(Event.__table__, Event.message_id == Message.id))
        .where(mine, Event.kind.in_(_REACTIONS), by_people(Event))
    )
    rows = session.execute(reacted.group_by(version, Event.kind))
    return [*found, *((version_id, _REACTIONS[kind], count) for version_id, kind, count in rows)]


def table(session: Session, campaign_id: int, pair: tuple[int, int]) -> list[Line]:
    """The results of two versions as the lines of a table."""
    found = weigh(session, campaign_id, pair)
    one, other = found[pair[0]], found[pair[1]]

    def line(label: str, values: tuple[int, int], of: tuple[int, int] | None = None) -> Line:
        return Line(label, values, of or (0, 0))

    been, sent = (one.been, other.been), (one.mails["sent"], other.mails["sent"])
    lines = [line("Entered in it", (one.entered, other.entered))]
    if one.brought or other.brought:
        lines.append(line("Brought along from another version", (one.brought, other.brought)))
    if one.went or other.went:
        lines.append(line("Went on to another version", (one.went, other.went)))
    lines.append(line("Passed to an end", (one.passed, other.passed), been))
    states = {"converted": "Reached the goal", "exited": "Left early", "failed": "Failed", "active": "Inside now"}
    lines += [line(words, (one.states[state], other.states[state]), been) for state, words in states.items()]
    lines.append(line("Mails sent", sent))
    for what in ("opened", "clicked"):
        lines.append(line(f"{what.capitalize()} by people", (one.mails[what], other.mails[what]), sent))
    return lines
