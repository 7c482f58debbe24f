"""SEMANTICS 23 and 24: what a new version does to the leads inside, before it does it, and how it is taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.campaigns import drafting, migrating, passing_by, planning, publishing, undoing
from app.db import Database
from app.engine import explaining, steering
from app.engine.models import Campaign, Decision, Enrollment, Turn, Version
from app.engine.ticking import tick
from app.leads import erasing, tagging
from app.leads.models import Lead
from app.outbox import Message
from tests import factories
from tests.campaigns.conftest import drawn, step
from tests.conftest import NOW

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def wait(id_: str, next_: str, amount: int = 2) -> dict[str, Any]:
    return step(id_, "wait", {"out": next_}, amount=amount, unit="days")


def mail(id_: str, next_: str, key: str = "welcome") -> dict[str, Any]:
    return step(id_, "send_email", {"out": next_}, mail=key)


END = step("end", "exit")
HOT = {"rule": "tag", "tag": "hot"}
FLOW = drawn(wait("w", "m"), mail("m", "w2"), wait("w2", "end"), END)


class Inside:
    """A live campaign with leads in its first wait, who came one after the other, and a draft to be published."""

    def __init__(self, database: Database, flow: dict[str, Any] = FLOW, count: int = 3, apart: timedelta = DAY) -> None:
        self.database = database
        with database.write() as session:
            factories.topic(session)
            for key in ("welcome", "extra"):
                factories.mail(session, key)
            tagging.ensure(session, "hot")
            self.leads = factories.leads(session, count, topic="news")
            made = drafting.create(session, name="Nurture", at=NOW, flow=flow)
            publishing.publish(session, made.id, user_id=None, at=NOW)
            self.id = made.id
        for place, lead in enumerate(self.leads):
            with database.write() as session:
                factories.request(session, session.get_one(Campaign, self.id), [lead], at=NOW + place * apart)
            tick(database, NOW + place * apart)
        self.now = NOW + (count - 1) * apart + HOUR

    def draw(self, flow: dict[str, Any]) -> None:
        with self.database.write() as session:
            drafting.replace(session, self.id, flow, user_id=None, at=self.now)

    def plan(self, **choices: str) -> planning.Plan:
        with self.database.write() as session:
            flow = drafting.get(session, self.id).flow
            return migrating.plan(session, self.id, flow, at=self.now, choices=choices)

    def publish(self, move: dict[str, str] | None) -> None:
        with self.database.write() as session:
            publishing.publish(session, self.id, user_id=None, at=self.now, move=move)

    def undo(self) -> None:
        with self.database.write() as session:
            undoing.undo(session, self.id, at=self.now)

    def all(self, *columns: Any) -> list[Any]:
        with self.database.read() as session:
            found = session.execute(sa.select(*columns).order_by(Enrollment.lead_id)).all()
        return [row[0] if len(columns) == 1 else tuple(row) for row in found]

    def rows(self) -> list[Any]:
        """Everything about each passage."""
        return self.all(*Enrollment.__table__.c)

    def where(self) -> list[tuple[str, str]]:
        return self.all(Enrollment.state, Enrollment.step)

    def owed(self) -> list[Any]:
        """What became of each mail."""
        asked = sa.select(Message.state, Message.reason, Message.finished_at).order_by(Message.lead_id)
        with self.database.read() as session:
            return [tuple(row) for row in session.execute(asked)]

    def mails(self) -> int:
        with self.database.read() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(Message)) or 0


def test_rule_23_the_plan_says_who_stays_is_retimed_or_released_and_changes_nothing(database: Database) -> None:
    inside = Inside(database)
    before = inside.rows()
    inside.draw(drawn(wait("w", "m", 5), mail("m", "w2"), wait("w2", "end"), END))

    line = inside.plan().lines[0]

    # the first of the three came two days ago and has its mail; he stands at the second wait, which is as it was
    assert (line.step, line.fate, line.leads, line.longer, line.by) == ("w", "retimed", 2, 2, 3 * DAY)
    assert line.sentence == "2 wait 3 days longer."
    assert [other.fate for other in inside.plan().lines[1:]] == ["stays"]
    assert inside.rows() == before
    inside.draw(drawn(wait("w", "m", 1), mail("m", "w2"), wait("w2", "end"), END))
    assert inside.plan().lines[0].sentence == "1 wait 1 day less, 1 is released now."


def test_rule_23_those_moved_are_due_by_their_arrival_and_the_new_step(database: Database) -> None:
    inside = Inside(database, count=2)
    inside.draw(drawn(wait("w", "m", 5), mail("m", "end"), END))

    inside.publish({})

    assert inside.all(Enrollment.due_at) == [NOW + 5 * DAY, NOW + 6 * DAY]
    tick(database, NOW + 5 * DAY)
    assert inside.where() == [("completed", "end"), ("active", "w")]


def test_rule_23_those_who_drain_finish_on_the_version_they_entered(database: Database) -> None:
    inside = Inside(database, count=2)
    before = inside.rows()
    inside.draw(drawn(END))

    inside.publish(None)

    assert inside.rows() == before
    tick(database, NOW + 3 * DAY)
    assert inside.mails() == 2


LOST = drawn(mail("m", "w2"), wait("w2", "end"), END)


@pytest.mark.parametrize(
    ("choice", "stands"), [("m", ("active", "m")), ("w2", ("active", "w2")), ("exit", ("exited", "w")), ("stay", ("active", "w"))]
)  # fmt: skip
def test_rule_23_a_lost_step_asks_where_its_leads_go(database: Database, choice: str, stands: tuple[str, str]) -> None:
    inside = Inside(database, count=2)
    inside.draw(LOST)
    assert [(line.step, line.choice) for line in inside.plan().lost] == [
        ("w", "m")
    ]  # its successor that is still there

    inside.publish({"w": choice})

    assert inside.where() == [stands] * 2
    with database.read() as session:
        why = session.scalars(sa.select(Decision.why).where(Decision.step == "w")).all()
    assert len(why) == (0 if choice == "stay" else 2)
    tick(database, inside.now)
    assert inside.mails() == (2 if choice == "m" else 0)


def test_rule_23_a_choice_that_makes_no_sense_is_refused_and_nothing_is_published(database: Database) -> None:
    inside = Inside(database)
    inside.draw(LOST)

    for choices in ({"m": "exit"}, {"w": "gone"}):
        with pytest.raises(planning.BadChoice):
            inside.publish(choices)

    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Version)) == 1


@pytest.mark.parametrize("choices", [{}, {"w": "w2"}, {"w": "exit"}])
def test_rule_23_undo_puts_everybody_back_as_they_were(database: Database, choices: dict[str, str]) -> None:
    inside = Inside(database, count=2)
    before = inside.rows()
    inside.draw(LOST if choices else drawn(wait("w", "m", 9), mail("m", "end"), END))
    inside.publish(choices)
    assert inside.rows() != before

    inside.undo()

    assert inside.rows() == before
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Decision)) == 0
    tick(database, NOW + 3 * DAY)
    assert inside.mails() == 2  # by the old version, as if nothing had been
    with pytest.raises(undoing.CannotUndo):
        inside.undo()


def test_rule_23_undo_brings_back_whom_a_new_exit_took_out(database: Database) -> None:
    inside = Inside(database, count=2)
    with database.write() as session:
        tagging.add(session, sa.select(Lead.id).where(Lead.id == inside.leads[0]), "hot", at=inside.now - MINUTE)
    tick(database, inside.now)
    before = inside.rows()
    inside.draw({**FLOW, "exits": [{"rule": {"rule": "tag", "tag": "hot"}, "reason": "is hot"}]})
    inside.publish({})
    assert inside.all(Enrollment.state) == ["exited", "active"]

    inside.undo()

    assert inside.rows() == before
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Decision)) == 0


def test_rule_23_undo_gives_back_the_mail_and_the_pause_of_whom_a_new_exit_took_out(database: Database) -> None:
    inside = Inside(database, drawn(mail("m", "w"), wait("w", "end"), END), count=2)
    with database.write() as session:
        tagging.add(session, sa.select(Lead.id), "hot", at=inside.now - MINUTE)
        steering.pause(session, inside.id, inside.leads[0], reason="asked for a break", by="Ana", at=inside.now)
        late = sa.update(Message).where(Message.lead_id == inside.leads[1])
        session.execute(late.values(state="held", reason="late"))
    tick(database, inside.now)
    before = inside.rows(), inside.owed()
    inside.draw({**drawn(mail("m", "w"), wait("w", "end"), END), "exits": [{"rule": HOT, "reason": "is hot"}]})
    inside.publish({})
    assert inside.all(Enrollment.state, Enrollment.paused_at) == [("exited", None)] * 2
    assert inside.owed() == [("cancelled", "exited", inside.now)] * 2

    inside.undo()

    assert (inside.rows(), inside.owed()) == before


def test_rule_23_undo_takes_back_the_turns_given_at_a_new_throttle(database: Database) -> None:
    inside = Inside(database, count=2, apart=timedelta(0))
    queue = step("q", "throttle", {"out": "w2"}, per_hour=1)
    inside.draw(drawn(queue, wait("w2", "end"), END))
    inside.publish({"w": "q"})
    with database.write() as session:  # somebody else is first in the queue, so that those moved wait in it
        session.add(Turn(enrollment_id=999, visit=1, campaign_id=inside.id, step="q", at=inside.now))
    tick(database, inside.now)
    assert inside.where() == [("active", "q")] * 2

    inside.undo()

    with database.read() as session:
        assert session.scalars(sa.select(Turn.enrollment_id)).all() == [999]


def test_rule_23_undo_is_refused_once_another_system_is_called_because_of_it(database: Database) -> None:
    inside = Inside(database, count=2)
    inside.draw(drawn(step("h", "webhook", {"out": "end"}, url="https://example.com/hook"), END))
    inside.publish({"w": "h"})
    with database.read() as session:
        assert undoing.undoable(session, inside.id) is not None
    tick(database, inside.now)
    with database.read() as session:
        assert undoing.undoable(session, inside.id) is None
    with pytest.raises(undoing.CannotUndo, match="gone on"):
        inside.undo()
    assert inside.where() == [("active", "h")] * 2


def test_rule_28_undo_brings_back_nobody_who_was_erased_since(database: Database) -> None:
    inside = Inside(database, count=2)
    inside.draw(LOST)
    inside.publish({"w": "exit"})
    with database.write() as session:
        erasing.erase(session, inside.leads[0], at=inside.now)

    inside.undo()

    assert inside.all(Enrollment.state, Enrollment.step) == [("exited", "w"), ("active", "w")]
    with database.read() as session:
        journalled = session.scalars(sa.select(Decision.enrollment_id)).all()
        assert len(journalled) == 1, "the one who is out has left by the journal, too"


def test_rule_13_undo_brings_nobody_in_a_second_time(database: Database) -> None:
    again = {"re_entry": {"mode": "after_exit"}}
    inside = Inside(database, {**FLOW, **again}, count=1)
    inside.draw({**LOST, **again})
    inside.publish({"w": "exit"})
    with database.write() as session:
        factories.request(session, session.get_one(Campaign, inside.id), inside.leads, at=inside.now + MINUTE)
    tick(database, inside.now + MINUTE)

    inside.undo()

    assert sorted(inside.all(Enrollment.state)) == ["active", "exited"]


def test_rule_23_undo_brings_nobody_back_into_a_campaign_that_has_ended(database: Database) -> None:
    inside = Inside(database, count=2)
    inside.draw(LOST)
    inside.publish({"w": "exit"})
    with database.write() as session:
        publishing.end(session, inside.id, at=inside.now)
    with pytest.raises(undoing.CannotUndo, match="has ended"):
        inside.undo()
    assert inside.all(Enrollment.state) == ["exited", "exited"]


def test_rule_26_a_paused_lead_that_a_plan_puts_elsewhere_waits_there_no_longer_than_it_says(
    database: Database,
) -> None:
    inside = Inside(database, count=1)
    reason: dict[str, Any] = {"reason": "asked for a break", "by": "Ana"}
    with database.write() as session:
        steering.pause(session, inside.id, inside.leads[0], at=inside.now, **reason)
    moved = inside.now = inside.now + 10 * DAY
    inside.draw(drawn(wait("w2", "end"), END))
    inside.publish({"w": "w2"})
    with database.write() as session:
        steering.resume(session, inside.id, inside.leads[0], at=moved + HOUR, **reason)
    tick(database, moved + HOUR)
    assert inside.all(Enrollment.step, Enrollment.due_at) == [("w2", moved + 2 * DAY + HOUR)]


def test_rule_23_undo_is_refused_once_somebody_has_gone_on(database: Database) -> None:
    inside = Inside(database, count=2)
    inside.draw(drawn(wait("w", "m", 1), mail("m", "end"), END))
    inside.publish({})
    with database.read() as session:
        assert undoing.undoable(session, inside.id) is not None
    tick(database, inside.now)  # the first is released
    with database.read() as session:
        assert undoing.undoable(session, inside.id) is None
    with pytest.raises(undoing.CannotUndo, match="gone on"):
        inside.undo()
    assert inside.where() == [("completed", "end"), ("active", "w")]


def test_rule_23_a_goal_that_is_new_holds_at_once_for_those_who_come_under_it(database: Database) -> None:
    inside = Inside(database, count=2)
    with database.write() as session:
        tagging.add(session, sa.select(Lead.id).where(Lead.id == inside.leads[0]), "hot", at=NOW)
    tick(database, inside.now)
    goal = step("g", "goal", {}, rule={"rule": "tag", "tag": "hot"})
    inside.draw(drawn(wait("w", "m"), mail("m", "end"), END, goal))

    inside.publish({})
    tick(database, inside.now)

    assert inside.where() == [("converted", "g"), ("active", "w")]


def test_rule_23_leads_left_on_older_versions_can_be_brought_along_later(database: Database) -> None:
    inside = Inside(database, count=2)
    inside.draw(drawn(wait("w", "m", 5), mail("m", "end"), END))
    inside.publish(None)
    with pytest.raises(publishing.Unpublishable, match="Nothing has changed"):
        inside.publish(None)

    inside.publish({})

    assert inside.all(Enrollment.due_at) == [NOW + 5 * DAY, NOW + 6 * DAY]


INSERTED = drawn(wait("w", "x"), mail("x", "m", "extra"), mail("m", "w2"), wait("w2", "end"), END)


def test_rule_24_a_step_put_in_behind_somebody_never_runs_for_them_unless_asked_for_once(database: Database) -> None:
    inside = Inside(database, count=4)  # two of them have passed the place: they wait at w2
    inside.draw(INSERTED)
    inside.publish({})
    tick(database, inside.now)
    assert inside.mails() == 2
    with database.read() as session:
        assert passing_by.count(session, inside.id, "x", at=inside.now) == 2
    before = inside.rows()

    with database.write() as session:
        assert passing_by.run_for_passed(session, inside.id, "x", at=inside.now) == 2
    with database.write() as session:
        assert passing_by.run_for_passed(session, inside.id, "x", at=inside.now) == 0

    assert inside.rows() == before  # nobody has moved
    assert inside.mails() == 4
    with database.read() as session:
        visits = session.execute(sa.select(Message.step, Message.visit).where(Message.visit < 0)).all()
    assert [tuple(row) for row in visits] == [("x", -1)] * 2
    with database.read() as session:
        told = [line.sentence for line in explaining.why(session, inside.leads[0], inside.id)[0].lines]
    assert told[-1].startswith("Waits here")
    assert "mail is ready" in told[-2]
    tick(database, NOW + 9 * DAY)
    assert inside.mails() == 4 + 2 * 2  # the other two get both, on their way


def test_rule_24_a_wait_or_a_branch_cannot_be_run_for_those_who_passed(database: Database) -> None:
    inside = Inside(database)
    for id_ in ("w", "end", "nothing"):
        with database.write() as session, pytest.raises(passing_by.CannotRun):
            passing_by.run_for_passed(session, inside.id, id_, at=inside.now)


def test_rule_7_a_random_wait_that_is_changed_keeps_each_leads_chance(database: Database) -> None:
    inside = Inside(database, drawn(step("w", "random_wait", {"out": "end"}, hours=100), END), apart=timedelta(0))
    was = inside.all(Enrollment.due_at)
    inside.draw(drawn(step("w", "random_wait", {"out": "end"}, hours=200), END))

    inside.publish({})

    assert inside.all(Enrollment.due_at) == [NOW + 2 * (due - NOW) for due in was]


def test_a_queue_at_a_throttle_keeps_its_order_and_goes_on(database: Database) -> None:
    inside = Inside(database, drawn(step("q", "throttle", {"out": "end"}, per_hour=1), END), apart=timedelta(0))
    inside.draw(drawn(step("q", "throttle", {"out": "end"}, per_hour=2), END))
    inside.now = NOW + MINUTE

    inside.publish({})

    tick(database, NOW + 2 * MINUTE)
    assert inside.all(Enrollment.due_at) == [None, NOW + HOUR, NOW + 2 * HOUR]
    tick(database, NOW + HOUR)
    assert inside.where() == [("completed", "end"), ("completed", "end"), ("active", "q")]
