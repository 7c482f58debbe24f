"""Tell another system about each lead, and wait for its answer (SEMANTICS 16)."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from app import db, destinations
from app.engine import owing, pairs
from app.engine.batch import Batch, rows
from app.engine.steptype import Port, StepType
from app.kinds import Complaint, Settings, Widget
from app.leads import fields as lead_fields
from app.segments.ruletype import Names


class Webhook(Settings):
    url: Annotated[str, Field(min_length=1, max_length=2000), Widget("Address", hint="Begins with https://.")]
    fields: Annotated[
        str, Field(max_length=1000), Widget("Fields of the lead to send", hint="Their names, with commas between.")
    ] = "email, first_name, last_name"
    values: Annotated[
        str, Field(max_length=2000), Widget("Values to send along", "textarea", hint="One a line: source = webinar")
    ] = ""
    keep: Annotated[
        str,
        Field(max_length=2000),
        Widget(
            "Keep from the answer",
            "textarea",
            hint="One a line: the lead’s field, =, the name in the answer, such as rating = result.score",
        ),
    ] = ""


def _told(settings: Webhook) -> list[str]:
    return [name for name in (part.strip() for part in settings.fields.split(",")) if name]


def describe(settings: Webhook, names: Names) -> str:
    return f"POST to {urlsplit(settings.url).hostname or settings.url}"


def check(settings: Webhook) -> list[Complaint]:
    found = pairs.check("values", "Values", settings.values) + pairs.check("keep", "Keep", settings.keep)
    try:
        destinations.read(settings.url)
    except destinations.Refused as error:
        found.append(Complaint("url", str(error)))
    if not found and "email" in pairs.read(settings.keep):
        found.append(Complaint("keep", "Keep: an answer cannot change a lead’s email address."))
    if not found and any(name in lead_fields.COMPANY for name in pairs.read(settings.keep)):
        found.append(Complaint("keep", "Keep: a fact about the company cannot be set for one lead."))
    return found


def run(batch: Batch, settings: Webhook) -> None:
    owing.owe(
        batch.session,
        batch.here,
        url=settings.url,
        told=_told(settings),
        fixed=pairs.plain(pairs.read(settings.values)),
        keep=pairs.read(settings.keep),
        campaign_key=batch.version.campaign_key,
        at=batch.now,
    )
    calls = owing.CALLS
    answered, failed = (owing.of_visit(rows, state) for state in ("answered", "failed"))
    seen = answered.with_only_columns(
        db.json_object("note", "the server answered", "seen", db.json_object("status", calls.c.status))
    )
    batch.leave(where=answered.exists(), why=seen.scalar_subquery())
    reason = failed.with_only_columns(calls.c.reason).scalar_subquery()
    batch.fail(reason, where=failed.exists(), for_good=True)
    batch.rest()


STEP = StepType(
    label="Call a webhook",
    icon="webhook",
    tone="blue",
    category="Actions",
    settings=Webhook,
    example={"url": "https://example.com/hook", "values": "source = webinar", "keep": "city = place.city"},
    describe=describe,
    check=check,
    run=run,
    rests=True,
    owes=True,
    ports=lambda settings: (Port("out", "Answered"), Port("failed", "Failed", optional=True)),
    keys=lambda settings: [("field", name) for name in [*_told(settings), *_kept(settings)]],
    help="The lead waits here for the answer. A server that is down is asked again for two and a half hours; then the lead "
    "leaves by “Failed” if you draw that path, else it is parked and shown as failed.",
)


def _kept(settings: Webhook) -> list[str]:
    try:
        return list(pairs.read(settings.keep))
    except ValueError:
        return []
