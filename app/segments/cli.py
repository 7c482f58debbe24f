"""`flask segments`: groups of leads described by one rule, without a browser."""

from __future__ import annotations

import json
from datetime import datetime
from typing import IO, Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.cli import database, instant, json_option, refuse, say
from app.leads.models import Lead
from app.segments import documenting, refreshing, ruling, saving
from app.segments.models import Segment, SegmentMember


@click.group()
def segments() -> None:
    """Segments: groups of leads that one rule describes."""


@segments.command("list")
@json_option
def list_segments(as_json: bool) -> None:
    """Every segment, with its members and its rule in words."""
    with database().read() as session:
        names = ruling.names(session)
        data = [_plain(s, names) for s in session.scalars(sa.select(Segment).order_by(Segment.key))]
    say(data, as_json, "\n".join(f"{d['key']:<30} {d['members']:>8,}  {d['who']}" for d in data) or "No segments yet.")


@segments.command("show")
@click.argument("key")
@json_option
def show_segment(key: str, as_json: bool) -> None:
    """One segment with the addresses of its members."""
    with database().read() as session:
        segment = _segment(session, key)
        query = sa.select(Lead.email).join(SegmentMember, SegmentMember.lead_id == Lead.id)
        emails = list(session.scalars(query.where(SegmentMember.segment_id == segment.id).order_by(Lead.id)))
        data = _plain(segment, ruling.names(session)) | {"rule": segment.rule, "emails": emails}
    words = f"{data['name']}: {data['who']}\n{data['members']:,} members\n" + "\n".join(
        e or "(no address)" for e in emails
    )
    say(data, as_json, words)


@segments.command("save")
@click.argument("name")
@click.option("--rule", type=click.File(), required=True, help="The rule as JSON; - reads standard input.")
@click.option("--key", default="", help="Its key in flows and files; else made of the name.")
@click.option("--now", type=instant, help="The time at which everybody is sorted; else the present.")
@json_option
def save_segment(name: str, rule: IO[str], key: str, now: datetime | None, as_json: bool) -> None:
    """Make the segment NAME, or change the one with this key."""
    try:
        given = json.load(rule)
    except ValueError as problem:
        refuse(f"The rule is not JSON: {problem}.")
    try:
        with database().write() as session:
            present = session.scalars(sa.select(Segment).where(Segment.key == (key or saving.slug(name)))).first()
            saved = saving.save(session, present, name=name, rule=given, key=key, at=now or clock.now())
            data = _plain(saved, ruling.names(session))
    except saving.BadSegment as problem:
        refuse(str(problem))
    say(data, as_json, f"{data['name']} has {data['members']:,} members and the key {data['key']}.")


@segments.command("refresh")
@click.option("--now", type=instant, help="The time to look at; else the present.")
@json_option
def refresh_segments(now: datetime | None, as_json: bool) -> None:
    """Sort everybody into every segment anew."""
    at = now or clock.now()
    with clock.at(at), database().write() as session:
        changed = refreshing.refresh(session, now=at, touched=None)
    say({"changed": changed}, as_json, f"{changed:,} leads joined or left a segment.")


@segments.command("delete")
@click.argument("key")
@json_option
def delete_segment(key: str, as_json: bool) -> None:
    """Delete a segment that nothing uses."""
    try:
        with database().write() as session:
            saving.delete(session, _segment(session, key))
    except saving.BadSegment as problem:
        refuse(str(problem))
    say({"deleted": key}, as_json, f"{key} is deleted. Its leads stay.")


@segments.command("reference")
def reference_command() -> None:
    """Print the reference of the rule language (docs/rules.md)."""
    click.echo(documenting.reference(), nl=False)


def _segment(session: Session, key: str) -> Segment:
    found = session.scalars(sa.select(Segment).where(Segment.key == key)).first()
    if found is None:
        refuse(f"There is no segment called {key}; flask segments list shows them all.")
    return found


def _plain(segment: Segment, names: dict[tuple[str, str], str]) -> dict[str, Any]:
    return {
        "key": segment.key,
        "name": segment.name,
        "members": segment.members_count,
        "who": ruling.who(segment.rule, names),
        "drifts": segment.drifts,
        "refreshed_at": segment.refreshed_at,
    }


commands = (segments,)
