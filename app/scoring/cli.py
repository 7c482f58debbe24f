"""`flask scoring`: the points of a lead with their reasons, and everybody scored anew."""

from __future__ import annotations

from datetime import datetime

import click
import sqlalchemy as sa

from app import clock
from app.cli import database, instant, json_option, refuse, say
from app.leads.finding import by_email
from app.scoring import rescoring
from app.scoring.models import ScoreEntry


@click.group()
def scoring() -> None:
    """Scoring: how ready leads are, and why."""


@scoring.command("show")
@click.argument("email")
@json_option
def show_score(email: str, as_json: bool) -> None:
    """The score of a lead, and every line of its ledger."""
    with database().read() as session:
        lead = by_email(session, email)
        if lead is None:
            refuse(f"No lead has the address {email}.")
        query = sa.select(ScoreEntry).where(ScoreEntry.lead_id == lead.id).order_by(ScoreEntry.at, ScoreEntry.id)
        lines = [
            {"at": e.at, "dimension": e.dimension, "points": e.points, "reason": e.reason}
            for e in session.scalars(query)
        ]
        data = {
            "score": lead.score,
            "fit": lead.fit,
            "interest": lead.interest,
            "grade": f"{lead.fit_grade}{lead.interest_grade}",
            "temperature": lead.temperature,
            "stage": lead.stage,
            "ledger": lines,
        }
    told = [
        f"{line['at']:%Y-%m-%d %H:%M}  {line['points']:+4d}  {line['dimension']:<8}  {line['reason']}" for line in lines
    ]
    head = f"{data['score']} points ({data['grade']}, {data['temperature']}), stage {data['stage']}"
    say(data, as_json, "\n".join([head, *told]))


@scoring.command("rescore")
@click.option("--now", type=instant, help="The time to score at; else the present.")
@json_option
def rescore(now: datetime | None, as_json: bool) -> None:
    """Score everybody anew by the present model; differences become lines in the ledgers."""
    at = now or clock.now()
    with clock.at(at), database().write() as session:
        changed = rescoring.rescore(session, at)
    say({"changed": changed}, as_json, f"{changed:,} leads have another score, grade or temperature.")


commands = (scoring,)
