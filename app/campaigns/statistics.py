"""The live figures on cards and paths over a time: who entered, is here now, took which path, and what became of the mail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.campaigns import mailed, tallying
from app.campaigns.periods import ALL, Period
from app.campaigns.tallying import RECENT, OfStep, Tally
from app.engine.catalog import STEPS
from app.engine.models import Campaign


def figures(
    session: Session, campaign_id: int, flow: dict[str, Any], *, now: datetime, period: Period = ALL
) -> dict[str, Any]:
    """The figures of all versions together, by step and trigger of this flow, in ten statements whatever its size.

    Who is here is told as of now; everything else as it was in the time asked for.
    """
    done = tallying.tally(session, campaign_id, [t["id"] for t in flow["triggers"]], period, now=now)
    mails = mailed.results(session, campaign_id, period)
    steps = {step["id"]: _of_step(step, done.steps[step["id"]], mails[step["id"]]) for step in flow["steps"]}
    triggers = {t["id"]: _of_trigger(*done.triggers[t["id"]]) for t in flow["triggers"]}
    return {"steps": steps, "triggers": triggers, "states": done.states, "whole": _of_whole(done)}


def _of_step(step: dict[str, Any], of: OfStep, mail: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {"entered": of.came, "here": of.here, "left": of.left}
    kind = STEPS.get(step["kind"])
    if of.left:
        found["stayed"] = round(of.stayed)
    if of.here:
        found["waiting"] = round(of.waiting)
    if of.dropped and not (kind is not None and kind.category == "End"):  # there leaving is what it is for
        found["dropped"] = of.dropped
    if of.failed:
        found["failed"] = of.failed
    if mail or step["kind"] == "send_email":
        return found | _of_mail(mail)
    if step["kind"] == "handoff":
        found["result"] = _answer_within(step["settings"].get("answer_within_hours", 4))
    return found


def _answer_within(hours: Any) -> str:
    return f"Answer within {hours} working hour{'' if hours == 1 else 's'}"


def _of_mail(mail: dict[str, int]) -> dict[str, Any]:
    sent = mail.get("sent", 0)
    opened, clicked = mail.get("opened", 0), mail.get("clicked", 0)
    found: dict[str, Any] = {"mail": {name: mail.get(name, 0) for name in mailed.NAMES}}
    if sent:
        best, word = (opened, "opened") if opened >= clicked else (clicked, "clicked")
        found["result"] = f"{round(100 * best / sent)}% {word}"
        found["rate"] = {"value": f"{round(100 * best / sent)}%", "label": word}
    return found


def _of_trigger(entered: int, recent: int) -> dict[str, Any]:
    a_day = recent / RECENT.days
    shown = f"{a_day:.0f}" if a_day >= 10 else f"{a_day:.1f}".removesuffix(".0")
    found: dict[str, Any] = {"entered": entered}
    if recent:
        found |= {"result": f"{shown}/day", "rate": {"value": shown, "label": "a day"}}
    return found


def _of_whole(done: Tally) -> dict[str, Any]:
    """The campaign in a line: who came in the time, how many of these converted, and what needs a person."""
    rate = f"{100 * done.converted / done.entered:.1f}%" if done.entered else None
    here, failed = done.states.get("active", 0), done.states.get("failed", 0)
    return {"entered": done.entered, "converted": done.converted, "rate": rate, "here": here, "failed": failed}


def totals(session: Session, campaign_id: int, flow: dict[str, Any], *, now: datetime) -> dict[str, Any]:
    """The figures of one campaign as the command line shows them: leads by state, then every step."""
    found = figures(session, campaign_id, flow, now=now)
    campaign = session.get_one(Campaign, campaign_id)
    states = found["states"]
    return {"campaign": campaign.key, "state": campaign.state, "entered": sum(states.values()), **found}
