"""Publishing makes a draft the flow that leads enter; pausing holds everybody where they are, resuming lets them go on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.campaigns import checking, drafting
from app.engine import entering, versions
from app.engine.catalog import STEPS
from app.engine.graph import Problem
from app.engine.models import Campaign, Enrollment, Version
from app.outbox import Message
from app.tracking import recording


class Unpublishable(ValueError):
    """Why the campaign cannot be published, in one sentence, with every problem found."""

    def __init__(self, sentence: str, problems: list[Problem]) -> None:
        super().__init__(sentence)
        self.problems = problems


def publish(
    session: Session, campaign_id: int, *, user_id: int | None, at: datetime, revision: int | None = None
) -> Version:
    """Make the draft a new version and let leads in; raises Unpublishable. `revision` is the draft that was looked at."""
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
    if before is not None and before.flow == flow and campaign.state == "live":
        raise Unpublishable("Nothing has changed since it was published.", problems)
    version = (
        before if before is not None and before.flow == flow else _new_version(session, campaign, flow, user_id, at)
    )
    _go_live(session, campaign, version, at)
    return version


def _new_version(
    session: Session, campaign: Campaign, flow: dict[str, Any], user_id: int | None, at: datetime
) -> Version:
    last = session.scalar(sa.select(sa.func.max(Version.number)).where(Version.campaign_id == campaign.id))
    version = Version(campaign_id=campaign.id, number=(last or 0) + 1, flow=flow, published_at=at, published_by=user_id)
    session.add(version)
    session.flush()
    return version


def _go_live(session: Session, campaign: Campaign, version: Version, at: datetime) -> None:
    is_new = campaign.version_id != version.id
    if campaign.state == "paused":
        resume(session, campaign.id, at=at)
    campaign.state, campaign.version_id, campaign.updated_at, campaign.paused_at = "live", version.id, at, None
    session.flush()
    if is_new:
        entering.enter_matching(session, versions.get(session, version.id), now=at)


def pause(session: Session, campaign_id: int, *, at: datetime) -> bool:
    """Stop a live campaign: nobody enters or moves, and the sender holds mail that is queued (SEMANTICS 25)."""
    live = sa.update(Campaign).where(Campaign.id == campaign_id, Campaign.state == "live")
    return bool(_changed(session, live.values(state="paused", paused_at=at, updated_at=at)))


def resume(session: Session, campaign_id: int, *, at: datetime) -> bool:
    """Let a paused campaign go on: its clock stood still, so waits of a duration end later by the length of the pause."""
    campaign = session.get_one(Campaign, campaign_id)
    since = campaign.paused_at
    if campaign.state != "paused" or since is None:
        return False
    _move_waits(session, campaign_id, at - since)
    campaign.state, campaign.paused_at, campaign.updated_at = "live", None, at
    session.flush()
    return True


def _move_waits(session: Session, campaign_id: int, by: timedelta) -> None:
    """Waits of a duration move; "Tuesday 09:00" stays Tuesday 09:00."""
    for version in session.scalars(sa.select(Version).where(Version.campaign_id == campaign_id)):
        steps = [s["id"] for s in version.flow["steps"] if (kind := STEPS.get(s["kind"])) and kind.freezes]
        waiting = sa.update(Enrollment).where(
            Enrollment.version_id == version.id,
            Enrollment.state == "active",
            Enrollment.step.in_(steps),
        )
        # an empty due time stays empty: it waits for an event alone
        moved = {"due_at": db.shifted(sa.column("due_at"), by), "held": Enrollment.held + by // db.MICROSECOND}
        _changed(session, waiting.values(moved))


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
    owed = sa.update(Message).where(
        Message.campaign_id == campaign_id, Message.state.in_(["held", "ready", "deferred"])
    )
    _changed(session, owed.values(state="cancelled", reason="exited", finished_at=at))
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
