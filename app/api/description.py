"""What the OpenAPI document says about the API as a whole, and how a bad request is answered."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, make_response
from flask_openapi3.models.info import Info
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class Problem(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="One sentence that says what to do.")


def refuse(error: ValidationError) -> Response:
    """The first thing wrong with a request, as one sentence."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        sentence = f"{where} is missing."
    elif first["type"] == "extra_forbidden":
        sentence = f"{where} is not known here; see /api/v1/openapi.json."
    else:
        sentence = f"{where or 'The request'}: {first['msg']}."
    return make_response(jsonify(error=sentence.replace("..", ".")), 422)


class Given(BaseModel):
    """What a program sends; names that are not known are refused, so that a typing error is not silently lost."""

    model_config = ConfigDict(extra="forbid")


REFUSALS: dict[Any, Any] = {400: Problem, 401: Problem, 403: Problem, 404: Problem, 422: Problem, 429: Problem}

DOCUMENT: dict[str, Any] = {
    "info": Info(
        title="Trellis",
        version="1",
        description="Leads, events, campaigns, segments and handoffs. Each call carries an API token, made under "
        "Settings, and may do what the user may do who made it. Times are ISO 8601 with a zone. "
        "Long lists come a page at a time: call again with `after` set to the `next` of the last answer.",
    ),
    "security_schemes": {"token": {"type": "http", "scheme": "bearer"}},
    "validation_error_callback": refuse,
    "validation_error_model": Problem,
}

__all__ = ["DOCUMENT", "REFUSALS", "Given", "Problem", "refuse"]
