"""Conditions on what leads did: how often, from when on, has or has not; machines never count."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Protocol

import sqlalchemy as sa
from pydantic import Field

from app.kinds import Complaint, Settings, Widget
from app.segments.ruletype import Known, Names, RuleContext, RuleType, name_of
from app.tracking.models import Event, Identity

Did = Annotated[
    Literal["has", "has_not"], Widget("Did it?", "choice", choices=(("has", "did"), ("has_not", "did not")))
]
Times = Annotated[int, Field(ge=1, le=10_000), Widget("At least", "number", unit="times")]
When = Annotated[
    Literal["ever", "within", "arrival", "entry", "mail"],
    Widget(
        "When",
        "choice",
        choices=(
            ("ever", "at any time"),
            ("within", "in the last days"),
            ("arrival", "since arriving at this step"),
            ("entry", "since entering the campaign"),
            ("mail", "since a mail was sent"),
        ),
    ),
]
Days = Annotated[float, Field(gt=0, le=36_500), Widget("Days", "number", unit="days", shown_if=("when", "within"))]
After = Annotated[str, Widget("Mail", "mail", shown_if=("when", "mail"))]


class Behaving(Protocol):
    """The settings every condition on behaviour shares."""

    @property
    def did(self) -> str: ...
    @property
    def times(self) -> int: ...
    @property
    def when(self) -> str: ...
    @property
    def days(self) -> float: ...
    @property
    def after(self) -> str: ...


Events = Any  # the alias of the events table a condition is put on
Conditions = Callable[[Events], list[sa.ColumnElement[bool]]]


def seen(settings: Behaving, ctx: RuleContext, conditions: Conditions) -> sa.ColumnElement[bool]:
    """Leads with (or without) at least so many such events in the period."""
    events, owners, source = _log()
    since = _since(settings, ctx)
    where = [events.c.agent != "machine", events.c.at <= ctx.now, *conditions(events)]
    if settings.when == "mail" and since is None:
        source, sent = _joined_with_sending(source, owners, settings.after)
        where.append(events.c.at >= sent.c.at)
    elif settings.when != "ever":
        if since is None:
            return sa.false()  # nobody can be asked what happened since a moment that does not exist here
        where.append(_from(settings, events, since))
    if ctx.about is not None:
        where.append(ctx.about(events))
    if isinstance(since, sa.ColumnElement) or ctx.about is not None:
        return _each(settings, ctx, source, owners, where)
    return _all_at_once(settings, ctx, source, owners, where)


def _log() -> tuple[Any, Any, sa.FromClause]:
    events = sa.alias(Event.__table__)
    owners = sa.alias(Identity.__table__)
    return events, owners, events.join(owners, owners.c.id == events.c.identity_id)


def _since(settings: Behaving, ctx: RuleContext) -> sa.ColumnElement[Any] | datetime | None:
    if settings.when == "within":
        return ctx.now - timedelta(days=settings.days)
    return ctx.since.get(f"mail:{settings.after}" if settings.when == "mail" else settings.when)


def _from(settings: Behaving, events: Events, since: sa.ColumnElement[Any] | datetime) -> sa.ColumnElement[bool]:
    """What let the lead in, or came with its arrival, is no answer to it: from there on means after it."""
    at: sa.ColumnElement[Any] = events.c.at
    return at > since if settings.when in ("arrival", "entry") else at >= since


def _joined_with_sending(source: sa.FromClause, owners: Any, mail: str) -> tuple[sa.FromClause, sa.Subquery]:
    sendings, recipients, log = _log()
    sent = (
        sa.select(recipients.c.lead_id, sa.func.max(sendings.c.at).label("at"))
        .select_from(log)
        .where(sendings.c.kind == "email_sent", sendings.c.subject == mail, recipients.c.lead_id.is_not(None))
        .group_by(recipients.c.lead_id)
        .subquery()
    )
    return source.join(sent, sent.c.lead_id == owners.c.lead_id), sent


def _all_at_once(
    settings: Behaving, ctx: RuleContext, source: sa.FromClause, owners: Any, where: list[sa.ColumnElement[bool]]
) -> sa.ColumnElement[bool]:
    """Driven by the events: four times faster on SQLite than a question per lead."""
    found = sa.select(owners.c.lead_id).select_from(source).where(*where)
    if settings.did != "has":
        found = found.where(owners.c.lead_id.is_not(None))  # strangers would make every "not in" unknown
    if ctx.among is not None:
        found = found.where(owners.c.lead_id.in_(ctx.among))
    if settings.times > 1:
        found = found.group_by(owners.c.lead_id).having(sa.func.count() >= settings.times)
    return within(ctx, found) if settings.did == "has" else sa.not_(within(ctx, found, negated=True))


def within(ctx: RuleContext, found: sa.Select[Any], *, negated: bool = False) -> sa.ColumnElement[bool]:
    """Whether the lead is one of those found: a SELECT of lead ids, none of them NULL when it is negated.

    PostgreSQL cannot join against NOT IN, and falls to a scan per lead once the list outgrows its memory.
    """
    if negated and ctx.dialect == "postgresql":
        list_ = found.subquery()
        return sa.exists().where(list_.c[0] == ctx.leads.c.id).correlate_except(list_)
    return ctx.leads.c.id.in_(found)


def _each(
    settings: Behaving, ctx: RuleContext, source: sa.FromClause, owners: Any, where: list[sa.ColumnElement[bool]]
) -> sa.ColumnElement[bool]:
    """Asked for each lead, because the period begins at another moment for each."""
    inner = sa.select(sa.literal(1)).select_from(source).where(owners.c.lead_id == ctx.leads.c.id, *where)
    if settings.times == 1:
        found: sa.ColumnElement[bool] = inner.correlate_except(source).exists()
    else:
        count = inner.with_only_columns(sa.func.count(), maintain_column_froms=True).correlate_except(source)
        found = count.scalar_subquery() >= settings.times
    return found if settings.did == "has" else sa.not_(found)


def counted(settings: Behaving, ctx: RuleContext, conditions: Conditions) -> sa.ColumnElement[Any]:
    """How often, per lead: what the journal notes about the decision."""
    events, owners, source = _log()
    since = _since(settings, ctx)
    where = [events.c.agent != "machine", events.c.at <= ctx.now, owners.c.lead_id == ctx.leads.c.id]
    where += conditions(events)
    if settings.when == "mail" and since is None:
        source, sent = _joined_with_sending(source, owners, settings.after)
        where.append(events.c.at >= sent.c.at)
    elif since is not None and settings.when != "ever":
        where.append(_from(settings, events, since))
    if ctx.about is not None:
        where.append(ctx.about(events))
    count = sa.select(sa.func.count()).select_from(source).where(*where)
    return count.correlate_except(source).scalar_subquery()


def phrase(settings: Behaving, has: str, has_not: str, names: Names) -> str:
    """`has` or `has_not`, how often, when."""
    often = "" if settings.times == 1 else f" at least {settings.times} times"
    days = f"{settings.days:g}"
    period = {
        "ever": "",
        "within": " in the last day" if settings.days == 1 else f" in the last {days} days",
        "arrival": " since arriving at this step",
        "entry": " since entering the campaign",
        "mail": f" since {name_of(names, 'mail', settings.after)} was sent",
    }[settings.when]
    return (has if settings.did == "has" else has_not) + often + period


def drifts(settings: Behaving) -> bool:
    return settings.when == "within"


def check(settings: Behaving, known: Known) -> list[Complaint]:
    """A period must have a beginning."""
    if settings.when in ("arrival", "entry") and settings.when not in known.since:
        words = "arrives at a step" if settings.when == "arrival" else "enters a campaign"
        return [Complaint("when", f"Only inside a campaign a lead {words}; choose another period.")]
    if settings.when == "mail" and not settings.after:
        return [Complaint("after", "Choose the mail from whose sending on it counts.")]
    return []


def drawn(settings: Any, known: Known, declared: dict[str, Widget]) -> dict[str, Widget]:
    """Without the periods that have no beginning here."""
    when = declared["when"]
    offered = tuple(c for c in when.choices if c[0] not in ("arrival", "entry") or c[0] in known.since)
    return declared | {"when": Widget(when.label, when.kind, when.hint, offered)}


def rule_type(
    *,
    label: str,
    icon: str,
    category: str,
    settings: type[Settings],
    example: dict[str, Any],
    events: Callable[[Any, Events], list[sa.ColumnElement[bool]]],
    verbs: tuple[str, str],
    what: Callable[[Any, Names], str],
    counts: Callable[[Any], str],
) -> RuleType:
    """A condition on one kind of behaviour: which events count, its two verbs ("opened", "did not open") and their object."""

    def on(s: Any) -> Conditions:
        return lambda log: events(s, log)

    return RuleType(
        label=label,
        icon=icon,
        category=category,
        Settings=settings,
        example=example,
        predicate=lambda s, ctx: seen(s, ctx, on(s)),
        sentence=lambda s, names: phrase(s, f"{verbs[0]} {what(s, names)}", f"{verbs[1]} {what(s, names)}", names),
        operands=lambda s, ctx: {counts(s): counted(s, ctx, on(s))},
        drifts=drifts,
        check=check,
        drawn=drawn,
    )
