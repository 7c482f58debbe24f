"""Sends what is owed, over as many connections as the relay bears, so that a crash at any moment loses and repeats nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from app.db import Database
from app.mail import alternating, departures, leasing, links, recovering
from app.mail.batching import BATCH, Batches
from app.mail.departures import Departures
from app.mail.lanes import Delivered, Desk, Lane, write_outcomes
from app.mail.leasing import Held
from app.mail.pacing import Pacing
from app.mail.preparing import Prepared, Preparing
from app.mail.transporttype import Outcome, Transport, open_transport, pace_of
from app.mail.writing import Writer
from app.tracking import recording
from config import Config


@dataclass(slots=True)
class Way:
    """The way out, kept from pass to pass: its open connections, what it knows of domains, and its notes."""

    transports: list[Transport]
    pacing: Pacing = field(default_factory=Pacing)
    notes: Departures | None = None
    unwritten: list[tuple[Prepared, Outcome]] = field(
        default_factory=list
    )  # the database was away when it was to learn
    is_used: bool = False
    writer: Writer | None = None  # the process that writes mails, as long as there are many

    @classmethod
    def open(cls, url: str, data: Path, worker: str) -> Way:
        """Raises BadMailUrl."""
        pace = pace_of(url)
        transports = [open_transport(url, data) for _ in range(pace.connections)]
        return cls(transports, Pacing(pace), Departures(data, worker) if pace.together > 1 else None)

    def close(self) -> None:
        for transport in self.transports:
            transport.close()
        if self.writer is not None:
            self.writer.close()
        if self.notes is not None:
            self.notes.close(keeps=bool(self.unwritten))


def run_once(
    database: Database,
    way: Way | Transport,
    *,
    now: datetime,
    limit: int = 500,
    worker: str,
    lease: timedelta = leasing.LEASE,
) -> Delivered:
    """One pass: recover what dead workers left, then send up to `limit` mails that are due."""
    if not isinstance(way, Way):
        way = Way([way])
    desk = Desk(database, now, way.pacing, way.writer or Writer(database), way.notes)
    if way.is_used:
        _catch_up(database, way, worker, now)
    way.is_used = True
    lanes = [Lane(desk, transport, []) for transport in way.transports]
    try:
        return _pass(desk, lanes, limit, worker, lease)
    finally:
        way.writer = _kept_on(desk)
        way.unwritten += [each for lane in lanes for each in lane.unwritten]
        if way.notes is not None and not way.unwritten:
            way.notes.forget()


def _pass(desk: Desk, lanes: Sequence[Lane], limit: int, worker: str, lease: timedelta) -> Delivered:
    database, now = desk.database, desk.now
    with database.write() as session:
        recovering.recover(session, now)
        recovering.release(session)
    batches = Batches(desk, worker, lease, limit)
    for prepared in batches:
        if not _batch(desk, lanes, prepared):
            break
    batches.give_back()
    for lane in lanes:
        lane.end()
    with database.write() as session:
        recovering.resend_operational(session, now)
    return desk.report


def _kept_on(desk: Desk) -> Writer | None:
    """The process that writes mails goes on to the next pass if there is as much to do."""
    if desk.report.sent >= BATCH and not desk.report.stopped:
        return desk.writer
    desk.writer.close()
    return None


def _catch_up(database: Database, way: Way, worker: str, now: datetime) -> None:
    """The last pass broke off because the database was away: tell it what it missed; the rest has not left."""
    with database.write() as session:
        write_outcomes(session, way.unwritten, now)
        recovering.unmark(session, recovering.of_worker(session, worker))
        recovering.doubt(session, worker, now)
    way.unwritten.clear()


def _batch(desk: Desk, lanes: Sequence[Lane], prepared: list[Prepared]) -> bool:
    """Send one batch; False when there is no use in going on now."""
    going, is_full = _allowed(desk, prepared)
    queues = desk.pacing.lanes([(each.domain, each) for each in going], len(lanes))
    alternating.run(lane.send(queue) for lane, queue in zip(lanes, queues, strict=True))
    unsent = [each.held for queue in queues for each in queue]
    if unsent:
        with desk.database.write() as session:
            reply = desk.report.stopped
            desk.report.deferred += leasing.put_back(session, unsent, reply=reply, now=desk.now)
    return not is_full and not desk.report.stopped


def _allowed(desk: Desk, prepared: list[Prepared]) -> tuple[list[Prepared], bool]:
    """Those that may go now; the others wait as their domain or the relay's rate wants. Whether that rate is used up."""
    going: list[Prepared] = []
    late: dict[tuple[datetime | None, str | None], list[Held]] = {}
    moment, is_full = desk.moment(), False
    for each in prepared:
        domain = each.domain
        is_urgent = each.message.purpose == "operational"
        until = None if is_full else desk.pacing.wait(domain, moment, is_urgent=is_urgent)
        is_full = is_full or (until is None and not desk.pacing.may_go(moment))
        if until is None and not is_full:
            going.append(each)
            continue
        rest = desk.pacing.rests.get(domain)
        reply = f"{domain} asked for a rest: {rest.reply}" if until and rest and rest.until == until else None
        late.setdefault((until, reply), []).append(each.held)
    if late:
        with desk.database.write() as session:
            for (until, reply), held in late.items():
                leasing.postpone(session, held, until=until, reply=reply)
    return going, is_full


def believe_the_dead(database: Database, data: Path, now: datetime) -> int:
    """What senders that died on this machine noted: what had not left is due again, what was taken is sent; how many."""
    with departures.of_the_dead(data) as found:
        count = 0
        for left in found:
            with database.write() as session:
                marked = recovering.of_worker(session, left.worker)
                fresh = [h for h in marked if (h.id, h.attempt) not in left.begun]
                ended = [h for h in marked if (h.id, h.attempt) in left.ended]
                recovering.unmark(session, fresh)
                prepared = Preparing().prepare(session, ended)
                write_outcomes(session, [(p, left.ended[p.held.id, p.held.attempt]) for p in prepared], now)
                recovering.doubt(session, left.worker, now)
                count += len(marked)
    return count


def note_sent(
    session: Session, message_id: int, lead_id: int | None, mail_key: str, campaign_id: int | None, at: datetime
) -> None:
    """The lead's log learns that the mail left, once."""
    if lead_id is not None:
        recording.record(
            session,
            kind="email_sent",
            identity_id=lead_id,
            subject=mail_key,
            at=at,
            message_id=message_id,
            campaign_id=campaign_id,
            key=f"sent:{message_id}",
        )


_kept: dict[tuple[str, str, str], Way] = {}


def send(database: Database, config: Config, *, now: datetime, worker: str, limit: int = 5_000) -> Delivered:
    """One pass over the way out of this copy, whose connections are kept for the next pass."""
    links.use(config.base_url)
    name = (config.mail_url, str(config.data), worker)
    if name not in _kept:
        _kept[name] = Way.open(config.mail_url, config.data, worker)
    believe_the_dead(database, config.data, now)
    return run_once(database, _kept[name], now=now, limit=limit, worker=worker)


@contextmanager
def closing() -> Iterator[None]:
    """Let go of every kept connection and note at the end."""
    try:
        yield
    finally:
        close()


def close() -> None:
    """Let go of connections and notes; what could not be written down is left to the notes, which then stay."""
    for way in _kept.values():
        way.close()
    _kept.clear()
