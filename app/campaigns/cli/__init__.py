"""Campaigns without a browser: as files, checked, published, and their figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import cli, clock
from app.accounts.models import User
from app.campaigns import checking, drafting, publishing, queries, statistics, text
from app.engine.graph import Problem
from app.engine.models import Campaign

AT = click.option("--at", type=cli.instant, help="The time it happens at; default: now.")


@click.group("campaigns")
def campaigns() -> None:
    """Campaigns as text, published and paused."""


def found(session: Session, key: str) -> Campaign:
    """The campaign of a key, or the end with a sentence."""
    campaign = session.scalar(sa.select(Campaign).where(Campaign.key == key))
    if campaign is None:
        cli.refuse(f"There is no campaign with the key {key}; `flask campaigns list` shows them.")
    return campaign


def file_read(path: str) -> text.Text:
    """A campaign file, or the end with a sentence."""
    try:
        return text.read(Path(path).read_bytes())
    except text.BadText as error:
        cli.refuse(f"{path}: {error}")


def said(problem: Problem) -> str:
    """A problem as one line."""
    place = f"{problem.step}: " if problem.step else ""
    accepted = f" (accepted by {problem.accepted})" if problem.accepted else ""
    return f"{'warning' if problem.is_warning else 'error'}: {place}{problem.sentence}{accepted}"


@campaigns.command("list")
@click.option(
    "--state", type=click.Choice(queries.STATES), help="Only these; default: all that are not in the archive."
)
@cli.json_option
def list_command(state: str | None, as_json: bool) -> None:
    """All campaigns with their figures."""
    with cli.database().read() as session:
        rows = queries.listed(session, state=state or "")
    data = [
        {"key": r.key, "name": r.name, "state": r.state, "in_flow": r.in_flow, "entered": r.entered, "sent": r.sent}
        | {"opened": r.opened, "handed_over": r.handed_over, "converted": r.converted, "owner": r.owner}
        for r in rows
    ]
    lines = [f"{r.key:32} {r.state:7} {r.in_flow:7} in flow  {r.open_rate:>6} opened  {r.name}" for r in rows]
    cli.say(data, as_json, "\n".join(lines) or "There are no campaigns yet.")


@campaigns.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--publish", "publishes", is_flag=True, help="Publish each at once.")
@click.option("--as", "email", help="The address of the user who owns them.")
@AT
@cli.json_option
def import_command(files: tuple[str, ...], publishes: bool, email: str | None, at: Any, as_json: bool) -> None:
    """Read campaign FILES: each becomes a draft, new or of the campaign with its key. All of them, or none."""
    read = [(path, file_read(path)) for path in files]
    answers = []
    with cli.database().write() as session:
        user_id = user_of(session, email)
        for path, given in read:
            try:
                campaign, is_new = text.replace(session, given, user_id=user_id, at=at or clock.now())
                version = _publish(session, campaign, user_id, at) if publishes else None
            except (text.BadText, drafting.BadDraft, publishing.Unpublishable) as error:
                session.rollback()
                cli.refuse(f"{path}: {error}")
            answers.append({"file": path, "key": campaign.key, "is_new": is_new, "version": version})
    words = "\n".join(_imported(answer) for answer in answers)
    cli.say(answers, as_json, words)


def _imported(answer: dict[str, Any]) -> str:
    done = "new draft" if answer["is_new"] else "draft replaced"
    return f"{answer['key']}: {done}" + (f", version {answer['version']} is live." if answer["version"] else ".")


def user_of(session: Session, email: str | None) -> int | None:
    """The id of the user with this address, or the end with a sentence."""
    if email is None:
        return None
    user_id = session.scalar(sa.select(User.id).where(User.email == email.lower()))
    return user_id if user_id is not None else cli.refuse(f"There is no user {email}; `flask users list` shows them.")


def _publish(session: Session, campaign: Campaign, user_id: int | None, at: Any) -> int:
    return publishing.publish(session, campaign.id, user_id=user_id, at=at or clock.now()).number


@campaigns.command("export")
@click.argument("key")
@click.option("-o", "--output", type=click.Path(dir_okay=False, writable=True), help="Write to this file.")
@click.option("--parts/--no-parts", default=True, help="With the mails, forms, segments and topics it names.")
@click.option("--published", is_flag=True, help="What is live, not the draft.")
@cli.json_option
def export_command(key: str, output: str | None, parts: bool, published: bool, as_json: bool) -> None:
    """Write the campaign KEY as text."""
    with cli.database().read() as session:
        given = text.gather(session, found(session, key).id, with_parts=parts, published=published)
    written = text.write(given)
    if output:
        Path(output).write_text(written, encoding="utf-8")
    data = {"key": given.key, "name": given.name, "file": output, "flow": given.flow, **given.parts}
    data["scenarios"] = given.scenarios or []
    cli.say(data, as_json, f"Written to {output}." if output else written.rstrip("\n"))


@campaigns.command("lint")
@click.argument("what", nargs=-1, required=True)
@cli.json_option
def lint_command(what: tuple[str, ...], as_json: bool) -> None:
    """Say everything wrong with campaign files, or with the drafts of campaigns given by key; ends with 1 on errors."""
    answers = [_linted(each) for each in what]
    lines = [f"{a['what']}: {line}" for a in answers for line in a["lines"]] or ["No problems."]
    cli.say([{"what": a["what"], "problems": a["problems"]} for a in answers], as_json, "\n".join(lines))
    if any(not problem["is_warning"] for answer in answers for problem in answer["problems"]):
        raise click.exceptions.Exit(1)


def _linted(what: str) -> dict[str, Any]:
    """A file is read with what it brings, in a transaction that is undone."""
    is_file = Path(what).is_file()
    given = file_read(what) if is_file else None
    with cli.database().write() as session:
        try:
            if given is not None:
                campaign = text.replace(session, given, user_id=None, at=clock.now())[0]
            else:
                campaign = found(session, what)
        except (text.BadText, drafting.BadDraft) as error:
            session.rollback()
            cli.refuse(f"{what}: {error}")
        problems = checking.problems(session, drafting.get(session, campaign.id).flow)
        session.rollback()
    return {"what": what, "problems": checking.plain(problems), "lines": [said(problem) for problem in problems]}


@campaigns.command("stats")
@click.argument("key")
@cli.json_option
def stats_command(key: str, as_json: bool) -> None:
    """The figures of KEY: leads by state, and every step."""
    with cli.database().read() as session:
        campaign = found(session, key)
        flow = drafting.get(session, campaign.id).flow
        data = statistics.totals(session, campaign.id, flow, now=clock.now())
    cli.say(data, as_json, lambda: "\n".join(_lines(data, flow)))


def _lines(data: dict[str, Any], flow: dict[str, Any]) -> list[str]:
    states = ", ".join(f"{count} {state}" for state, count in sorted(data["states"].items()))
    lines = [f"{data['campaign']} ({data['state']}): {data['entered']} entered" + (f" = {states}" if states else "")]
    for step in flow["steps"]:
        own = data["steps"][step["id"]]
        paths = ", ".join(f"{port} {count}" for port, count in own["left"].items())
        lines.append(f"  {step['id']:8} {step['kind']:16} {own['entered']:7} came {own['here']:7} here  {paths}")
    return lines


@campaigns.command("schema")
def schema_command() -> None:
    """The JSON Schema of campaign files, made from the code."""
    from app.campaigns import schema

    click.echo(schema.as_text())


from app.campaigns.cli import gallery as gallery  # noqa: E402  (they add their commands to the group)
from app.campaigns.cli import rehearse as rehearse  # noqa: E402
from app.campaigns.cli import scenarios as scenarios  # noqa: E402
from app.campaigns.cli import shadow as shadow  # noqa: E402
from app.campaigns.cli import trying as trying  # noqa: E402
from app.campaigns.cli import under_way as under_way  # noqa: E402
from app.campaigns.cli import versions as versions  # noqa: E402

commands = (campaigns, rehearse.COMMAND)
