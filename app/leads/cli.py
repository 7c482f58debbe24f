"""Leads without a browser: bring a file in, look somebody up, tag, merge, take apart, erase."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.cli import database, instant, json_option, refuse, say
from app.leads import erasing, finding, importing, listing, merging, planning, queries, reading, tagging, telling
from app.leads.models import Lead, Merge
from app.leads.values import BadValue

at_option = click.option("--at", type=instant, default=None, help="When it happens; now if left out.")


@click.group("leads")
def group() -> None:
    """Leads: import, look up, tag, merge, erase."""


@group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mapping",
    default="",
    help='JSON of column to field, or a file of it, such as {"E-Mail": "email"}; guessed if left out.',
)
@click.option("--dry-run", is_flag=True, help="Say what would happen and change nothing.")
@click.option("--no-overwrite", is_flag=True, help="Only fill what is empty in leads that are known.")
@click.option("--tag", "tags", multiple=True, help="A tag for all; may be repeated.")
@click.option("--topic", default="", help="The topic all of them agreed to hear about.")
@click.option("--consent-source", default="", help="Where they agreed.")
@click.option("--wording", default="", help="What they read when they agreed.")
@click.option("--encoding", default="", help="Found out if left out.")
@click.option(
    "--header/--no-header", "has_header", default=None, help="Whether the first row holds names; found out if left out."
)
@click.option("--campaign", default="", help="The key of a live campaign, added by hand, that all of them enter.")
@click.option(
    "--refused", type=click.Path(dir_okay=False, path_type=Path), help="Write the refused rows with reasons here."
)
@at_option
@json_option
def import_file(
    file: Path, mapping: str, dry_run: bool, no_overwrite: bool, tags: tuple[str, ...], topic: str, consent_source: str,
    wording: str, encoding: str, has_header: bool | None, campaign: str, refused: Path | None, at: Any, as_json: bool,
) -> None:  # fmt: skip
    """Bring a CSV or Excel file of leads in."""
    options = planning.Options(not no_overwrite, tags, topic, consent_source, wording, encoding, has_header, campaign)
    if topic and not consent_source:
        refuse("Say with --consent-source where these people agreed; consent without proof does not count.")
    try:
        table = planning.open_file(file, options)
        with database().read() as session:
            chosen = {**planning.guess(session, table), **_mapping(mapping)} if not mapping else _mapping(mapping)
            planning.check_mapping(session, table, chosen)
            importing.check_campaign(session, options)
            report = planning.dry_run(session, table, chosen, options) if dry_run else None
        if report is None:
            report = _import(file, table, chosen, options, refused, at)
    except (reading.BadFile, BadValue) as problem:
        refuse(str(problem))
    answer = {"file": file.name, "dry_run": dry_run, "mapping": chosen, "rows": report.rows, "created": report.created,
              "updated": report.updated, "refused": report.refused, "repeated": report.repeated, "refusals": report.refusals}  # fmt: skip
    verb = "would be " if dry_run else ""
    text = f"{report.rows:,} rows: {report.created:,} {verb}created, {report.updated:,} {verb}changed, {report.refused:,} refused, {report.repeated:,} repeat a lead of the file."
    say(answer, as_json, "\n".join([text, *(f"  Row {r['row']}: {r['reason']}" for r in report.refusals[:20])]))


def _import(
    file: Path, table: reading.Table, mapping: dict[str, str], options: planning.Options, refused: Path | None, at: Any
) -> planning.Report:
    from app.leads.exporting import csv_lines

    with database().write() as session:
        row = importing.start(session, file.name, "", rows=table.count(), user_id=None, at=at or clock.now())
        importing.begin(session, row.id, table.columns, mapping, options)
    report = importing.run(database(), row.id, file, at=at)
    with database().read() as session:
        error = session.get_one(type(row), row.id).error
        if refused:
            with refused.open("w", encoding="utf-8", newline="") as out:
                out.writelines(csv_lines(importing.refused_rows(session, row.id)))
    if error:
        refuse(error)
    return report


def _mapping(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        given = json.loads(Path(text).read_text("utf-8") if not text.lstrip().startswith("{") else text)
    except (OSError, ValueError):
        refuse(
            'The mapping is not JSON; write it as {"E-Mail": "email", "Name": "full_name"} or name a file with that.'
        )
    if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
        refuse("The mapping is an object of column names and field names.")
    return given


@group.command("show")
@click.argument("who")
@json_option
def show(who: str, as_json: bool) -> None:
    """One lead: profile, score, tags and the newest events. WHO is an address or a number."""
    from zoneinfo import ZoneInfo

    with database().read() as session:
        lead = _one(session, who)
        story = queries.story(session, lead.id, before=None, kinds=None, zone=ZoneInfo("UTC"), now=clock.now())
        tags = [tag.key for tag in queries.tags(session, lead.id)]
        answer = _plain(lead) | {
            "fields": lead.fields,
            "tags": tags,
            "events": [_moment(m) for day in story.days for m in day.moments],
        }
    lines = [
        f"{answer['name']} <{lead.email or 'no address'}>",
        f"  {lead.stage}, score {lead.score} ({lead.temperature}), owner {lead.owner_id or 'nobody'}",
    ]
    say(answer, as_json, "\n".join(lines + [f"  {m['at']:%Y-%m-%d %H:%M}  {m['title']}" for m in answer["events"]]))


@group.command("list")
@click.option("--search", "q", default="")
@click.option("--segment", default="")
@click.option("--stage", default="")
@click.option("--tag", default="")
@click.option("--limit", default=50, type=click.IntRange(1, 100_000))
@json_option
def list_all(q: str, segment: str, stage: str, tag: str, limit: int, as_json: bool) -> None:
    """The leads that match, by number."""
    wanted = listing.Wanted.read({"q": q, "segment": segment, "stage": stage, "tag": tag})
    with database().read() as session:
        rows = session.execute(listing.query(session, wanted).order_by(Lead.id).limit(limit)).all()
    found = [_plain(lead) for lead, _ in rows]
    say(
        found,
        as_json,
        lambda: (
            "\n".join(f"{f['id']:>8}  {f['email'] or '-':40}  {f['score']:>3}  {f['stage']}" for f in found)
            or "Nobody matches."
        ),
    )


@group.command("tag")
@click.argument("who")
@click.argument("tag")
@click.option("--remove", is_flag=True, help="Take the tag off instead.")
@at_option
@json_option
def tag_one(who: str, tag: str, remove: bool, at: Any, as_json: bool) -> None:
    """Tag a lead, or every member of a segment: WHO is an address, a number, or segment:KEY."""
    with database().write() as session:
        try:
            leads = (
                listing.ids(session, listing.Wanted(segment=who[8:]))
                if who.startswith("segment:")
                else sa.select(Lead.id).where(Lead.id == _one(session, who).id)
            )
            key = tagging.ensure(session, tag).key
            count = (tagging.remove if remove else tagging.add)(session, leads, key, at=at or clock.now())
        except BadValue as problem:
            refuse(problem.sentence)
    say({"tag": key, "changed": count}, as_json, f"{count:,} {'lost' if remove else 'got'} the tag {key}.")


@group.command("merge")
@click.argument("survivor")
@click.argument("merged")
@at_option
@json_option
def merge(survivor: str, merged: str, at: Any, as_json: bool) -> None:
    """Make MERGED a part of SURVIVOR."""
    with database().write() as session:
        try:
            done = merging.merge(
                session, _one(session, survivor).id, _one(session, merged).id, user_id=None, at=at or clock.now()
            )
        except merging.BadMerge as problem:
            refuse(str(problem))
        answer = {"merge": done.id, "survivor": done.survivor_id, "merged": done.merged_id}
    say(answer, as_json, f"Lead {done.merged_id} is part of lead {done.survivor_id} now.")


@group.command("unmerge")
@click.argument("who")
@at_option
@json_option
def unmerge(who: str, at: Any, as_json: bool) -> None:
    """Undo the newest merge into this lead."""
    with database().write() as session:
        lead = _one(session, who)
        newest = (
            sa.select(Merge.id).where(Merge.survivor_id == lead.id, Merge.undone_at.is_(None)).order_by(Merge.id.desc())
        )
        try:
            done = merging.unmerge(session, session.scalar(newest.limit(1)) or 0, at=at or clock.now())
        except merging.BadMerge as problem:
            refuse(str(problem))
        answer = {"survivor": done.survivor_id, "apart": done.merged_id}
    say(answer, as_json, f"Lead {done.merged_id} stands alone again.")


@group.command("erase")
@click.argument("who")
@click.option("--yes", is_flag=True, help="Do not ask.")
@at_option
@json_option
def erase(who: str, yes: bool, at: Any, as_json: bool) -> None:
    """Remove the person for good; the address is never mailed again."""
    if not yes and not as_json:
        click.confirm(f"Erase {who} for good?", abort=True)
    with database().write() as session:
        lead_id = _one(session, who).id
        count = erasing.erase(session, lead_id, at=at or clock.now())
    say({"lead": lead_id, "records": count}, as_json, f"Erased ({count} record{'' if count == 1 else 's'}).")


def _one(session: Session, who: str) -> Lead:
    lead = finding.by_id(session, int(who)) if who.isdecimal() and len(who) < 16 else finding.by_email(session, who)
    if lead is None:
        refuse(f"There is no lead {who!r}.")
    return lead


def _plain(lead: Lead) -> dict[str, Any]:
    names = ("id", "email", "first_name", "last_name", "job_title", "phone", "company_name", "country", "city", "language", "zone", "source",
             "stage", "fit", "interest", "score", "fit_grade", "interest_grade", "temperature", "owner_id", "created_at", "last_seen_at")  # fmt: skip
    return {"name": f"{lead.first_name} {lead.last_name}".strip() or lead.email} | {
        name: getattr(lead, name) for name in names
    }


def _moment(moment: telling.Moment) -> dict[str, Any]:
    return {"at": moment.at, "title": moment.title, "text": moment.text, "points": moment.points, "rows": moment.rows}


commands = (group,)
