"""`flask leads pause|resume|move|remove`: what a person does with one lead in a campaign, without a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import sqlalchemy as sa

from app import cli, clock
from app.engine import steering
from app.engine.models import Campaign
from app.leads import finding
from app.leads.cli import group

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


for name, act in (("pause", steering.pause), ("resume", steering.resume), ("move", steering.move), ("remove", steering.remove)):  # fmt: skip
    group.add_command(_command(name, act))
