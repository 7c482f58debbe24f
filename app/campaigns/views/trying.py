"""The page "Try it": choose a test lead and what happens, and see the path it would take; nothing is kept of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import render_template, request

from app.accounts.guards import allow
from app.campaigns import drafting, palette, queries, reactions, trying
from app.campaigns.views.designer import EDITORS
from app.campaigns.views.room import blueprint, found
from app.capture.models import Form
from app.engine.models import Campaign, Version
from app.leads import finding
from app.mail import queries as mail_queries
from app.mail.models import Mail, MailVersion
from app.web import database, session, settings
from app.web.filters import local

Choices = list[tuple[str, list[tuple[str, str]]]]
MOST_REACTIONS = 50


@blueprint.get("/campaigns/<int:campaign_id>/try")
@allow(*EDITORS)
def try_it(campaign_id: int) -> str:
    """The form; with a lead in the address also the path."""
    campaign = found(campaign_id)
    email, version = request.args.get("lead", "").strip(), request.args.get("version", type=int)
    given, problem = _reactions(), ""
    told = None
    lead = finding.by_email(session(), email) if email else None
    if email and lead is None:
        problem = f"There is no lead with the address {email}; choose one of the list, or add the lead first."
    elif lead is not None:
        wanted = trying.Wanted(campaign_id, lead.id, version, None, tuple(given), _by_trigger())
        try:
            told = trying.attempt(database(), wanted, base_url=settings().base_url, said=local)
        except (trying.CannotTry, reactions.BadReaction) as error:
            problem = str(error)
    return render_template(
        "campaigns/try.html",
        campaign=campaign,
        flows=queries.flows(session(), campaign_id),
        chosen={"lead": email, "version": version, "by_trigger": _by_trigger(), "react": given},
        lead=lead,
        problem=problem,
        told=told,
        choices=_choices(_flow(campaign, version)),
        suggested=mail_queries.samples(session()),
        looks={card["kind"]: card for card in palette.steps()},
    )


@blueprint.get("/campaigns/<int:campaign_id>/try/leads")
@allow(*EDITORS)
def try_leads(campaign_id: int) -> str:
    """The leads to choose from, while one types."""
    found(campaign_id)
    suggested = mail_queries.samples(session(), request.args.get("lead", ""))
    return render_template("campaigns/_try_leads.html", suggested=suggested)


def _by_trigger() -> bool:
    return request.args.get("entry") == "trigger"


def _reactions() -> list[str]:
    """Those chosen so far, without the one that is taken out, with the one that is added."""
    given = [each for each in request.args.getlist("react") if each.strip()]
    without = request.args.get("without", type=int)
    if without is not None and 0 <= without < len(given):
        del given[without]
    does, when = request.args.get("does", ""), request.args.get("when", "").strip().rstrip(":")
    if does:
        what = request.args.get("what", "").strip()
        words = f"{does} {what}" if does in {"visits", "event"} else does
        given.append(f"{when}: {words}" if when else words)
    return given[:MOST_REACTIONS]


def _flow(campaign: Campaign, version: int | None) -> dict[str, Any]:
    numbered = sa.and_(Version.campaign_id == campaign.id, Version.number == version)
    found = session().scalar(sa.select(Version.flow).where(numbered)) if version is not None else None
    return dict(found or drafting.get(session(), campaign.id).flow)


def _choices(flow: dict[str, Any]) -> Choices:
    """What may happen, of what the flow speaks about first."""
    keys = _mails_named(flow)
    mails = session().execute(
        sa.select(Mail.key, Mail.name, MailVersion.links)
        .outerjoin(MailVersion, MailVersion.id == Mail.version_id)
        .where(Mail.key.in_(keys))
        .order_by(Mail.name)
    )
    forms = session().execute(sa.select(Form.key, Form.name).where(Form.archived_at.is_(None)).order_by(Form.name))
    told: Choices = [(f"Mail “{name}”", _of_mail(key, links or [])) for key, name, links in mails]
    told.append(("On the website", [("visits", "Visits the page …"), ("event", "Does the event …")]))
    told[-1][1].extend((f"submits {key}", f"Submits the form “{name}”") for key, name in forms)
    told.append(("Mail in general", [("unsubscribes", "Unsubscribes")]))
    answers = [(f"sales {word}", f"Sales {word} the lead") for word in ("accepts", "rejects", "recycles")]
    told.append(("People here", [*answers, ("task", "The task is done")]))
    told.append(("Other systems", [("webhook ok", "Webhooks succeed"), ("webhook fails", "Webhooks fail")]))
    return told


def _of_mail(key: str, links: list[dict[str, Any]]) -> list[tuple[str, str]]:
    told = [(f"opens {key}", "Opens it"), (f"clicks {key}", "Clicks its first link")]
    for link in links[1:]:
        label = str(link.get("label") or link.get("url", ""))
        told.append((f"clicks {key} {label}", f"Clicks “{label}”"))
    return [*told, (f"replies {key}", "Replies")]


def _mails_named(flow: dict[str, Any]) -> set[str]:
    named = (step.get("settings", {}).get("mail") for step in flow["steps"])
    return {key for key in named if isinstance(key, str) and key}
