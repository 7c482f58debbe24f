"""Versions without a browser: what two of them differ in, what became of their leads, and an old one as the draft again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click
from sqlalchemy.orm import Session

from app import cli, clock
from app.campaigns import comparing, drafting, queries, weighing
from app.campaigns.cli import AT, campaigns, found, user_of
from app.campaigns.comparing import Change, Comparison
from app.engine.models import Campaign, Version
from app.segments import ruling

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@campaigns.command("diff")
@click.argument("key")
@click.option("--from", "one", type=int, help="This version; default: what is live.")
@click.option("--to", "other", type=int, help="And this one; default: the draft.")
@click.option("--text", "as_text", is_flag=True, help="Line by line, as text.")
@cli.json_option
def diff_command(key: str, one: int | None, other: int | None, as_text: bool, as_json: bool) -> None:
    """What changed in KEY from one version to another, or to the draft."""
    with cli.database().read() as session:
        campaign = found(session, key)
        one = _live(session, campaign) if one is None else one
        before = _flow(session, campaign, one)
        after = _flow(session, campaign, other)
        comparison = comparing.compare(before, after, ruling.names(session))
        data = {"key": key, "from": one, "to": other, **_plain(comparison)}
    rows = comparing.lines(before, after)
    data["text"] = [asdict(row) for row in rows]
    lines = [f"{row.sign} {row.text}" for row in rows] if as_text else _words(comparison)
    cli.say(data, as_json, "\n".join(lines) or "The two are the same.")


def _live(session: Session, campaign: Campaign) -> int:
    if campaign.version_id is None:
        cli.refuse(f"{campaign.key} has never been published, so there is nothing to compare its draft with.")
    return session.get_one(Version, campaign.version_id).number


def _flow(session: Session, campaign: Campaign, number: int | None) -> dict[str, Any]:
    if number is None:
        return drafting.written(drafting.get(session, campaign.id).flow)
    flows = comparing.published(session, campaign.id)
    if number not in flows:
        cli.refuse(f"There is no version {number} of {campaign.key}; `flask campaigns versions {campaign.key}` shows them.")  # fmt: skip
    return flows[number]


def _plain(comparison: Comparison) -> dict[str, Any]:
    changes = [asdict(change) for change in comparison.changes]
    return {"summary": comparison.summary, "campaign": [asdict(d) for d in comparison.governing], "changes": changes}


def _words(comparison: Comparison) -> list[str]:
    told = [f"~ Campaign: {d.label}: {d.before} -> {d.after}" for d in comparison.governing]
    return told + [line for change in comparison.changes for line in _lines(change)]


def _lines(change: Change) -> list[str]:
    first = f"{_SIGNS[change.fate]} {change.id}  {change.label}: {change.title}"
    return [first, *(f"    {d.label}: {d.before} -> {d.after}" for d in change.details)]


@campaigns.command("results")
@click.argument("key")
@click.argument("one", type=int)
@click.argument("other", type=int)
@cli.json_option
def results_command(key: str, one: int, other: int, as_json: bool) -> None:
    """What became of the leads in version ONE of KEY beside those in version OTHER."""
    with cli.database().read() as session:
        campaign = found(session, key)
        ids = {version.number: version.id for version in queries.versions(session, campaign.id)}
        for number in (one, other):
            if number not in ids:
                cli.refuse(f"There is no version {number} of {key}; `flask campaigns versions {key}` shows them.")
        lines = weighing.table(session, campaign.id, (ids[one], ids[other]))
    data = [{"label": line.label, str(one): line.values[0], str(other): line.values[1]} for line in lines]
    words = [f"{line.label:34} {line.values[0]:>10,} {line.values[1]:>10,}" for line in lines]
    cli.say(data, as_json, "\n".join([f"{'':34} {f'version {one}':>10} {f'version {other}':>10}", *words]))


@campaigns.command("restore")
@click.argument("key")
@click.argument("number", type=int)
@click.option("--as", "email", help="The address of the user who does it.")
@AT
@cli.json_option
def restore_command(key: str, number: int, email: str | None, at: Any, as_json: bool) -> None:
    """Make version NUMBER of KEY the draft again; what is live stays, and Undo in the designer brings the draft back."""
    with cli.database().write() as session:
        campaign = found(session, key)
        flow, user_id = _flow(session, campaign, number), user_of(session, email)
        words = f"Version {number} restored"
        draft = drafting.replace(session, campaign.id, flow, user_id=user_id, at=at or clock.now(), words=words)
        data = {"key": key, "version": number, "revision": draft.revision}
    cli.say(data, as_json, f"The draft of {key} is version {number} again; publish it to make it live.")
