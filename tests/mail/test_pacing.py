"""Several connections, rates, domains that ask for a rest, and what a sender's own notes save when it dies."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import signing
from app.db import Database
from app.mail import delivering, leasing
from app.mail.delivering import Way
from app.mail.departures import Departures
from app.mail.pacing import Pacing
from app.mail.relay import relay
from app.mail.rendering import Envelope
from app.mail.transporttype import BadMailUrl, Outcome, Pace
from app.outbox import Message
from tests.mail.test_delivering import SENT, Killed, Wire, prepare, states


def way(*wires: Wire, **pace: float) -> Way:
    return Way(list(wires), Pacing(Pace(connections=len(wires), **pace)))  # type: ignore[arg-type]


def test_connections_share_the_work_and_each_mail_leaves_once(database: Database, now: datetime) -> None:
    prepare(database, now, 30)
    wires = [Wire() for _ in range(3)]
    report = delivering.run_once(database, way(*wires, together=4), now=now, worker="w")
    assert report.sent == 30 and [len(wire.got) for wire in wires] == [10, 10, 10]
    assert len({mail.message_id for wire in wires for mail in wire.got}) == 30
    assert states(database) == [("sent", None)] * 30


def test_a_broken_way_in_the_middle_of_a_group_gives_back_what_has_not_left(database: Database, now: datetime) -> None:
    prepare(database, now, 6)
    answers = iter([SENT, Outcome("in_doubt", "lost", is_down=True)])
    report = delivering.run_once(database, way(Wire(lambda _e: next(answers)), together=4), now=now, worker="w")
    assert (report.sent, report.in_doubt, report.deferred, report.stopped) == (1, 1, 4, "lost")
    assert [state for state, _ in states(database)] == ["sent", "in_doubt"] + ["deferred"] * 4


def test_no_more_leave_than_the_relay_takes_and_the_rest_wait_unharmed(database: Database, now: datetime) -> None:
    prepare(database, now, 10)
    out = way(Wire(), rate=1.0)
    assert delivering.run_once(database, out, now=now, worker="w").sent == 5, "five seconds' worth at once"
    assert delivering.run_once(database, out, now=now, worker="w").sent == 0
    assert delivering.run_once(database, out, now=now + timedelta(seconds=3.5), worker="w").sent == 3
    with database.read() as session:
        waiting = session.scalars(sa.select(Message).where(Message.state == "ready")).all()
        assert [(m.attempt, m.reply) for m in waiting] == [(0, None)] * 2


def test_a_domain_that_asks_for_a_rest_gets_one_and_the_others_go_on(database: Database, now: datetime) -> None:
    prepare(database, now, 4)
    with database.write() as session:
        session.execute(sa.update(Message).where(Message.id.in_([1, 3])).values(recipient="x@slow.example"))

    def answer(envelope: Envelope) -> Outcome:
        slow = envelope.recipient.endswith("@slow.example")
        return Outcome("deferred", "421 4.7.0 slow down", "4.7.0", slows=True) if slow else SENT

    wire = Wire(answer)
    out = way(wire)
    with database.write() as session:
        session.execute(sa.update(Message).where(Message.id == 3).values(not_before=now + timedelta(minutes=1)))
    assert delivering.run_once(database, out, now=now, worker="w").sent == 2
    later = now + timedelta(minutes=2)
    assert delivering.run_once(database, out, now=later, worker="w").sent == 0
    assert len(wire.got) == 3, "the second mail to the domain was not even tried"
    with database.read() as session:
        third = session.get_one(Message, 3)
        assert third.state == "deferred" and "slow.example asked for a rest: 421" in str(third.reply)
        assert later < third.not_before <= now + timedelta(minutes=6)
    wire.answer = lambda _e: SENT
    assert delivering.run_once(database, out, now=now + timedelta(minutes=10), worker="w").sent == 2


def test_three_domains_that_ask_for_a_rest_in_a_row_mean_the_relay(database: Database, now: datetime) -> None:
    prepare(database, now, 6)
    with database.write() as session:
        for number in range(1, 7):
            address = f"x@d{number}.example"
            session.execute(sa.update(Message).where(Message.id == number).values(recipient=address))
    wire = Wire(lambda _e: Outcome("deferred", "451 4.7.1 later", "4.7.1", slows=True))
    assert delivering.run_once(database, way(wire), now=now, worker="w").stopped == "451 4.7.1 later"
    assert len(wire.got) == 3


def test_many_mails_to_a_slow_domain_do_not_keep_others_from_their_turn(database: Database, now: datetime) -> None:
    prepare(database, now, 21)
    with database.write() as session:
        session.execute(sa.update(Message).where(Message.id <= 20).values(recipient="x@slow.example"))
    wire = Wire()
    out = way(wire, domain_rate=0.1)
    for beat in range(8):  # each takes five at most, and one of them may go to the slow domain
        delivering.run_once(database, out, now=now + timedelta(seconds=12 * beat), limit=5, worker="w")
    assert "lead20@example.com" in [mail.recipient for mail in wire.got]


def test_mail_beyond_a_domains_rate_waits_one_behind_the_other_and_urgent_mail_takes_the_next_turn(
    now: datetime,
) -> None:
    pacing = Pacing(Pace(domain_rate=0.1))
    told = [pacing.wait("slow.example", now) for _ in range(100)]
    assert told[:3] == [None, now + timedelta(seconds=10), now + timedelta(seconds=20)]
    assert told[-1] == now + timedelta(minutes=10), "never longer, for the clock may step back"
    assert pacing.wait("slow.example", now, is_urgent=True) == now + timedelta(seconds=10)


def test_a_domain_uses_no_more_connections_than_it_may() -> None:
    pacing = Pacing(Pace(connections=4, domain_connections=1))
    lanes = pacing.lanes([("a.example", n) for n in range(8)] + [("b.example", n) for n in range(8)], 4)
    assert sorted(len(lane) for lane in lanes if lane) in ([8, 8], [16])


@pytest.mark.parametrize("dies_at", [1, 3])
def test_of_a_marked_group_only_the_mail_on_the_line_is_in_doubt_when_the_sender_dies(
    database: Database, now: datetime, tmp_path: Path, dies_at: int
) -> None:
    prepare(database, now, 5)

    def answer(envelope: Envelope) -> Outcome:
        if len(wire.got) == dies_at:
            raise Killed
        return SENT

    wire = Wire(answer)
    notes = Departures(tmp_path, "dead")
    died = Way([wire], Pacing(Pace(together=5)), notes)
    with pytest.raises(Killed):
        delivering.run_once(database, died, now=now, worker="dead")
    assert delivering.believe_the_dead(database, tmp_path, now) == 0, "as long as it lives its notes are its own"
    os.close(notes._file)  # the process is gone, and with it the lock
    assert delivering.believe_the_dead(database, tmp_path, now) == 5
    expected = ["sent"] * (dies_at - 1) + ["in_doubt"] + ["ready"] * (5 - dies_at)
    assert [state for state, _ in states(database)] == expected
    assert not list((tmp_path / "sending").iterdir())
    assert delivering.run_once(database, Wire(), now=now, worker="next").sent == 5 - dies_at


def test_notes_of_another_start_of_the_machine_are_not_believed(
    database: Database, now: datetime, tmp_path: Path
) -> None:
    prepare(database, now, 1)
    with database.write() as session:
        held = leasing.claim(session, now=now, limit=1, worker="dead")
        leasing.begin(
            session, [leasing.Begins(held[0], signing.address_hash("lead0@example.com"), {})], now=now, moment=now
        )
    (tmp_path / "sending").mkdir()
    (tmp_path / "sending" / "dead.log").write_text('["dead", "another boot"]\n')
    assert delivering.believe_the_dead(database, tmp_path, now) == 0
    assert states(database) == [("in_flight", None)]


def test_outcomes_are_kept_while_the_database_is_away(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is in doubt though the database could not be told at once; what had not left is due again."""
    prepare(database, now, 4)
    wire = Wire()
    out = way(wire, together=4)

    def gone(statement: str) -> bool:
        return len(wire.got) == 4 and statement.startswith("UPDATE messages") and "reply" in statement

    def away(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if gone(statement):
            raise sa.exc.OperationalError(statement, {}, Exception("the connection is lost"))

    sa.event.listen(database.writer, "before_cursor_execute", away)
    try:
        with pytest.raises(sa.exc.OperationalError):
            delivering.run_once(database, out, now=now, worker="w")
    finally:
        sa.event.remove(database.writer, "before_cursor_execute", away)
    assert len(wire.got) == 4 and [state for state, _ in states(database)] == ["in_flight"] * 4
    delivering.run_once(database, out, now=now, worker="w")
    assert states(database) == [("sent", None)] * 4 and len(wire.got) == 4


def test_the_speed_is_part_of_the_address_of_the_relay() -> None:
    pace = relay("smtp://h/?connections=3&together=5&rate=600/min&domain_rate=1/s&domain_connections=2").pace
    assert (pace.connections, pace.together, pace.rate, pace.domain_rate, pace.domain_connections) == (3, 5, 10, 1, 2)
    for bad in ("connections=0", "rate=fast", "rate=5/year", "domain_rate=0/s", "connections=1000"):
        with pytest.raises(BadMailUrl):
            relay(f"smtp://h/?{bad}")
