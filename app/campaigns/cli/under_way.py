"""What may be done, without a browser, to a campaign with leads inside: publish by a plan, undo, pause, resume, retry."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import click

from app import cli
from app import clock as time
from app.campaigns import drafting, failing, migrating, passing_by, pausing, planning, publishing, queries, undoing
from app.campaigns.cli import AT, campaigns, file_read, found, said, user_of
from app.engine import steering

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Span(click.ParamType[timedelta]):
    """A length of time: 30m, 4h, 7d."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        read = re.fullmatch(r"(\d{1,4})([mhd])", str(value))
        if not read:
            self.fail(f"{value!r} is not a length of time; write 30m, 4h or 7d.", param, ctx)
        return timedelta(**{_UNITS[read[2]]: int(read[1])})


SPAN = Span()
SPREAD = click.option("--spread", type=SPAN, default=timedelta(), help="Evenly over this time: 4h; default: at once.")
MAP = click.option("--map", "maps", multiple=True, metavar="OLD=NEW", help="Where leads of a lost step go: a step, exit, or stay.")  # fmt: skip


def _choices(maps: tuple[str, ...]) -> dict[str, str]:
    bad = next((given for given in maps if not re.fullmatch(r"[^=]+=[^=]+", given)), None)
    if bad is not None:
        raise click.BadParameter(f"{bad!r}: write OLD=NEW, OLD=exit or OLD=stay.", param_hint="--map")
    return dict(given.split("=") for given in maps)


@campaigns.command("plan")
@click.argument("key")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@MAP
@AT
@cli.json_option
def plan_command(key: str, file: str | None, maps: tuple[str, ...], at: Any, as_json: bool) -> None:
    """What publishing the draft of KEY (or FILE) now would mean for the leads inside; changes nothing."""
    given = file_read(file) if file else None
    with cli.database().write() as session:
        campaign = found(session, key)
        flow = drafting.written(given.flow if given else drafting.get(session, campaign.id).flow)
        try:
            plan = migrating.plan(session, campaign.id, flow, at=at or time.now(), choices=_choices(maps))
        except ValueError as error:
            session.rollback()
            cli.refuse(str(error))
        session.rollback()
    lines = [asdict(line) | {"by": line.by.total_seconds(), "sentence": line.sentence} for line in plan.lines]
    cli.say({"key": key, "leads": plan.leads, "lines": lines}, as_json, lambda: planned(plan))


def planned(plan: planning.Plan) -> str:
    """A plan in words, one line for each occupied step."""
    rows = [f"  {line.step:8} (version {line.version}) {line.sentence} {_going(line, plan)}" for line in plan.lines]
    return "\n".join([f"{plan.leads} leads inside.", *(row.rstrip() for row in rows)])


def _going(line: planning.Line, plan: planning.Plan) -> str:
    if line.fate != planning.LOST:
        return ""
    words = {planning.EXIT: "They leave the campaign.", planning.STAY: "They finish on their version."}
    return words.get(line.choice) or f"They go to {line.choice} ({plan.places[line.choice]})."


@campaigns.command("publish")
@click.argument("key")
@click.option("--move/--drain", "moves", default=False, help="Bring leads inside along, or let them finish on their version; default: --drain.")  # fmt: skip
@MAP
@click.option("--as", "email", help="The address of the user who publishes.")
@AT
@cli.json_option
def publish_command(key: str, moves: bool, maps: tuple[str, ...], email: str | None, at: Any, as_json: bool) -> None:
    """Make the draft of KEY the flow that leads enter; with --move also those inside go on in it."""
    if maps and not moves:
        raise click.UsageError("--map says where moved leads go; add --move.")
    with cli.database().write() as session:
        campaign, user_id, when = found(session, key), user_of(session, email), at or time.now()
        try:
            move = _choices(maps) if moves else None
            version = publishing.publish(session, campaign.id, move=move, user_id=user_id, at=when).number
        except publishing.Unpublishable as error:
            session.rollback()
            lines = [str(error), *(said(p) for p in error.problems if not p.is_warning)]
            cli.refuse("\n".join(lines) if len(lines) > 2 else lines[0])
        except planning.BadChoice as error:
            session.rollback()
            cli.refuse(str(error))
        done = undoing.latest(session, campaign.id)
        moved = done.moved_count if done and moves else 0
    words = f"{key} is live, version {version}." + (f" {moved} leads go on in it." if moves else "")
    data = {"key": key, "version": version, "state": "live"} | ({"moved": moved} if moves else {})
    cli.say(data, as_json, words)


@campaigns.command("undo")
@click.argument("key")
@AT
@cli.json_option
def undo_command(key: str, at: Any, as_json: bool) -> None:
    """Take the last publication of KEY back, with everybody it moved, while nobody has gone on in it."""
    with cli.database().write() as session:
        campaign = found(session, key)
        try:
            done = undoing.undo(session, campaign.id, at=at or time.now())
        except undoing.CannotUndo as error:
            session.rollback()
            cli.refuse(str(error))
        number = next(v.number for v in queries.versions(session, campaign.id) if v.id == done.before_id)
    words = f"{key} is at version {number} again; {done.moved_count} leads are back where they were."
    cli.say({"key": key, "version": number, "moved_back": done.moved_count}, as_json, words)


@campaigns.command("versions")
@click.argument("key")
@cli.json_option
def versions_command(key: str, as_json: bool) -> None:
    """The published versions of KEY: number, time, by whom, and how many leads are inside."""
    with cli.database().read() as session:
        campaign = found(session, key)
        rows = queries.versions(session, campaign.id)
        data = [
            {"number": v.number, "published_at": v.published_at, "by": v.by, "inside": v.inside}
            | {"is_current": v.id == campaign.version_id}
            for v in rows
        ]
    lines = [
        f"{v['number']:4} {'*' if v['is_current'] else ' '} {v['published_at']:%Y-%m-%d %H:%M}  "
        f"{v['inside']:7} inside  {v['by'] or ''}".rstrip()
        for v in data
    ]
    cli.say(data, as_json, "\n".join(lines) or f"{key} has never been published.")


@campaigns.command("run-for-passed")
@click.argument("key")
@click.argument("step")
@click.option("--dry-run", is_flag=True, help="Only say for how many.")
@AT
@cli.json_option
def run_for_passed_command(key: str, step: str, dry_run: bool, at: Any, as_json: bool) -> None:
    """Run STEP of KEY once for the leads inside who were past its place when it was put in."""
    when = at or time.now()
    with cli.database().write() as session:
        campaign = found(session, key)
        try:
            run = passing_by.count if dry_run else passing_by.run_for_passed
            count = run(session, campaign.id, step, at=when)
        except passing_by.CannotRun as error:
            session.rollback()
            cli.refuse(str(error))
    words = f"{count} leads have passed {step}." if dry_run else f"{step} was run for {count} leads."
    cli.say({"key": key, "step": step, "leads": count, "dry_run": dry_run}, as_json, words)


@campaigns.command("pause")
@click.argument("key")
@click.option("--clock", type=click.Choice(["stops", "runs"]), default="stops", show_default=True, help="Whether waits stand still meanwhile.")  # fmt: skip
@AT
@cli.json_option
def pause_command(key: str, clock: str, at: Any, as_json: bool) -> None:
    """Hold everybody in KEY where they are."""
    with cli.database().write() as session:
        if not pausing.pause(session, found(session, key).id, at=at or time.now(), clock_runs=clock == "runs"):
            cli.refuse(f"{key} is not live, so there is nothing to pause.")
    cli.say({"key": key, "state": "paused", "clock": clock}, as_json, f"{key} is paused.")


@campaigns.command("resume")
@click.argument("key")
@SPREAD
@click.option("--drop-older", type=SPAN, help="Do not send held mail older than this: 7d.")
@click.option("--dry-run", is_flag=True, help="Only say what would be released.")
@AT
@cli.json_option
def resume_command(
    key: str, spread: timedelta, drop_older: timedelta | None, dry_run: bool, at: Any, as_json: bool
) -> None:
    """Let everybody in KEY go on: at once, or evenly over some time."""
    when = at or time.now()
    with cli.database().write() as session:
        campaign = found(session, key)
        if campaign.state != "paused":
            cli.refuse(f"{key} is not paused.")
        done = pausing.release_plan(session, campaign.id, at=when, drop_older=drop_older)
        if not dry_run:
            pausing.resume(session, campaign.id, at=when, spread=spread, drop_older=drop_older)
    words = f"{done.due} leads go on, {done.mails} held mails leave, {done.stale} are too old."
    state = "paused" if dry_run else "live"
    data = {"key": key, "state": state, "due": done.due, "mails": done.mails, "stale": done.stale}
    cli.say(data, as_json, words if dry_run else f"{key} is live again. {words}" if any(data[n] for n in ("due", "mails", "stale")) else f"{key} is live again.")  # fmt: skip


@campaigns.command("release")
@click.argument("key")
@click.option("--drop", is_flag=True, help="Do not send them.")
@SPREAD
@AT
@cli.json_option
def release_command(key: str, drop: bool, spread: timedelta, at: Any, as_json: bool) -> None:
    """Let the mails of KEY go that a long stop made late, or drop them."""
    when = at or time.now()
    with cli.database().write() as session:
        id_ = found(session, key).id
        count = pausing.drop_late(session, id_, at=when) if drop else pausing.release_late(session, id_, at=when, spread=spread)  # fmt: skip
    words = f"{count} late mails {'are not sent' if drop else 'are released'}."
    cli.say({"key": key, "mails": count, "dropped": drop}, as_json, words)


@campaigns.command("failed")
@click.argument("key")
@cli.json_option
def failed_command(key: str, as_json: bool) -> None:
    """The passages of KEY that are parked as failed, by step and reason."""
    with cli.database().read() as session:
        heaps = failing.counted(session, found(session, key).id)
    lines = [f"{heap.leads:7}  {heap.step:8} {heap.kind:16} {heap.reason}" for heap in heaps]
    cli.say([asdict(heap) for heap in heaps], as_json, "\n".join(lines) or f"Nothing has failed in {key}.")


@campaigns.command("retry")
@click.argument("key")
@click.option("--step", default="", help="Only those that failed at this step.")
@click.option("--to", default="", help="Put them at this step instead.")
@click.option("--give-up", "gives_up", is_flag=True, help="Take them out instead.")
@click.option("--reason", default="failed before", show_default=True, help="Why they are moved.")
@AT
@cli.json_option
def retry_command(key: str, step: str, to: str, gives_up: bool, reason: str, at: Any, as_json: bool) -> None:
    """Let the failed passages of KEY try their step once more, or put them elsewhere."""
    when = at or time.now()
    with cli.database().write() as session:
        id_ = found(session, key).id
        try:
            if gives_up:
                count = failing.give_up(session, id_, step=step, at=when)
            elif to:
                count = failing.move(session, id_, to, step=step, reason=reason, by="the command line", at=when)
            else:
                count = failing.retry(session, id_, step=step, at=when)
        except steering.CannotSteer as error:
            session.rollback()
            cli.refuse(str(error))
    done = "taken out" if gives_up else f"put at {to}" if to else "tried again"
    cli.say({"key": key, "leads": count, "done": done}, as_json, f"{count} leads are {done}.")
