"""Runs a version in shadow on live traffic: the real engine on a copy of the leads concerned; only what it would have done is kept."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock
from app.campaigns import choosing, following, mirroring, overlaying, reactions, scratch
from app.campaigns.following import Followed
from app.campaigns.hurrying import Nobody, Nowhere
from app.campaigns.models import Shadow, ShadowRow
from app.campaigns.overlaying import ALWAYS, Difference, Rows
from app.db import Database
from app.engine import calling, entering, goals, isolating, ticking, versions
from app.engine.models import Campaign
from app.leads.models import Lead
from app.mail import delivering, links
from app.segments import ruling
from app.tracking.models import Event

LONGEST = timedelta(days=30)
_MOST_ROUNDS = 50  # of what follows from what at one instant
_GONE = sa.or_(Lead.merged_into_id.is_not(None), Lead.erased_at.is_not(None))

log = logging.getLogger("trellis.shadow")


class CannotShadow(ValueError):
    """Why there can be no shadow, in one sentence."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What the shadow leaves behind when the engine has run on its copy."""

    differences: list[Difference]
    last_id: int
    trouble: str | None


def start(session: Session, campaign_id: int, *, number: int | None, user_id: int | None, at: datetime) -> Shadow:
    """Let the draft, or a published version, run in shadow from now on. Raises CannotShadow."""
    campaign = session.get_one(Campaign, campaign_id)
    if campaign.state == "ended":
        raise CannotShadow("The campaign is in the archive; take it out before you run something beside it.")
    if session.get(Shadow, campaign_id) is not None:
        raise CannotShadow("A shadow is running already; end it before you start another.")
    flow = choosing.flow_of(session, campaign_id, number, verb="run", error=CannotShadow)
    shadow = Shadow(
        campaign_id=campaign_id,
        number=number,
        flow=flow,
        started_at=at,
        started_by=user_id,
        seen_until=session.scalar(sa.select(sa.func.max(Event.id))) or 0,
        last_id=scratch.OURS,
    )
    session.add(shadow)
    session.flush()
    return shadow


def end(session: Session, campaign_id: int) -> bool:
    """End the shadow and forget all it did; whether there was one."""
    session.execute(sa.delete(ShadowRow).where(ShadowRow.campaign_id == campaign_id))
    return bool(session.execute(sa.delete(Shadow).where(Shadow.campaign_id == campaign_id)).rowcount)  # type: ignore[attr-defined]


def run_due(database: Database, now: datetime, *, base_url: str) -> int:
    """Bring every shadow up to `now`, and end those that are over; how many went on. One that fails lets the others be."""
    scratch.sweep()
    with database.read() as session:
        running = session.execute(
            sa.select(Shadow.campaign_id, Shadow.started_at, Campaign.state)
            .join(Campaign, Campaign.id == Shadow.campaign_id)
            .order_by(Shadow.campaign_id)
        ).all()
    count = 0
    for campaign_id, started_at, state in running:
        if state == "ended" or now - started_at > LONGEST:
            with database.write() as session:
                end(session, campaign_id)
            continue
        try:
            count += advance(database, campaign_id, now, base_url=base_url)
        except Exception as error:
            log.exception("The shadow of campaign %s could not go on.", campaign_id)
            words = isolating.reason(error)
            with database.write() as session:
                session.execute(sa.update(Shadow).where(Shadow.campaign_id == campaign_id).values(trouble=words))
    return count


def advance(database: Database, campaign_id: int, now: datetime, *, base_url: str) -> bool:
    """Let the shadow catch up with what happened by `now`; whether it did. A campaign that is paused pauses its shadow."""
    links.use(base_url)
    with database.read() as session:
        shadow = session.get(Shadow, campaign_id)
        if shadow is None or now < shadow.started_at or (shadow.ran_until and now <= shadow.ran_until):
            return False
        if session.get_one(Campaign, campaign_id).state == "paused":
            return False
        followed = following.whom(session, shadow, now)
        if followed.leads:
            left = _left(session, shadow, followed.leads)
            found = mirroring.found(session, shadow, followed, left, now)
    ran = _run(found, shadow, followed, left, now) if followed.leads else None
    with database.write() as session:
        return _keep(session, shadow, followed, ran, now)


def version_id(campaign_id: int, flow: dict[str, Any]) -> int:
    """The same for the same flow alone: flows are kept in memory by it."""
    return scratch.OURS + zlib.crc32(json.dumps([campaign_id, flow], sort_keys=True).encode())


def _concerned(shadow: Shadow, leads: Sequence[int]) -> sa.ColumnElement[bool]:
    """The rows that the shadow sees, and writes anew, when it looks at these leads."""
    whose = sa.or_(ShadowRow.lead_id.is_(None), ShadowRow.lead_id.in_(following.some(leads)))
    return sa.and_(ShadowRow.campaign_id == shadow.campaign_id, sa.or_(whose, ShadowRow.name.in_(ALWAYS)))


def _left(session: Session, shadow: Shadow, leads: Sequence[int]) -> list[Difference]:
    rows = session.scalars(sa.select(ShadowRow).where(_concerned(shadow, leads)))
    return [Difference(row.name, row.key, row.change, row.lead_id, row.due_at) for row in rows]


def _run(found: scratch.Found, shadow: Shadow, followed: Followed, left: list[Difference], now: datetime) -> Ran:
    """Let the engine run on the copy until `now`."""
    live: Rows = {}

    def lay(connection: sa.Connection) -> None:
        scratch.count_from(connection, shadow.last_id)
        live.update(overlaying.snapshot(connection))
        overlaying.lay(connection, left, live)

    version = version_id(shadow.campaign_id, shadow.flow)
    scratch.publish(found, shadow.campaign_id, version, shadow.flow, shadow.started_at)
    with scratch.filled(found, lay) as copy:
        _move(copy, shadow, followed, now)
        with copy.reader.connect() as connection:
            trouble = connection.scalar(sa.select(Campaign.trouble).where(Campaign.id == shadow.campaign_id))
            differences = overlaying.differences(live, overlaying.snapshot(connection), now)
            return Ran(differences, scratch.counted(connection), trouble)


def _move(copy: Database, shadow: Shadow, followed: Followed, now: datetime) -> None:
    with clock.at(now):
        with copy.write() as session:
            version = versions.get(session, session.get_one(Campaign, shadow.campaign_id).version_id or 0)
            if shadow.ran_until is None:
                entering.enter_matching(session, version, now=shadow.started_at)
        nowhere = Nowhere(reactions.answer_of([]))
        for _ in range(_MOST_ROUNDS):
            ticking.tick(copy, now, late_after=None)
            sent = delivering.run_once(copy, Nobody(), now=now, worker="shadow")
            called = calling.deliver(copy, nowhere, now=now, worker="shadow")
            if not (sent.sent or called.answered or called.failed):
                break
        if followed.is_all:
            with copy.write() as session:
                goals.look_at_all(session, version, now=now, which=ruling.drifts)


def _keep(session: Session, shadow: Shadow, followed: Followed, ran: Ran | None, now: datetime) -> bool:
    """Write down where the shadow stands, unless it was ended, or somebody else went on with it, meanwhile."""
    same = sa.and_(
        Shadow.campaign_id == shadow.campaign_id,
        Shadow.started_at == shadow.started_at,
        Shadow.ran_until.is_not_distinct_from(shadow.ran_until),
    )
    values: dict[str, Any] = {"ran_until": now, "is_full": followed.is_full, "trouble": ran.trouble if ran else None}
    values |= {"seen_until": followed.seen.until, "seen": followed.seen.later}
    values |= {"all_seen_at": now} if followed.is_all else {}
    values |= {"last_id": ran.last_id} if ran else {}
    if not session.execute(sa.update(Shadow).where(same).values(values)).rowcount:  # type: ignore[attr-defined]
        return False
    if ran is not None:
        _write(session, shadow, followed.leads, ran.differences)
    if followed.is_all:
        lost = sa.select(Lead.id).where(Lead.id == ShadowRow.lead_id, _GONE).correlate(ShadowRow)
        session.execute(sa.delete(ShadowRow).where(ShadowRow.campaign_id == shadow.campaign_id, lost.exists()))
    return True


def _write(session: Session, shadow: Shadow, leads: Sequence[int], differences: list[Difference]) -> None:
    """In place of what stood there; of a lead that is gone since it was read nothing is kept."""
    session.execute(sa.delete(ShadowRow).where(_concerned(shadow, leads)))
    named = {each.lead_id for each in differences if each.lead_id}
    lost = set(session.scalars(sa.select(Lead.id).where(Lead.id.in_(following.some(named)), _GONE)))
    rows = [asdict(each) | {"campaign_id": shadow.campaign_id} for each in differences if each.lead_id not in lost]
    if rows:
        session.execute(sa.insert(ShadowRow), rows)
