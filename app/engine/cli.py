"""Run the engine at the times the caller names, ask it why, and steer one lead by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import cli, clock, signing
from app.calling_out import Caller
from app.engine import barring, calling, explaining, health, passing, replaying, steering
from app.engine.models import Campaign, WebhookCall
from app.engine.ticking import TickReport, tick
from app.leads import finding
from app.leads.addresses import BadAddress
from app.mail import delivering
from app.web import settings

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def _every(text: str) -> timedelta:
    if not text[:-1].isdigit() or text[-1] not in _UNITS or not int(text[:-1]):
        raise click.BadParameter(f"{text!r} is not a step of time; write 15m, 1h or 1d.")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


@click.command("tick")
@click.option("--now", "now", type=cli.instant, help="The time of the tick, or of the first; default: now.")
@click.option("--until", type=cli.instant, help="Go on until this time.")
@click.option("--every", default="1h", show_default=True, callback=lambda _c, _p, v: _every(v), help="15m, 1h, 1d.")
@click.option("--send", "sends", is_flag=True, help="Also send the mails and webhooks due, at the same times.")
@cli.json_option
def tick_command(now: datetime | None, until: datetime | None, every: timedelta, sends: bool, as_json: bool) -> None:
    """Run the engine at the given time, or through a span of time, then return."""
    start = now or clock.now()
    if until is not None and until < start:
        cli.refuse(f"--until {until:%Y-%m-%dT%H:%MZ} lies before --now {start:%Y-%m-%dT%H:%MZ}.")
    total, ticks = TickReport(), 0
    for instant in _instants(start, until, every):
        _pass_time(instant)
        report, ticks = tick(cli.database(), instant), ticks + 1
        _pass_time(instant, passing.follow_up)  # so that alerts of this tick are mailed with it
        total = TickReport(*(a + b for a, b in zip(_figures(total), _figures(report), strict=True)))
        if sends:
            _send(instant)
            if _call(instant).answered:  # and so those leads go on now
                tick(cli.database(), instant)
    answer = {"ticks": ticks, **asdict(total)}
    cli.say(
        answer,
        as_json,
        f"{ticks} {'tick' if ticks == 1 else 'ticks'}: {total.events} events observed, {total.moved} leads moved.",
    )


def _figures(report: TickReport) -> tuple[int, ...]:
    return tuple(asdict(report).values())


def _instants(start: datetime, until: datetime | None, every: timedelta) -> Iterator[datetime]:
    yield start
    while until is not None and start + every <= until:
        start += every
        yield start


def _pass_time(instant: datetime, duty: Callable[..., None] = passing.pass_time) -> None:
    with clock.at(instant), cli.database().write() as session:
        duty(session, instant, base_url=settings().base_url)


def _send(instant: datetime) -> None:
    with clock.at(instant):
        delivering.send(cli.database(), settings(), now=instant, worker="cli", limit=1_000_000)


def _call(instant: datetime) -> calling.Called:
    caller = Caller(own=settings().webhook_hosts)
    with clock.at(instant):
        return calling.deliver(cli.database(), caller, now=instant, worker="cli")


@click.command("call")
@click.option("--now", "now", type=cli.instant, help="The time to call at; default: now.")
@cli.json_option
def call_command(now: datetime | None, as_json: bool, is_quiet: bool = False) -> dict[str, int]:
    """One pass over the webhook calls that are due; “flask send” does the same after the mails."""
    called = asdict(_call(now or clock.now()))
    if not is_quiet:
        cli.say(called, as_json, ", ".join(f"{count} {name}" for name, count in called.items()) + ".")
    return called


@click.group("webhooks")
def webhooks() -> None:
    """Calls that campaigns make to other systems."""


@webhooks.command("secret")
def webhook_secret() -> None:
    """Show what their receivers check the signature with."""
    click.echo(signing.webhook_secret())


@webhooks.command("list")
@click.option("--state", type=click.Choice(["ready", "claimed", "answered", "failed", "cancelled"]))
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@cli.json_option
def list_webhooks(state: str | None, limit: int, as_json: bool) -> None:
    """The newest calls, and what came of them."""
    query = sa.select(WebhookCall).order_by(WebhookCall.id.desc()).limit(limit)
    with cli.database().read() as session:
        calls = session.scalars(query.where(WebhookCall.state == state) if state else query).all()
    names = ("id", "lead_id", "campaign_id", "step", "url", "state", "status", "reason", "attempt", "not_before")
    data = [{name: getattr(call, name) for name in (*names, "payload", "answer")} for call in calls]
    lines = [f"{c.id:>6}  {c.state:<9} {c.status or '':<4} {c.url}  {c.reason or ''}" for c in calls]
    cli.say(data, as_json, "\n".join(lines) or "No webhook has been called.")


@click.command("why")
@click.argument("email")
@click.argument("campaign")
@cli.json_option
def why_command(email: str, campaign: str, as_json: bool) -> None:
    """Tell the story of a lead in a campaign: every decision, with the values it saw."""
    with cli.database().read() as session:
        lead_id, campaign_id = _pair(session, email, campaign)
        passages = explaining.why(session, lead_id, campaign_id)
        if not passages:
            reasons = barring.why_not(session, lead_id, campaign_id)
            cli.refuse(f"{email} has never been in {campaign}. " + " ".join(reasons))
    cli.say([asdict(p) for p in passages], as_json, lambda: "\n\n".join(_told(p) for p in passages))


@click.command("why-not")
@click.argument("email")
@click.argument("campaign")
@cli.json_option
def why_not_command(email: str, campaign: str, as_json: bool) -> None:
    """Say what keeps a lead out of a campaign."""
    with cli.database().read() as session:
        reasons = barring.why_not(session, *_pair(session, email, campaign))
    cli.say(reasons, as_json, "\n".join(reasons) or "Nothing keeps this lead out; the next tick lets it in.")


@click.command("replay")
@click.argument("email")
@click.argument("campaign")
@cli.json_option
def replay_command(email: str, campaign: str, as_json: bool) -> None:
    """Ask the decisions of a lead in a campaign again, from the log; exit status 1 when one comes out otherwise."""
    with cli.database().read() as session:
        lead_id, campaign_id = _pair(session, email, campaign)
        ids = replaying.passages(session, lead_id, campaign_id)
    if not ids:
        cli.refuse(f"{email} has never been in {campaign}.")
    told = [replaying.replay(cli.database(), enrollment_id) for enrollment_id in ids]
    lines = [replaying.sentence(visit) for one in told for visit in one.visits]
    cli.say([asdict(one) for one in told], as_json, "\n".join(lines) or "No decision has been made yet.")
    if any(one.drift for one in told):
        raise click.exceptions.Exit(1)


def _pair(session: Session, email: str, campaign: str) -> tuple[int, int]:
    try:
        lead = finding.by_email(session, email)
    except BadAddress as error:
        cli.refuse(str(error))
    if lead is None:
        cli.refuse(f"No lead has the address {email}.")
    return lead.id, _campaign(session, campaign)


def _campaign(session: Session, given: str) -> int:
    """The campaign with this key, or the only one with this name."""
    campaign_id = session.scalar(sa.select(Campaign.id).where(Campaign.key == given))
    named = sa.select(Campaign.id, Campaign.key).where(sa.func.lower(Campaign.name) == given.strip().lower())
    namesakes = session.execute(named.order_by(Campaign.id)).all() if campaign_id is None else []
    if len(namesakes) == 1:
        return int(namesakes[0].id)
    if namesakes:
        cli.refuse(f"Several campaigns are called {given}; say which by key: {', '.join(c.key for c in namesakes)}.")
    if campaign_id is None:
        cli.refuse(f"No campaign has the key {given}; flask campaigns list shows them.")
    return campaign_id


def _told(passage: explaining.Passage) -> str:
    head = f"{passage.entered_at:%Y-%m-%d %H:%M} UTC  {passage.entry} Now: {passage.state}"
    head += f" ({passage.reason})" if passage.reason else ""
    return "\n".join([head, *(_one(line) for line in passage.lines)])


def _one(line: explaining.Line) -> str:
    return f"{line.left_at or line.arrived_at:%Y-%m-%d %H:%M} UTC  {line.visit}. {line.title}: {line.sentence}"


@click.command("health")
@cli.json_option
def health_command(as_json: bool) -> None:
    """Say what is late, what waits and which processes are at work; exit status 1 when something is wrong."""
    with cli.database().read() as session:
        found = health.look(session)
    head = f"tick lag {found.tick_lag:.1f} s, queue age {found.queue_age:.1f} s, {found.ready} ready, {found.in_doubt} in doubt"
    alive = [f"{worker.name} ({', '.join(worker.duties)})" for worker in found.workers if worker.is_alive]
    lines = [head, f"{found.parked} parked; at work: {', '.join(alive) or 'nobody'}", *found.sentences]
    cli.say(asdict(found), as_json, "\n".join(lines))
    if found.sentences:
        raise click.exceptions.Exit(1)


told = (why_command, why_not_command, replay_command)
DONE = {"pause": "is paused in", "resume": "goes on in", "move": "is moved within", "remove": "is taken out of"}
HELP = {
    "pause": "Hold EMAIL where it is in CAMPAIGN, its clock too.",
    "resume": "Let EMAIL go on in CAMPAIGN.",
    "move": "Put EMAIL at another step of CAMPAIGN.",
    "remove": "Take EMAIL out of CAMPAIGN.",
}


def _command(name: str, act: Callable[..., int]) -> click.Command:
    def run(email: str, campaign: str, reason: str, by: str, at: Any, as_json: bool, step: str = "") -> None:
        more = [step] if name == "move" else []
        with cli.database().write() as session:
            lead = finding.by_email(session, email)
            id_ = session.scalar(sa.select(Campaign.id).where(Campaign.key == campaign))
            if lead is None or id_ is None:
                cli.refuse(f"There is no {'lead ' + email if lead is None else 'campaign ' + campaign}.")
            try:
                act(session, id_, lead.id, *more, reason=reason, by=by, at=at or clock.now())
            except steering.CannotSteer as error:
                session.rollback()
                cli.refuse(str(error))
        answer = {"lead": email, "campaign": campaign, "done": name} | ({"step": step} if step else {})
        cli.say(answer, as_json, f"{email} {DONE[name]} {campaign}.")

    options = [
        click.argument("email"),
        click.argument("campaign"),
        click.option("--reason", required=True, help="Why; it stands in the lead's story."),
        click.option("--by", default="the command line", show_default=True, help="Who decided it."),
        click.option("--at", type=cli.instant, help="The time it happens at; default: now."),
        cli.json_option,
    ]
    if name == "move":
        options.append(click.option("--step", required=True, help="The id of the step."))
    for option in reversed(options):
        run = option(run)
    return click.command(name, help=HELP[name])(run)


@click.group("leads")
def leads() -> None:
    """One lead in a campaign; joins the commands about leads."""


for name, act in (("pause", steering.pause), ("resume", steering.resume), ("move", steering.move), ("remove", steering.remove)):  # fmt: skip
    leads.add_command(_command(name, act))


commands: tuple[Any, ...] = (health_command, tick_command, call_command, webhooks, leads, *told)
