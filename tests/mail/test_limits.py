"""SEMANTICS 19 to 21 as stories: how much mail a lead gets, at which hours, who wins a slot, and every reason for no mail."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.campaigns import pausing
from app.db import Database, Key, rows_of
from app.engine.explaining import why
from app.engine.models import Campaign
from app.engine.ticking import tick
from app.leads import merging, tagging
from app.leads.creating import create_many
from app.leads.models import Lead
from app.mail import delivering, leasing, links, queueing, resolving
from app.mail.models import Mail
from app.mail.queries import reason as sentence
from app.outbox import Message
from app.preferences import consenting, limiting, suppressing
from app.preferences.limits import Limits, Turn
from app.preferences.models import Subscription
from app.tracking.models import Event
from tests import factories
from tests.conftest import NOW
from tests.mail.test_delivering import Wire

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
links.use("https://trellis.example.com")

Made = tuple[str, str | None]


class House:
    """Leads who agreed to hear, and campaigns that send them one mail each, by priority."""

    def __init__(self, database: Database, count: int = 1, **values: Any) -> None:
        self.database, self.wire = database, Wire()
        self.campaigns: dict[str, Campaign] = {}
        with database.write() as session:
            factories.topic(session)
            factories.topic(session, "events")
            self.leads = factories.leads(session, count, topic="news", **values)
            ids = factories.rows(self.leads)
            consenting.give(session, sa.select(ids.c.id), "events", source="Test", at=NOW)

    def campaign(
        self, key: str, priority: int = 5, topic: str = "news", purpose: str = "marketing", **settings: Any
    ) -> None:
        governing = {
            name: settings.pop(name) for name in ("quiet_hours", "re_entry", "on_unsubscribe") if name in settings
        }
        step = {"kind": "send_email", "settings": {"mail": key, **settings}}
        with self.database.write() as session:
            mail = factories.mail(session, key, topic)
            mail.purpose = purpose
            flow = factories.flow(step, priority=priority, **governing)
            self.campaigns[key] = factories.campaign(session, flow, key)

    def enter(self, *keys: str, at: datetime = NOW, ticks: bool = True) -> None:
        with self.database.write() as session:
            for key in keys:
                factories.request(session, self.campaigns[key], self.leads, at=at)
        if ticks:
            tick(self.database, at)

    def cap(self, most: int = 1, period: str = "days", days: int = 1, topic: str | None = None) -> int:
        with self.database.write() as session:
            return limiting.add_cap(session, most=most, period=period, days=days, topic_key=topic, at=NOW).id

    def hours(self, opens: str, closes: str, weekdays: list[int] | None = None) -> int:
        with self.database.write() as session:
            chosen = list(range(7)) if weekdays is None else weekdays
            return limiting.add_window(session, weekdays=chosen, opens=opens, closes=closes, at=NOW).id

    def send(self, at: datetime = NOW) -> None:
        delivering.run_once(self.database, self.wire, now=at, worker="w")

    def mails(self) -> dict[str, list[Made]]:
        """Campaign -> (state, reason) of each of its messages."""
        found: dict[str, list[Made]] = {}
        with self.database.read() as session:
            query = sa.select(Campaign.key, Message.state, Message.reason).join(
                Campaign, Campaign.id == Message.campaign_id
            )
            for key, state, reason in session.execute(query.order_by(Message.campaign_id, Message.lead_id, Message.id)):
                found.setdefault(key, []).append((state, reason))
        return found

    def messages(self) -> list[Message]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(Message).order_by(Message.id)))

    def ports(self, key: str) -> list[str]:
        with self.database.read() as session:
            passages = why(session, self.leads[0], self.campaigns[key].id)
            return [line.sentence for passage in passages for line in passage.lines if line.kind == "send_email"]


@pytest.fixture
def house(database: Database) -> House:
    return House(database)


def at_clock(text: str) -> datetime:
    return datetime.fromisoformat(text)


SENT: Made = ("sent", None)
READY: Made = ("ready", None)


def test_rule_20_a_rolling_cap_holds_the_next_mail_until_the_slot_is_free(house: House) -> None:
    for key in ("one", "two", "three"):
        house.campaign(key)
    house.cap(2, days=2)
    house.enter("one", "two")
    house.send(NOW + HOUR)
    house.enter("three", at=NOW + 2 * HOUR)
    assert house.mails() == {"one": [SENT], "two": [SENT], "three": [("held", "frequency_cap")]}
    house.send(NOW + 2 * DAY + 59 * MINUTE)
    assert house.mails()["three"] == [("held", "frequency_cap")]
    house.send(NOW + 2 * DAY + 61 * MINUTE)
    assert house.mails()["three"] == [SENT]
    assert len(house.wire.got) == 3


def test_rule_20_skip_says_not_sent_and_names_the_winner(house: House) -> None:
    house.campaign("one")
    house.campaign("two", over_cap="skip")
    house.cap(1, days=7)
    house.enter("one")
    house.send()
    house.enter("two", at=NOW + HOUR)
    assert house.mails()["two"] == [("not_sent", "frequency_cap")]
    first, second = house.messages()
    assert second.winner_id == first.id
    assert house.ports("two") == [
        "The mail is not sent: the lead had enough mail for now; “One” of the campaign One came first."
    ]


@pytest.mark.parametrize("order", [("high", "low"), ("low", "high")])
def test_rule_20_of_two_that_want_one_slot_the_higher_priority_wins(house: House, order: tuple[str, str]) -> None:
    house.campaign("high", priority=1, over_cap="skip")
    house.campaign("low", priority=9, over_cap="skip")
    house.cap(1, days=1)
    house.enter(order[0])
    house.enter(order[1], at=NOW + MINUTE)
    house.send(NOW + 2 * MINUTE)
    assert house.mails() == {"high": [SENT], "low": [("not_sent", "frequency_cap")]}
    by_key = {m.priority: m for m in house.messages()}
    assert by_key[9].winner_id == by_key[1].id


def test_rule_20_priority_decides_within_one_tick_and_the_sender_takes_it_first(house: House) -> None:
    for priority in (5, 2, 8):
        house.campaign(f"p{priority}", priority=priority)
    house.cap(1, days=1)
    house.enter("p8", "p5", "p2")
    house.send()
    assert house.mails()["p2"] == [SENT]
    assert {state for key in ("p5", "p8") for state, _ in house.mails()[key]} == {"held"}
    house.send(NOW + DAY + MINUTE)
    assert (house.mails()["p5"], house.mails()["p8"]) == ([SENT], [("held", "frequency_cap")])
    house.send(NOW + 2 * DAY + 2 * MINUTE)
    assert house.mails()["p8"] == [SENT]


@pytest.mark.parametrize(
    ("period", "sent_at", "before", "after"),
    [
        ("day", "2026-03-02T22:30+01:00", "2026-03-02T23:50+01:00", "2026-03-03T00:00+01:00"),
        ("week", "2026-03-02T12:00+01:00", "2026-03-08T23:59+01:00", "2026-03-09T00:00+01:00"),
        ("month", "2026-03-27T12:00+01:00", "2026-03-31T23:59+02:00", "2026-04-01T00:00+02:00"),
    ],
)
def test_rule_20_calendar_periods_are_those_where_the_lead_lives(
    database: Database, period: str, sent_at: str, before: str, after: str
) -> None:
    house = House(database, zone="Europe/Zurich")
    house.campaign("one")
    house.campaign("two", max_age_days=10)
    house.cap(1, period)
    house.enter("one", at=at_clock(sent_at))
    house.send(at_clock(sent_at))
    house.enter("two", at=at_clock(sent_at) + MINUTE)
    house.send(at_clock(before))
    assert house.mails()["two"] == [("held", "frequency_cap")]
    house.send(at_clock(after))
    assert house.mails()["two"] == [SENT]


def test_rule_20_a_cap_of_a_topic_counts_that_topic_alone(house: House) -> None:
    house.campaign("one")
    house.campaign("two", over_cap="skip")
    house.campaign("fair", topic="events", over_cap="skip")
    house.cap(1, days=7, topic="news")
    house.enter("one", "fair")
    house.send()
    house.enter("two", at=NOW + HOUR)
    house.send(NOW + HOUR)
    assert house.mails() == {"one": [SENT], "fair": [SENT], "two": [("not_sent", "frequency_cap")]}


def test_rule_20_operational_mail_is_exempt_and_takes_no_slot(house: House) -> None:
    house.campaign("receipt", purpose="operational")
    house.campaign("one")
    house.campaign("invoice", purpose="operational")
    house.cap(1, days=7)
    house.enter("receipt")
    house.send()
    house.enter("one", at=NOW + HOUR)
    house.send(NOW + HOUR)
    house.enter("invoice", at=NOW + 2 * HOUR)
    house.send(NOW + 2 * HOUR)
    assert house.mails() == {"receipt": [SENT], "one": [SENT], "invoice": [SENT]}


def test_rule_20_a_slot_is_not_taken_by_what_never_left(house: House) -> None:
    house.campaign("one")
    house.campaign("two", over_cap="skip")
    house.cap(1, days=7)
    house.enter("one")
    with house.database.write() as session:
        session.execute(sa.update(Message).values(state="cancelled", reason="given_up"))
    house.enter("two", at=NOW + HOUR)
    assert house.mails()["two"] == [READY]


def test_rule_20_a_cap_set_after_queueing_is_asked_again_before_sending(house: House) -> None:
    house.campaign("one")
    house.campaign("two")
    house.enter("one", "two")
    house.cap(1, days=1)
    house.send()
    assert sorted(state for made in house.mails().values() for state, _ in made) == ["held", "sent"]


def test_rule_20_lifting_a_cap_lets_go_what_it_held(house: House) -> None:
    house.campaign("one")
    house.campaign("two")
    cap_id = house.cap(1, days=3)
    house.enter("one", "two")
    house.send()
    with house.database.write() as session:
        assert limiting.remove_cap(session, cap_id, at=NOW + HOUR)
    house.send(NOW + HOUR)
    assert house.mails() == {"one": [SENT], "two": [SENT]}


def test_rule_20_many_leads_are_decided_in_as_many_statements_as_few(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        factories.topic(session)
        factories.mail(session)
        limiting.add_cap(session, most=1, period="week", at=NOW)
        limiting.add_window(session, weekdays=range(7), opens="08:00", closes="20:00", at=NOW)
    counts = []
    for size in (1, 40):
        seen: list[str] = []
        with sqlite_database.write() as session:
            people = [{"email": f"{size}-{n}@example.com"} for n in range(size)]
            rows = [[i, i, 1, 7, "s1"] for i in create_many(session, people, source="Test", at=NOW)]
            visits = rows_of(
                rows, lead_id=Key, enrollment_id=Key, visit=sa.BigInteger(), campaign_id=Key, step=sa.String()
            )
            sa.event.listen(session.get_bind(), "before_cursor_execute", lambda *a, into=seen: into.append(a[2]))
            queueing.queue_for(session, visits, mail_key="welcome", at=NOW)
            counts.append(len(seen))
    assert counts[0] == counts[1]


def test_rule_21_quiet_hours_hold_a_mail_to_the_opening_where_the_lead_lives(database: Database) -> None:
    house = House(database, zone="America/New_York")
    house.campaign("one")
    house.hours("08:00", "20:00")
    house.enter("one", at=at_clock("2026-03-02T20:30-05:00"))
    message = house.messages()[0]
    assert (message.state, message.reason) == ("held", "quiet_hours")
    assert message.not_before == at_clock("2026-03-03T08:00-05:00")
    house.send(at_clock("2026-03-03T07:59-05:00"))
    assert house.wire.got == []
    house.send(at_clock("2026-03-03T08:00-05:00"))
    assert house.mails()["one"] == [SENT]


def test_rule_21_a_zone_is_worked_out_once_however_many_live_there(database: Database, monkeypatch: Any) -> None:
    house, turn = House(database, count=30, zone="Asia/Tokyo"), Limits.turn
    asked: list[str | None] = []

    def counted(self: Limits, zone_name: str | None, *given: Any, **more: Any) -> Turn:
        asked.append(zone_name)
        return turn(self, zone_name, *given, **more)

    monkeypatch.setattr(Limits, "turn", counted)
    house.campaign("one")
    house.hours("08:00", "20:00")
    house.enter("one", at=at_clock("2026-03-02T12:00Z"))
    assert asked == ["Asia/Tokyo"]
    assert house.mails()["one"] == [("held", "quiet_hours")] * 30


def test_rule_21_a_late_sender_asks_again_and_operational_mail_is_exempt(house: House) -> None:
    house.campaign("one")
    house.campaign("receipt", purpose="operational")
    house.hours("08:00", "18:00")
    house.enter("one", "receipt")
    late = NOW.replace(hour=18)
    house.send(late)
    assert house.mails() == {"one": [("held", "quiet_hours")], "receipt": [SENT]}
    house.send(NOW.replace(hour=8) + DAY)
    assert house.mails()["one"] == [SENT]


def test_rule_21_a_campaign_may_ignore_quiet_hours(house: House) -> None:
    house.campaign("one", quiet_hours="ignore")
    house.hours("10:00", "11:00")
    house.enter("one")
    house.send()
    assert house.mails()["one"] == [SENT]


def test_rule_21_a_cap_counts_the_day_the_mail_will_leave(house: House) -> None:
    house.campaign("one")
    house.campaign("two")
    house.cap(1, "day")
    house.hours("08:00", "18:00")
    house.enter("one")
    house.send()
    house.enter("two", at=NOW.replace(hour=19))
    assert house.mails()["two"] == [("held", "quiet_hours")]
    house.send(NOW.replace(hour=8) + DAY)
    assert house.mails()["two"] == [SENT]


def test_rule_21_too_old_is_stale(house: House) -> None:
    house.campaign("weekly", max_age_days=2)
    house.campaign("one", max_age_days=2)
    house.campaign("two", max_age_days=2)
    house.hours("08:00", "18:00", [0])
    house.enter("weekly", at=NOW + DAY)
    assert house.mails()["weekly"] == [("not_sent", "stale")]
    house.cap(1, days=7)
    house.enter("one", "two")
    house.send()
    house.send(NOW + 2 * DAY + MINUTE)
    assert sorted(house.mails()["one"] + house.mails()["two"]) == [("not_sent", "stale"), SENT]


def test_rule_19_a_sender_that_was_away_sends_nothing_stale(house: House) -> None:
    house.campaign("one", max_age_days=1)
    house.enter("one")
    house.send(NOW + DAY)
    assert (house.mails()["one"], house.wire.got) == ([("not_sent", "stale")], [])
    assert sentence(house.messages()[0]) == "The mail waited too long to be of use."


def test_rule_19_no_mail_twice_in_one_passage_unless_the_step_says_so(house: House) -> None:
    with house.database.write() as session:
        factories.mail(session, "welcome")
        steps = [
            {"kind": "send_email", "settings": {"mail": "welcome", "again": a}}
            for a in ("passage", "passage", "always")
        ]
        house.campaigns["c"] = factories.campaign(session, factories.flow(*steps), "c")
    house.enter("c")
    assert house.mails()["c"] == [READY, ("not_sent", "duplicate"), READY]


def test_rule_19_a_new_passage_brings_the_mail_again_unless_never(house: House) -> None:
    house.campaign("birthday", re_entry={"mode": "after_exit"})
    house.campaign("once", re_entry={"mode": "after_exit"}, again="never")
    house.enter("birthday", "once")
    house.send()
    house.enter("birthday", "once", at=NOW + 365 * DAY)
    assert house.mails() == {"birthday": [SENT, READY], "once": [SENT, ("not_sent", "duplicate")]}


def test_rule_27_no_mail_that_either_half_of_a_merge_had_is_repeated(database: Database) -> None:
    house = House(database, count=2)
    with database.write() as session:
        factories.mail(session, "welcome")
        wait = {"kind": "wait", "settings": {"amount": 2, "unit": "days"}}
        mail = {"kind": "send_email", "settings": {"mail": "welcome"}}
        house.campaigns["c"] = factories.campaign(
            session, factories.flow(wait, mail, re_entry={"mode": "after_exit"}), "c"
        )
        factories.request(session, house.campaigns["c"], house.leads[:1], at=NOW)
    for days in range(3):
        tick(database, NOW + days * DAY)
    house.send(NOW + 2 * DAY)
    with database.write() as session:
        factories.request(session, house.campaigns["c"], house.leads[1:], at=NOW + 3 * DAY)
    tick(database, NOW + 3 * DAY)
    with database.write() as session:
        merging.merge(session, house.leads[1], house.leads[0], user_id=None, at=NOW + 4 * DAY)
    tick(database, NOW + 4 * DAY)
    tick(database, NOW + 5 * DAY)
    assert house.mails()["c"] == [SENT, ("not_sent", "duplicate")]


def test_rule_10_and_19_a_goal_reached_in_the_transaction_that_queues_withdraws_the_mail(database: Database) -> None:
    house = House(database)
    with database.write() as session:
        tagging.ensure(session, "customer")
        factories.mail(session, "welcome")
        mail = {"kind": "send_email", "settings": {"mail": "welcome"}}
        wait = {"kind": "wait", "settings": {"amount": 2, "unit": "days"}}
        goal = {"kind": "goal", "settings": {"rule": {"rule": "tag", "tag": "customer"}}}
        house.campaigns["c"] = factories.campaign(session, factories.flow(wait, mail, wait, goal), "c")
    house.enter("c")
    with database.write() as session:
        tagging.add(session, sa.select(factories.rows(house.leads).c.id), "customer", at=NOW)
        session.execute(sa.update(Event).values(is_new=False))  # the tick has not heard of it otherwise
    tick(database, NOW + 2 * DAY)
    assert house.mails() == {}


def test_rule_19_every_reason_occurs_and_a_permanent_one_is_never_tried_again(database: Database) -> None:
    house = House(database, count=8)
    no_address, no_consent, out, topic_out, bounced, complained, resting, fine = house.leads
    with database.write() as session:
        session.execute(sa.update(Lead).where(Lead.id == no_address).values(canonical_email=None, email=None))
        session.execute(sa.delete(Subscription).where(Subscription.lead_id == no_consent))
        consenting.withdraw(session, one(out), None, source="Page", at=NOW)
        consenting.withdraw(session, one(topic_out), "news", source="Page", at=NOW)
        suppressing.suppress(session, "lead5@example.com", "bounce", "", NOW)
        suppressing.suppress(session, "lead6@example.com", "complaint", "", NOW)
        consenting.pause(session, resting, NOW + DAY, at=NOW)
    tick(database, NOW)
    house.campaign("c")
    house.enter("c")
    made = dict(zip(house.leads, house.mails()["c"], strict=True))
    assert made == {
        no_address: ("not_sent", "no_address"),
        no_consent: ("not_sent", "no_consent"),
        out: ("not_sent", "unsubscribed"),
        topic_out: ("not_sent", "unsubscribed"),
        bounced: ("not_sent", "suppressed"),
        complained: ("not_sent", "suppressed"),
        resting: ("not_sent", "paused_by_lead"),
        fine: READY,
    }
    with database.write() as session:
        assert resolving.try_again(session, Message.state == "not_sent", at=NOW) == 0
        session.execute(sa.update(Campaign).values(state="paused"))
    house.send()
    assert house.mails()["c"][7] == ("held", "campaign_paused")


def test_rule_25_a_pause_makes_no_mail_stale(house: House) -> None:
    house.campaign("one", max_age_days=1)
    house.enter("one")
    with house.database.write() as session:
        assert pausing.pause(session, house.campaigns["one"].id, at=NOW + HOUR)
    house.send(NOW + 5 * DAY)
    assert house.mails()["one"] == [("held", "campaign_paused")]
    with house.database.write() as session:
        pausing.resume(session, house.campaigns["one"].id, at=NOW + 5 * DAY)
    house.send(NOW + 5 * DAY + HOUR)
    assert house.mails()["one"] == [SENT]


def test_rule_22_unsubscribing_between_queueing_and_sending_cancels_at_once(house: House) -> None:
    house.campaign("held")
    house.campaign("ready", quiet_hours="ignore")
    house.hours("20:00", "21:00")
    house.enter("held", "ready")
    assert house.mails() == {"held": [("held", "quiet_hours")], "ready": [READY]}
    with house.database.write() as session:
        consenting.withdraw(session, one(house.leads[0]), "news", source="One-click unsubscribe", at=NOW)
    assert house.mails() == {"held": [("cancelled", "unsubscribed")], "ready": [("cancelled", "unsubscribed")]}


def one(lead_id: int) -> sa.Select[Any]:
    return sa.select(Lead.id).where(Lead.id == lead_id)


def test_rule_20_two_senders_that_claim_at_once_give_a_lead_no_more_than_its_slot(database: Database) -> None:
    house = House(database)
    house.cap(1)
    house.campaign("better", priority=1, over_cap="hold")
    house.campaign("worse", priority=9, over_cap="hold")
    house.enter("worse", "better")
    with database.write() as session:  # as after an earlier mail: the better one waits for the slot that is free by now
        better, worse = (
            Message.mail_id == session.scalar(sa.select(Mail.id).where(Mail.key == k)) for k in ("better", "worse")
        )
        held = {"state": "held", "reason": "frequency_cap", "not_before": NOW}
        session.execute(sa.update(Message).where(better).values(held))
        session.execute(sa.update(Message).where(worse).values(state="ready", reason=None, not_before=NOW))
    claimed: list[int] = []

    def claim(worker: str) -> None:
        with database.write() as session:
            claimed.extend(held.id for held in leasing.claim(session, now=NOW, limit=1, worker=worker))

    other = threading.Thread(target=claim, args=("second",))
    with database.write() as session:
        claimed.extend(held.id for held in leasing.claim(session, now=NOW, limit=1, worker="first"))
        other.start()
        other.join(2)  # long enough, were nothing to keep it
    other.join()
    assert len(claimed) == 1
