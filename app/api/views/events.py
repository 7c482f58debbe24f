"""Events by API: what leads did elsewhere, many at a time, each once."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from flask import Response, jsonify
from pydantic import BaseModel, Field

from app.api.description import Given
from app.api.views.blueprint import blueprint
from app.tracking import importing
from app.web import session


class EventGiven(Given):
    """One thing a lead or a visitor did."""

    at: datetime = Field(description="When it happened, with a zone.")
    kind: str = Field(max_length=40, description="page_viewed, file_downloaded, custom, …")
    subject: str | None = Field(None, max_length=500)
    email: str | None = Field(None, max_length=320, description="Whose event it is: an address …")
    visitor: str | None = Field(None, max_length=64, description="… or a visitor's token.")
    key: str | None = Field(None, max_length=200, description="The same key is recorded once.")
    props: dict[str, Any] = Field(default_factory=dict)
    agent: str = Field("unknown", max_length=40, description="human, machine or unknown.")


class EventsGiven(Given):
    events: list[EventGiven] = Field(min_length=1, max_length=1000)


class EventRefused(BaseModel):
    """An event that was not recorded, and why."""

    number: int = Field(description="Its place in the list, from 1.")
    error: str


class EventsAnswer(BaseModel):
    recorded: int
    repeated: int = Field(description="Events whose key was known already.")
    refused: list[EventRefused]


@blueprint.post("/events", summary="Record events", responses={200: EventsAnswer})
def record_events(body: EventsGiven) -> Response:
    """Events that cannot be recorded are named with their reason; the others are kept."""
    lines = [json.dumps(event.model_dump(mode="json", exclude_none=True)) for event in body.events]
    report = importing.take(session(), lines)
    refused = [EventRefused(number=each["line"], error=each["reason"]) for each in report.refusals]
    answer = EventsAnswer(recorded=report.recorded, repeated=report.repeated, refused=refused)
    return jsonify(answer.model_dump(mode="json"))
