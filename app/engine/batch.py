"""A batch: the due enrollments one transaction moves, held in a temporary table that steps act on by single statements.

The hot table is read once when the batch is claimed and written once when it is put back; between the two the leads travel
from step to step in the temporary table, and only what they leave behind (decisions, messages, tasks) is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db, zones
from app.accounts import organisation
from app.db import Instant, Json
from app.engine import occurring
from app.engine.graph import Step
from app.engine.retrying import MOST_TRIES, next_try
from app.engine.versions import Published
from app.segments import fields, ruling
from app.segments.ruletype import RuleContext

rows = db.temporary(
    "batch",
    sa.Column(
        "enrollment_id", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=False
    ),
    sa.Column("lead_id", sa.BigInteger, nullable=False),
    sa.Column("campaign_id", sa.BigInteger, nullable=False),
    sa.Column("version_id", sa.BigInteger, nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("visit", sa.BigInteger, nullable=False),
    sa.Column("entered_at", Instant, nullable=False),
    sa.Column("arrived_at", Instant, nullable=False),
    sa.Column("due_at", Instant),
    sa.Column("was_due_at", Instant),  # when it was claimed: how late the engine is
    sa.Column("held", sa.BigInteger, nullable=False),
    sa.Column("tries", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # moving, resting, or how it ended
    sa.Column("port", sa.Text),
    sa.Column("skips", sa.Boolean, nullable=False),
    sa.Column("why", Json),
    sa.Column("reason", sa.Text),
    sa.Column("withdraws", sa.Boolean),  # whether the end also takes back the mail not yet sent
    sa.Column("hops", sa.BigInteger, nullable=False),
    is_rewritten=True,
)
_SEEN = [
    rows.c[name] for name in "lead_id enrollment_id visit campaign_id step arrived_at entered_at due_at".split()
]  # by a step
COLUMNS = [column.name for column in rows.columns]


def prepare(session: Session) -> None:
    """An empty batch on this connection."""
    db.scratch(session, rows)


@dataclass(frozen=True, slots=True)
class Leave:
    """A way out of the step, for the leads here (that satisfy `where`) when their turn comes."""

    port: str
    where: sa.ColumnElement[bool] | None = None
    why: sa.ColumnElement[Any] | None = None
    skips: bool = False


class Batch:
    """The leads of one batch that stand at one step, as that step may see and move them.

    `here` is a selection of them with `lead_id, enrollment_id, visit, campaign_id, step, arrived_at, entered_at, due_at`;
    what has left by a port is no longer in it.
    """

    def __init__(
        self,
        session: Session,
        version: Published,
        step: Step,
        *,
        now: datetime,
    ) -> None:
        self.session = session
        self.version = version
        self.step = step
        self.now = now
        self.has_ended = False  # whether somebody's passage may have ended here
        self.left = 0  # how many have a port by now, or have ended
        self.ports: list[str] = []  # by which all have left, if it was by these alone
        self.whys: dict[str, sa.ColumnElement[Any]] = {}  # by port, of those whose reason is not in their row
        self._leaving: list[Leave] = []  # asked for and not written yet: most steps need one pass for all of it
        self._is_whole = True  # nobody has left, ended or come to rest yet
        self._standing = sa.and_(rows.c.version_id == version.id, rows.c.step == step.id, rows.c.state == "moving")

    @property
    def at_step(self) -> sa.ColumnElement[bool]:
        """The condition over `batch.rows` that a lead is here."""
        self.settle()
        return sa.and_(self._standing, rows.c.port.is_(None))

    @property
    def here(self) -> sa.FromClause:
        """The leads here, as rows."""
        return sa.select(*_SEEN).where(self.at_step).subquery("here")

    def count(self) -> int:
        """How many are here."""
        return self.session.scalar(sa.select(sa.func.count()).where(self.at_step)) or 0

    @property
    def leads(self) -> sa.Table:
        """The table that `looked` takes its values from."""
        return db.table("leads")

    @property
    def lead_ids(self) -> sa.Select[Any]:
        """The ids of the leads here, as a selection."""
        return sa.select(rows.c.lead_id).where(self.at_step)

    def leave(
        self,
        port: str = "out",
        *,
        where: sa.ColumnElement[bool] | None = None,
        why: sa.ColumnElement[Any] | None = None,
        skips: bool = False,
    ) -> None:
        """Let the leads here (that satisfy `where`, over `batch.rows`) go by a port; `skips` passes over the next step.

        It is written when somebody asks who is left, or `settle` is called, or the step is over.
        """
        self._leaving.append(Leave(port, where, why, skips))

    def settle(self) -> None:
        """Write down who has left by which port and why, for those who read `batch.rows` themselves."""
        leaving, self._leaving = self._leaving, []
        for each in leaving:
            why = sa.null() if each.why is None else each.why
            self._update(each.where, port=each.port, why=why, skips=each.skips)

    def alike(self) -> Leave | None:
        """How all who are here leave, if they do so together; then nothing of it needs to be written."""
        first = self._leaving[0] if self._leaving else None
        return first if first is not None and first.where is None and self._is_whole else None

    def settle_ports(self) -> None:
        """The ports alone, in one pass; the reasons are left to the journal, in `whys`."""
        leaving = self._leaving
        if len({each.port for each in leaving}) < len(leaving) or any(each.skips for each in leaving):
            self.settle()
            return
        self._leaving = []
        if leaving and leaving[-1].where is None and self._is_whole:
            self.ports = [each.port for each in leaving]
        self.whys = {each.port: each.why for each in leaving if each.why is not None}
        if len(leaving) == 1:
            self._update(leaving[0].where, port=leaving[0].port)
        elif leaving:
            self._update(None, port=_first_of(leaving))

    def finish(
        self,
        state: str,
        reason: str | None = None,
        *,
        where: sa.ColumnElement[bool] | None = None,
        withdraws: bool = False,
    ) -> None:
        """End the passage of the leads here: completed, converted, exited or failed (SEMANTICS 15).

        Mail the path has queued still leaves, unless the end `withdraws` it.
        """
        self.has_ended = True
        self._update(where, port="end", state=state, reason=reason, withdraws=withdraws)

    def rest(self, *, until: datetime | None = None, where: sa.ColumnElement[bool] | None = None) -> None:
        """Keep the leads here, until a time or (None) until something makes them due; they are out of `here`."""
        self._update(where, state="resting", due_at=until)

    def fail(
        self,
        reason: str | sa.ColumnElement[str],
        *,
        where: sa.ColumnElement[bool] | None = None,
        for_good: bool = False,
    ) -> None:
        """The step could not be done for the leads here, with the reason a person will read (SEMANTICS 16).

        It is tried again after a growing delay, at last (or at once, `for_good`) they leave by the port "failed" if it
        is drawn, else they are parked as failed.
        """
        matching = sa.true() if where is None else where
        over = matching if for_good else sa.and_(matching, rows.c.tries + 1 >= MOST_TRIES)
        note = db.json_object("note", reason)
        if "failed" in self.step.next:
            self.leave("failed", where=over, why=note)
        else:
            self.has_ended = True
            self._update(over, port="end", state="failed", reason=reason, why=note, withdraws=False)
        if not for_good:
            due_at = next_try(rows.c.tries, self.now)
            self._update(matching, state="resting", tries=rows.c.tries + 1, due_at=due_at, reason=reason)

    def change(self, **values: Any) -> None:
        """Write several things at once of all leads here, where the others would need a pass for each."""
        self._update(None, **values)

    def forget_ports(self) -> None:
        """Once journalled, those who ended here have no port any more, lest they be journalled again."""
        ended = sa.and_(rows.c.version_id == self.version.id, rows.c.step == self.step.id, rows.c.state != "moving")
        self.session.execute(sa.update(rows).where(ended, rows.c.port.is_not(None)).values(port=None))

    def _update(self, where: sa.ColumnElement[bool] | None, **values: Any) -> None:
        condition = self.at_step if where is None else sa.and_(self.at_step, where)
        result = self.session.execute(sa.update(rows).where(condition).values(**values))
        changed: int = result.rowcount  # type: ignore[attr-defined]
        self._is_whole = self._is_whole and not changed
        if "port" in values:
            self.left += changed

    def matching(self, rule: dict[str, Any]) -> sa.ColumnElement[bool]:
        """The condition, for `leave`, that a lead here matches a rule now."""
        return self.whose(lambda ctx: ruling.predicate(rule, ctx))

    def whose(self, condition: Callable[[RuleContext], sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
        """The condition, for `leave`, that something over `ctx.leads` is true of a lead here."""
        leads = db.table("leads")  # by its id alone: a join might begin with all leads of a score
        mine = sa.select(sa.literal(1)).select_from(leads).where(leads.c.id == rows.c.lead_id)
        return mine.where(condition(self.context(rows))).correlate(rows).exists()

    def seen(self, rule: dict[str, Any], note: str) -> sa.ColumnElement[Any]:
        """What a rule looked at for each lead, for the journal (SEMANTICS 29)."""
        return self.looked(note, ruling.operands(rule, self.context(rows)))

    def looked(self, note: str, operands: Mapping[str, sa.ColumnElement[Any]]) -> sa.ColumnElement[Any]:
        """The same for values of the lead that a step itself looked at."""
        leads = self.leads
        pairs = [part for label, value in operands.items() for part in (sa.literal(label), value)]
        looked = sa.select(db.json_object("note", note, "seen", db.json_object(*pairs))).where(
            leads.c.id == rows.c.lead_id
        )
        return looked.correlate(rows).scalar_subquery()

    def zone_of(self, leads: sa.FromClause) -> sa.ColumnElement[Any]:
        """Where each lead lives: its own zone, else the one inferred, the campaign's, the organisation's (SEMANTICS 3)."""
        return zones.of_lead(leads, self.version.flow.spec.zone or organisation.get(self.session).zone)

    def context(self, within: sa.FromClause) -> RuleContext:
        """How a rule sees this batch: the tick's time, and since when each lead is here."""
        keys = self.version.flow.keys
        return ruling.context(
            self.session,
            self.now,
            since={"arrival": within.c.arrived_at, "entry": within.c.entered_at},
            enrollment_id=within.c.enrollment_id,
            among=sa.select(rows.c.lead_id).where(self._standing),
            about=occurring.of_passage(keys, _key(within)) if keys else None,
            fields=self._fields,
        )

    @cached_property
    def _fields(self) -> dict[str, str]:
        return fields.types(self.session)

    def about(self, events: sa.FromClause) -> sa.ColumnElement[bool]:
        """Whether an event is about the passage in `batch.rows`: the same order, the same deal (SEMANTICS 13)."""
        return occurring.about(events, self.version.flow.keys, _key(rows))


def _first_of(leaving: list[Leave]) -> sa.ColumnElement[Any]:
    """The port of the first that is true of a lead."""
    told = [(sa.true() if each.where is None else each.where, each.port) for each in leaving]
    last = told[-1][1] if leaving[-1].where is None else None
    return sa.case(*(told[:-1] if last else told), else_=last)


def _key(within: sa.FromClause) -> sa.ColumnElement[str]:
    enrollments = db.table("enrollments").alias()
    key = sa.select(enrollments.c.key).where(enrollments.c.id == within.c.enrollment_id)
    return key.correlate(within).scalar_subquery()
