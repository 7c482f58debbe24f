"""Publishing makes a draft the flow that leads enter, and ending puts a campaign away with everybody who is inside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns import checking, drafting, migrating, pausing
from app.engine import entering, timing, versions
from app.engine.graph import Problem
from app.engine.models import Campaign, Enrollment, Version
from app.outbox import Message
from app.preferences import cancelling
from app.tracking import recording


class Unpublishable(ValueError):
    """Why the campaign cannot be published, in one sentence, with every problem found."""

    def __init__(self, sentence: str, problems: list[Problem]) -> None:
        super().__init__(sentence)
        self.problems = problems


def publish(
    session: Session,
    campaign_id: int,
    *,
    user_id: int | None,
    at: datetime,
    revision: int | None = None,
    move: Mapping[str, str] | None = None,
) -> Version:
    """Make the draft a new version and let leads in; raises Unpublishable. `revision` is the draft that was looked at.

    Leads inside finish on the version they entered, unless `move` brings them along: it says where those go whose step is
    gone (a step of the new flow, exit, or stay), and may be empty (SEMANTICS 23). Raises BadChoice.
    """
    campaign = session.get_one(Campaign, campaign_id)
    draft = drafting.get(session, campaign_id)
    if revision is not None and draft.revision != revision:
        raise Unpublishable("Somebody changed the draft just now; look at it again, then publish.", [])
    flow = drafting.written(draft.flow)
    problems = checking.problems(session, flow)
    errors = [problem for problem in problems if not problem.is_warning]
    if errors:
        count = f"{len(errors)} problems stand in the way; the first: " if len(errors) > 1 else ""
        raise Unpublishable(f"Not published. {count}{errors[0].sentence}", problems)
    before = session.get(Version, campaign.version_id) if campaign.version_id else None
    if (
        before is not None
        and before.flow == flow
        and campaign.state == "live"
        and not _is_left_behind(session, before, move)
    ):
        raise Unpublishable("Nothing has changed since it was published.", problems)
    version = (
        before if before is not None and before.flow == flow else _new_version(session, campaign, flow, user_id, at)
    )
    looked = before if campaign.state in ("live", "paused") else None
    timing.begin(session, versions.get(session, version.id), at=at, before=looked)
    _go_live(session, campaign, version, at)
    if before is not None and move is not None:
        migrating.move(session, campaign.id, version, before_id=before.id, choices=move, user_id=user_id, at=at)
    elif before is not None and before.id != version.id:
        migrating.note(session, campaign.id, version.id, before_id=before.id, user_id=user_id, at=at)
    if before is None or before.id != version.id:
        entering.enter_matching(session, versions.get(session, version.id), now=at)
    return version


def _is_left_behind(session: Session, current: Version, move: Mapping[str, str] | None) -> bool:
    """Whether there is somebody in an older version, whom this publication brings along."""
    older = sa.and_(Enrollment.campaign_id == current.campaign_id, Enrollment.version_id != current.id)
    return move is not None and bool(session.scalar(sa.select(sa.exists().where(older, Enrollment.state == "active"))))


def _new_version(
    session: Session, campaign: Campaign, flow: dict[str, Any], user_id: int | None, at: datetime
) -> Version:
    last = session.scalar(sa.select(sa.func.max(Version.number)).where(Version.campaign_id == campaign.id))
    version = Version(campaign_id=campaign.id, number=(last or 0) + 1, flow=flow, published_at=at, published_by=user_id)
    version.scenarios = drafting.get(session, campaign.id).scenarios or []
    session.add(version)
    session.flush()
    return version


def _go_live(session: Session, campaign: Campaign, version: Version, at: datetime) -> None:
    if campaign.state == "paused":
        pausing.resume(session, campaign.id, at=at)
    campaign.state, campaign.version_id, campaign.updated_at, campaign.paused_at = "live", version.id, at, None
    session.flush()


def end(session: Session, campaign_id: int, *, at: datetime) -> int:
    """Put a campaign away: who is still inside leaves as exited, mail not yet sent is cancelled; how many left."""
    campaign = session.get_one(Campaign, campaign_id)
    inside = sa.and_(Enrollment.campaign_id == campaign_id, Enrollment.state == "active")
    leads = sa.select(Enrollment.lead_id).where(inside).subquery()
    props = {"state": "exited", "reason": "campaign ended"}
    recording.record_for(
        session, leads, kind="campaign_left", subject=campaign.key, at=at, props=props, campaign_id=campaign_id
    )
    left = _changed(
        session,
        sa.update(Enrollment)
        .where(inside)
        .values(state="exited", reason="campaign ended", finished_at=at, due_at=None),
    )
    cancelling.cancel(session, Message.campaign_id == campaign_id, reason="exited", at=at)
    campaign.state, campaign.updated_at, campaign.paused_at = "ended", at, None
    session.flush()
    return left


def reopen(session: Session, campaign_id: int, *, at: datetime) -> None:
    """Take a campaign out of the archive, as a draft; publishing it makes it live again."""
    campaign = session.get_one(Campaign, campaign_id)
    if campaign.state == "ended":
        campaign.state, campaign.updated_at = "draft", at


def _changed(session: Session, statement: sa.Update) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    return int(result.rowcount)  # type: ignore[attr-defined]
