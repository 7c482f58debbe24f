"""Gives the flow that somebody chose to run, beside the live one or on a copy: a version, or the draft once it is finished."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import checking, drafting
from app.engine.models import Version


def flow_of(
    session: Session, campaign_id: int, number: int | None, *, verb: str, error: type[ValueError]
) -> dict[str, Any]:
    """The flow of a version, or the draft (None), which must be as it would have to be to be published; else `error`.

    `verb` is what cannot be done then: “be rehearsed”.
    """
    if number is None:
        draft = drafting.written(drafting.get(session, campaign_id).flow)
        check(session, draft, f"The draft cannot {verb}", error)
        return draft
    numbered = sa.and_(Version.campaign_id == campaign_id, Version.number == number)
    flow = session.scalar(sa.select(Version.flow).where(numbered))
    if flow is None:
        raise error(f"There is no version {number} of this campaign; choose another, or the draft.")
    return dict(flow)


def check(session: Session, flow: dict[str, Any], what: str, error: type[ValueError]) -> None:
    """Raises `error` while something stops the flow from being published; `what` cannot be done then, to begin the sentence."""
    errors = [each for each in checking.problems(session, flow) if not each.is_warning]
    if errors:
        more = f" ({len(errors)} problems in all)" if len(errors) > 1 else ""
        raise error(f"{what} before this is mended: {errors[0].sentence}{more}")
