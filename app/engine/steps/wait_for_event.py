"""Hold each lead until it does one of several things, or until patience runs out; the event's own time decides (SEMANTICS 6)."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from app import db
from app.db import Instant
from app.engine import occurring, patience
from app.engine.batch import Batch, rows
from app.engine.patience import Patience, Unit
from app.engine.steptype import Port, StepType
from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Names, name_of
from app.tracking.queries import lead_events

LOOK_BACK = (
    ("arrival", "from now on"),
    ("entry", "since it entered the campaign"),
    ("mail", "since a mail was sent"),
    ("ever", "ever"),
)
CHOOSE = (("first", "whichever happens first"), ("ranked", "at the end of the time, the topmost that happened"))


class Awaited(BaseModel):
    """One more thing to wait for, with a path of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str = Field(pattern=r"^[a-z0-9_]{1,40}$")
    name: str = Field("", max_length=100)
    event: str = Field(min_length=1, max_length=100)
    subject: str = Field("", max_length=500)
    where: occurring.Conditions = ""


class WaitForEvent(Settings):
    event: Annotated[str, Widget("Until the lead", "choice", choices=occurring.CHOICES)] = "email_clicked"
    subject: Annotated[
        str,
        Field(max_length=500),
        Widget("Which", "subject", hint="The page, mail, form, tag or event; empty for any. * stands for anything."),
    ] = ""
    where: occurring.Where = ""
    others: Annotated[
        list[Awaited], Field(max_length=9), Widget("Or until the lead", "awaited", hint="Each has its own path.")
    ] = Field(default_factory=list)
    choose: Annotated[str, Field(pattern="^(first|ranked)$"), Widget("If several happen", "choice", choices=CHOOSE)] = (
        "first"
    )
    look_back: Annotated[
        str, Field(pattern="^(arrival|entry|mail|ever)$"), Widget("What counts", "choice", choices=LOOK_BACK)
    ] = "arrival"
    after: Annotated[str, Field(max_length=200), Widget("That mail", "mail", shown_if=("look_back", "mail"))] = ""
    patience: Patience = 3
    unit: Unit = "days"
    forever: Annotated[bool, Widget("Wait for ever", "switch", hint="Leads who never do it stay here.")] = False


decisive = db.temporary(  # for each lead of the batch that has one
    "decisive",
    sa.Column(
        "enrollment_id", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=False
    ),
    sa.Column("place", sa.BigInteger, nullable=False),
    sa.Column("at", Instant, nullable=False),
)


def check(settings: WaitForEvent) -> list[Complaint]:
    taken = [other.port for other in settings.others]
    if len(set(taken)) < len(taken) or {"happened", "timeout"} & set(taken):
        return [Complaint("others", "Two paths have the same name inside; remove one and add it again.")]
    if settings.look_back == "mail" and not settings.after:
        return [Complaint("after", "Choose the mail from whose sending on it counts.")]
    if settings.choose == "ranked" and settings.forever:
        return [Complaint("choose", "A wait for ever has no end at which to choose; take whichever happens first.")]
    return []


def describe(settings: WaitForEvent, names: Names) -> str:
    listed = [_words(each, names) for each in _each(settings)]
    since = f" since {name_of(names, 'mail', settings.after)} was sent" if settings.look_back == "mail" else ""
    return f"Until the lead {' or '.join(listed)}{since}, {patience.words(settings)}"


def _each(settings: WaitForEvent) -> list[WaitForEvent | Awaited]:
    return [settings, *settings.others]


def _words(awaited: WaitForEvent | Awaited, names: Names) -> str:
    which = occurring.called(awaited.subject, names)
    what = dict(occurring.CHOICES).get(awaited.event, awaited.event) + (f" “{which}”" if which else "")
    return what + occurring.in_words(awaited.where)


def awaits(settings: WaitForEvent, events: sa.FromClause) -> sa.ColumnElement[bool]:
    if settings.choose == "ranked":
        return sa.false()  # nobody goes on before the end
    return _any(settings, events)


def _any(settings: WaitForEvent, events: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(sa.or_(*(condition for _, condition in _awaited(settings, events))), events.c.agent != "machine")


def _awaited(settings: WaitForEvent, events: sa.FromClause) -> list[tuple[str, sa.ColumnElement[bool]]]:
    """The paths in the order of the step, each with the events that lead to it."""
    return [("happened", _is(settings, events)), *((o.port, _is(o, events)) for o in settings.others)]


def _is(awaited: WaitForEvent | Awaited, events: sa.FromClause) -> sa.ColumnElement[bool]:
    happened = occurring.of(awaited.event, awaited.subject, events)
    return sa.and_(happened, occurring.where(awaited.where, events))


def run(batch: Batch, settings: WaitForEvent) -> None:
    """Find for each lead what decides, once, and let it go that way; when the time is over the others go by "timeout"."""
    db.scratch(batch.session, decisive)
    found = _found(batch, settings).subquery("found")
    first = sa.select(found.c.enrollment_id, found.c.place, found.c.at).where(found.c.rank == 1)
    batch.session.execute(sa.insert(decisive).from_select(["enrollment_id", "place", "at"], first))
    at = sa.select(decisive.c.at).where(decisive.c.enrollment_id == rows.c.enrollment_id).correlate(rows)
    why = db.json_object("note", "happened", "at", at.scalar_subquery())
    is_time = sa.true() if settings.choose == "first" else rows.c.due_at <= batch.now
    for number, port in enumerate(["happened", *(other.port for other in settings.others)]):
        went = sa.select(decisive.c.enrollment_id).where(decisive.c.place == number)
        batch.leave(port, where=sa.and_(is_time, rows.c.enrollment_id.in_(went)), why=why)
    batch.leave("timeout", where=rows.c.due_at <= batch.now)


def _found(batch: Batch, settings: WaitForEvent) -> sa.Select[Any]:
    """What counts for each lead here, ranked: in time by its own clock, however late we learnt of it."""
    near = _near(batch, settings)
    awaited = _awaited(settings, near)
    place = sa.case(*((condition, number) for number, (_, condition) in enumerate(awaited)))
    order = (near.c.at, place) if settings.choose == "first" else (place, near.c.at)
    rank = sa.func.row_number().over(partition_by=near.c.enrollment_id, order_by=(*order, near.c.id))
    in_time = sa.or_(rows.c.due_at.is_(None), near.c.at <= rows.c.due_at)
    found = (
        sa.select(near.c.enrollment_id, near.c.at, place.label("place"), rank.label("rank"))
        .join(rows, rows.c.enrollment_id == near.c.enrollment_id)
        .where(_any(settings, near), batch.about(near), in_time)
    )
    if settings.look_back != "mail":
        return found
    of_mail = sa.and_(near.c.kind == "email_sent", near.c.subject == settings.after)
    last = sa.select(near.c.enrollment_id, sa.func.max(near.c.at).label("at")).where(of_mail)
    sent = last.group_by(near.c.enrollment_id).subquery("sent")
    return found.join(sent, sent.c.enrollment_id == near.c.enrollment_id).where(near.c.at >= sent.c.at)


def _near(batch: Batch, settings: WaitForEvent) -> sa.CTE:
    """All that the leads here have done since it counts, whatever it is.

    Written out first, from the leads to their events: asked for the kind at once, a database that knows little of its own
    tables reads every event of that kind, for each lead.
    """
    events = lead_events().subquery("events_of_leads")
    near = (
        sa.select(rows.c.enrollment_id, *(events.c[n] for n in ("id", "kind", "subject", "at", "agent", "props")))
        .join(events, events.c.lead_id == rows.c.lead_id)
        .where(batch.at_step, events.c.at <= batch.now)
    )
    if settings.look_back in {"arrival", "entry"}:  # what let the lead in, or came with its arrival, is no answer to it
        near = near.where(events.c.at > (rows.c.arrived_at if settings.look_back == "arrival" else rows.c.entered_at))
    return near.cte("near").prefix_with("MATERIALIZED")


def ports(settings: WaitForEvent) -> tuple[Port, ...]:
    did = Port("happened", _called("", settings) if settings.others else "Did it")
    others = tuple(Port(o.port, _called(o.name, o)) for o in settings.others)
    return (did, *others) if settings.forever else (did, *others, Port("timeout", "Did not in time"))


def _called(name: str, awaited: WaitForEvent | Awaited) -> str:
    words = name or _words(awaited, {})
    return words[:1].upper() + words[1:]


def keys(settings: WaitForEvent) -> list[tuple[str, str]]:
    since = [("mail", settings.after)] if settings.look_back == "mail" else []
    return [
        *(key for each in _each(settings) for key in occurring.refers(each.event, each.subject)),
        *since,
    ]


STEP = StepType(
    label="Wait for event",
    icon="hourglass",
    tone="orange",
    category="Timing",
    settings=WaitForEvent,
    example={
        "event": "page_viewed",
        "subject": "/pricing*",
        "others": [{"port": "b", "event": "email_replied"}],
    },
    describe=describe,
    check=check,
    due=patience.due,
    freezes=True,
    awaits=awaits,
    run=run,
    ports=ports,
    keys=keys,
    help="The event's own time decides: a click before the deadline counts, even when it is seen after it.",
)
