"""The address of the API, its document, and its pages of long lists."""

from __future__ import annotations

from flask import Response, current_app, jsonify
from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field
from sqlalchemy.orm import Session

from app.accounts.guards import public
from app.api.description import REFUSALS, Given
from app.web import Refused, paging

blueprint = APIBlueprint(
    "api", __name__, url_prefix="/api/v1", abp_security=[{"token": []}], abp_responses=REFUSALS, doc_ui=True
)


class Paged(Given):
    """Which page of a long list."""

    after: str | None = Field(None, max_length=500, description="`next` of the page before.")
    limit: int = Field(100, ge=1, le=1000, description="At most so many.")


def page(session: Session, query: paging.Listing, keys: list[paging.Key], asked: Paged) -> paging.Page:
    """A page of a list; a cursor that is not ours is refused, since a program would start over without noticing."""
    if asked.after is not None and not paging.is_cursor(asked.after, keys):
        raise Refused("after is not the `next` of a page of this list.", 422)
    return paging.fetch(session, query, keys, asked.after, asked.limit)


@blueprint.get("/openapi.json", doc_ui=False)
@public
def document() -> Response:
    return jsonify(current_app.api_doc)  # type: ignore[attr-defined]
