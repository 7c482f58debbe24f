"""A flow is run over recorded history: the same engine on a copy, another clock, and nothing of it reaches real leads."""

from __future__ import annotations

import json
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app import clock
from app.campaigns import copying, drafting, performing, posting, rehearsing, sidelines
from app.campaigns.hurrying import Nobody
from app.campaigns.lenses import Lens
from app.campaigns.models import Rehearsal, RehearsedPassage
from app.campaigns.performing import CannotRehearse, Wanted
from app.db import EPOCH, Base, Database
from app.engine import ticking
from app.engine.models import Campaign, Decision, Enrollment
from app.leads import creating, erasing, tagging, updating
from app.mail import delivering, links
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import consenting
from app.preferences.models import FrequencyCap, SendingWindow, Subscription
from app.sales.models import Rep
from app.tracking import recording
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step
from tests.conftest import NOW

BASE = "https://trellis.example.com"
HOUR, EVERY, DAY = timedelta(hours=1), timedelta(hours=6), timedelta(days=1)
CLICKED = {"rule": "clicked", "mail": "welcome", "times": 1}
PRICING = {"rule": "visited", "path": "/pricing", "times": 1}
END = NOW + 8 * DAY


@pytest.fixture(autouse=True)
def _at_home() -> None:
    links.use(BASE)


def nurture() -> dict[str, Any]:
    """Mail, wait for a click, then sales; the others by what they looked at, a field, and another mail."""
    arms = [{"port": "a1", "name": "Looked at prices", "rule": PRICING}]
    return drawn(
        step("s1", "send_email", {"out": "s2", "not_sent": "s9"}, mail="welcome"),
        step("s2", "wait_for_event", {"happened": "s3", "timeout": "s5"}, event="email_clicked", subject="welcome"),
        step("s3", "add_tag", {"out": "s4"}, tag="keen"),
        step("s4", "handoff", {"out": "s9"}),
        step("s5", "decide", {"a1": "s6", "else": "s7"}, arms=arms),
        step("s6", "set_field", {"out": "s7"}, field="city", value="Basel"),
        step("s7", "send_email", {"out": "s8"}, mail="second"),
        step("s8", "wait", {"out": "s9"}, amount=1, unit="days"),
        step("s9", "exit"),
    )


def happened(session: Session, lead_id: int, kind: str, subject: str, at: datetime, **more: Any) -> None:
    with clock.at(at):
        recording.record(session, kind=kind, identity_id=lead_id, subject=subject, at=at, agent="human", **more)


def clicked(session: Session, lead_id: int, at: datetime) -> None:
    message = session.scalars(sa.select(Message).where(Message.lead_id == lead_id, Message.state == "sent")).first()
    assert message is not None
    key = session.get_one(Mail, message.mail_id).key
    happened(session, lead_id, "email_clicked", key, at, message_id=message.id, campaign_id=message.campaign_id)


def furnished(session: Session, flow: dict[str, Any], leads: int) -> tuple[Campaign, list[int]]:
    """A house, a live campaign, and leads who agreed to its mail before the period."""
    furnish(session)
    factories.mail(session, "second")
    tagging.ensure(session, "Keen")
    before = NOW - 10 * DAY
    ids = factories.leads(session, leads, at=before, topic="news", city="Zurich")
    made = factories.campaign(session, drafting.written(flow), at=NOW)
    drafting.replace(session, made.id, drafting.written(flow), user_id=None, at=NOW)
    return made, ids


def go_on(database: Database, at: datetime) -> None:
    """What the sender does in earnest, and every six hours the engine."""
    with clock.at(at):
        for _ in range(1 if (at - NOW) % EVERY else 3):
            if not (at - NOW) % EVERY:
                ticking.tick(database, at)
            delivering.run_once(database, Nobody(), now=at, worker="test")


def record(database: Database, flow: dict[str, Any] | None = None, *, until: datetime = END) -> tuple[int, list[int]]:
    """A campaign that ran for a week on leads who did this and that."""
    with database.write() as session:
        made, ids = furnished(session, flow or nurture(), 8)
        session.add(FrequencyCap(most=1, period="days", days=2, topic_id=None, created_at=NOW))
        session.add(SendingWindow(weekdays=[0, 1, 2, 3, 4], opens=8 * 60, closes=18 * 60, created_at=NOW))
        campaign_id = made.id
    at = NOW
    while at <= until:
        with database.write() as session:
            _live(session, campaign_id, ids, at)
        go_on(database, at)
        at += HOUR
    return campaign_id, ids


def _live(session: Session, campaign_id: int, ids: list[int], at: datetime) -> None:
    """What happens at one hour of the week."""
    one = lambda lead: sa.select(factories.rows([lead]).c.id)  # noqa: E731
    made = session.get_one(Campaign, campaign_id)
    hour = (at - NOW) // HOUR
    for place, lead in enumerate(ids[:7]):
        if hour == 1 + 7 * place:
            factories.request(session, made, [lead], at=at)
    if hour == 30:
        clicked(session, ids[0], at)
    if hour == 31:
        happened(session, ids[1], "page_viewed", "/pricing", at)
    if hour == 40:
        consenting.withdraw(session, one(ids[2]), "news", source="Page", at=at)
    if hour == 44:
        updating.set_values(session, ids[3], {"city": "Bern"}, at=at)
        tagging.add(session, one(ids[3]), "keen", at=at)
    if hour == 60:
        clicked(session, ids[4], at)


def wanted(campaign_id: int, flow: dict[str, Any] | None = None, **more: Any) -> Wanted:
    given = {"begins_at": NOW, "ends_at": END, "every": EVERY, "lens": "recorded", **more}
    return Wanted(campaign_id, drafting.written(flow or nurture()), **given)


def rehearse(database: Database, asked: Wanted) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with database.read() as session:
        prepared = performing.prepare(session, asked)
    return performing.perform(database, prepared, base_url=BASE)


def decided(database: Database, campaign_id: int) -> dict[int, list[tuple[str, str, datetime]]]:
    """Lead -> the steps it left in earnest, by which port, when."""
    found: dict[int, list[tuple[str, str, datetime]]] = {}
    with database.read() as session:
        query = sa.select(Enrollment.lead_id, Decision.step, Decision.port, Decision.at)
        joined = query.join(Decision, Decision.enrollment_id == Enrollment.id)
        mine = joined.where(Enrollment.campaign_id == campaign_id)
        for lead, step_id, port, at in session.execute(mine.order_by(Enrollment.id, Decision.visit)):
            found.setdefault(lead, []).append((step_id, port, at))
    return found


def ways(passages: list[dict[str, Any]]) -> dict[int, list[tuple[str, str, datetime]]]:
    """The same of a rehearsal."""
    return {
        one["lead_id"]: [(v[1], v[2], EPOCH + timedelta(microseconds=v[4])) for v in one["told"]["visits"]]
        for one in passages
    }


def contents(database: Database) -> dict[str, Any]:
    """Everything there is, but rehearsals."""
    with database.read() as session:
        every = [each for each in Base.metadata.sorted_tables if not each.name.startswith("rehears")]
        return {each.name: sorted(map(repr, session.execute(sa.select(each)))) for each in every}


def test_the_published_flow_as_recorded_decides_what_the_engine_decided(database: Database) -> None:
    campaign_id, _ = record(database)
    before = contents(database)
    told, passages = rehearse(database, wanted(campaign_id))
    real = decided(database, campaign_id)
    assert ways(passages) == real
    assert {step_id for one in real.values() for step_id, *_ in one} == {f"s{n}" for n in range(1, 10)}
    assert (told["entered"], told["states"]) == (7, {"completed": 6, "exited": 1})
    assert contents(database) == before, "nothing is written to real leads, and nothing is sent"


def short(steps: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return drawn(*steps, step("end", "exit"), **more)


def entered(database: Database, flow: dict[str, Any], leads: int = 3) -> tuple[int, list[int]]:
    """A live campaign with this draft, and leads who asked for it at the beginning of the period."""
    with database.write() as session:
        made, ids = furnished(session, flow, leads)
        factories.request(session, made, ids, at=NOW + HOUR)
        return made.id, ids


@pytest.mark.parametrize("capacity", [2, 3, None])
def test_the_answer_tells_on_how_many_days_a_rep_would_get_more_than_it_can_take(
    sqlite_database: Database, capacity: int | None
) -> None:
    flow = short([step("s1", "handoff", {"out": "end"})])
    campaign_id, _ = entered(sqlite_database, flow, leads=3)
    with sqlite_database.write() as session:
        session.execute(sa.update(Rep).values(capacity=capacity))
    told, _ = rehearse(sqlite_database, wanted(campaign_id, flow))
    [rep] = told["handoffs"]["reps"]
    assert (rep["most"], rep["capacity"], rep["over"]) == (3, capacity, 1 if capacity == 2 else 0)
    assert any("is not said under Sales handoff" in each for each in told["unknown"]) == (capacity is None)


def test_who_does_not_react_takes_the_other_way(sqlite_database: Database) -> None:
    campaign_id, ids = entered(sqlite_database, nurture())
    go_on(sqlite_database, NOW + EVERY)
    with sqlite_database.write() as session:
        clicked(session, ids[0], NOW + DAY)
    asked = wanted(campaign_id, ends_at=NOW + 5 * DAY, lens="nobody", every=DAY)
    told, passages = rehearse(sqlite_database, asked)
    assert "happened" not in {port for way in ways(passages).values() for _, port, _ in way}
    assert (told["reactions"], told["handoffs"]["reps"][0]["count"]) == ({}, 0)
    assert told["unknown"][0].startswith("Nobody opened, clicked")


def test_people_react_as_often_as_they_did_and_each_time_alike(sqlite_database: Database) -> None:
    flow = short([
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait_for_event", {"happened": "end", "timeout": "end"}, event="email_clicked", subject="welcome"),
    ])  # fmt: skip
    campaign_id, ids = entered(sqlite_database, flow, 40)
    for hour in range(3):
        go_on(sqlite_database, NOW + hour * EVERY)
    with sqlite_database.write() as session:
        for lead in ids[:20]:
            clicked(session, lead, NOW + 20 * HOUR)
    asked = wanted(campaign_id, flow, ends_at=NOW + 4 * DAY, lens="past", every=DAY)
    told, passages = rehearse(sqlite_database, asked)
    _, same = rehearse(sqlite_database, asked)
    clicks = told["reactions"]["email_clicked"]
    assert 10 <= clicks <= 30, "half of forty, drawn by a hash"
    went = [port for way in ways(passages).values() for step_id, port, _ in way if step_id == "s2"]
    assert went.count("happened") == clicks
    assert ways(passages) == ways(same)


def test_who_unsubscribed_by_a_mail_does_so_again_and_is_told(sqlite_database: Database) -> None:
    """Not who is unsubscribed by a step of the flow: that is no reaction."""
    flow = short([
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait", {"out": "s3"}, amount=3, unit="days"),
        step("s3", "unsubscribe", {"out": "end"}, topic="news"),
    ])  # fmt: skip
    campaign_id, ids = entered(sqlite_database, flow)
    go_on(sqlite_database, NOW + EVERY)
    with sqlite_database.write() as session:
        mail = session.scalars(sa.select(Message).where(Message.lead_id == ids[0])).one()
        who = sa.select(factories.rows([ids[0]]).c.id)
        consenting.withdraw(session, who, "news", source="Page", at=NOW + DAY, because_of=mail)
    told, passages = rehearse(sqlite_database, wanted(campaign_id, flow, ends_at=NOW + 5 * DAY, every=DAY))
    assert told["reactions"] == {"consent_withdrawn": 1}
    assert [[kind for kind, *_ in one["told"]["did"]] for one in passages] == [["consent_withdrawn"], [], []]


def test_mail_that_may_not_leave_any_more_stays_with_its_reason(sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        made, ids = furnished(session, nurture(), 3)
        sidelines.create(session.connection())
        welcome = session.scalars(sa.select(Mail).where(Mail.key == "welcome")).one()
        owed = {"campaign_id": made.id, "mail_id": welcome.id, "topic_id": welcome.topic_id, "purpose": "marketing"}
        session.add_all([Message(lead_id=lead, **owed, created_at=NOW, not_before=NOW) for lead in ids])
        session.flush()
        session.execute(sa.delete(Subscription).where(Subscription.lead_id == ids[0]))
        session.execute(sa.update(Subscription).where(Subscription.lead_id == ids[1]).values(state="withdrawn"))
    assert posting.post(sqlite_database, Lens("nobody", made.key), NOW) == 1
    with sqlite_database.read() as session:
        found = session.execute(sa.select(Message.state, Message.reason, Message.claimed_by).order_by(Message.lead_id))
        assert list(map(tuple, found)) == [
            ("not_sent", "no_consent", None), ("not_sent", "unsubscribed", None), ("sent", None, None),
        ]  # fmt: skip


def test_mail_of_others_takes_slots_and_is_named(sqlite_database: Database) -> None:
    flow = short([step("s1", "send_email", {"out": "end"}, mail="welcome", over_cap="skip")])
    campaign_id, ids = entered(sqlite_database, flow)
    with sqlite_database.write() as session:
        other = factories.campaign(
            session, factories.flow({"kind": "wait", "settings": {"amount": 1, "unit": "days"}}), "fair"
        )
        second = session.scalars(sa.select(Mail).where(Mail.key == "second")).one()
        taken = {"state": "sent", "created_at": NOW, "not_before": NOW, "finished_at": NOW + timedelta(minutes=30)}
        session.add(Message(lead_id=ids[0], campaign_id=other.id, mail_id=second.id, purpose="marketing", **taken))
        session.add(FrequencyCap(most=1, period="days", days=7, topic_id=None, created_at=NOW))
    told, passages = rehearse(sqlite_database, wanted(campaign_id, flow, ends_at=NOW + DAY))
    assert [one["told"]["mails"][0][5] for one in passages] == ["Fair", None, None]
    assert told["mails"][0]["sent"] == 2
    assert told["not_sent"] == {"frequency_cap": 1}
    assert [(one["campaign"], one["skipped"]) for one in told["collisions"]] == [("fair", 1)]
    assert told["weeks"]["own"] == [[1, 2]]


def test_leads_are_as_they_were_then(sqlite_database: Database) -> None:
    """Fields, tags, consent and points that came later come in their time."""
    arms = [
        {"port": "a1", "name": "Bern", "rule": {"rule": "field", "field": "city", "op": "is", "value": "Bern"}},
        {"port": "a2", "name": "Keen", "rule": {"rule": "tag", "tag": "keen"}},
    ]
    both = {"a1": "s3", "a2": "s3", "else": "s3"}
    flow = short([
        step("s1", "decide", {**both, "a1": "s2", "a2": "s2", "else": "s2"}, arms=arms),
        step("s2", "wait", {"out": "s4"}, amount=2, unit="days"),
        step("s4", "decide", both, arms=arms),
        step("s3", "send_email", {"out": "end", "not_sent": "end"}, mail="welcome"),
    ])  # fmt: skip
    campaign_id, ids = entered(sqlite_database, flow)
    with sqlite_database.write() as session:
        later = NOW + DAY
        updating.set_values(session, ids[0], {"city": "Bern"}, at=later)
        tagging.add(session, sa.select(factories.rows([ids[1]]).c.id), "keen", at=later)
        consenting.withdraw(session, sa.select(factories.rows([ids[2]]).c.id), "news", source="Page", at=later)
    _, passages = rehearse(sqlite_database, wanted(campaign_id, flow, ends_at=NOW + 4 * DAY))
    went = {lead: [port for _, port, _ in way] for lead, way in ways(passages).items()}
    assert went == {
        ids[0]: ["else", "out", "a1", "out", "end"],
        ids[1]: ["else", "out", "a2", "out", "end"],
        ids[2]: ["else", "end"],
    }


def test_a_lead_is_not_there_before_it_came(sqlite_database: Database) -> None:
    flow = short([step("s1", "wait", {"out": "end"}, amount=1, unit="days")])
    flow["triggers"] = [{"id": "t1", "kind": "form_submitted", "settings": {"form": "guide"}}]
    with sqlite_database.write() as session:
        made, _ = furnished(session, flow, 1)
        with clock.at(NOW + 2 * DAY):
            new = creating.create(session, email="new@example.com", source="Form", at=NOW + 2 * DAY).id
        happened(session, new, "form_submitted", "guide", NOW + 2 * DAY)
        campaign_id = made.id
    told, passages = rehearse(sqlite_database, wanted(campaign_id, flow, every=DAY, ends_at=NOW + 5 * DAY))
    assert (told["leads"], told["triggers"], told["steps"]["s1"]["came"]) == (1, {"t1": [[2, 1]]}, [[2, 1]])
    assert [one["lead_id"] for one in passages] == [new]


def started(database: Database, asked: Wanted, at: datetime = END) -> int:
    with database.write() as session:
        return rehearsing.start(session, asked, number=None, user_id=None, at=at).id


def test_what_came_of_it_is_kept_and_goes_with_the_person(database: Database) -> None:
    flow = short([step("s1", "wait", {"out": "end"}, amount=1, unit="days")])
    campaign_id, ids = entered(database, flow)
    id_ = started(database, wanted(campaign_id, flow, every=DAY, ends_at=NOW + 3 * DAY))
    assert rehearsing.run(database, id_, base_url=BASE) == "done"
    with database.write() as session:
        row = session.get_one(Rehearsal, id_)
        assert (row.state, row.progress, (row.result or {})["entered"]) == ("done", 1000, 3)
        assert session.scalars(sa.select(RehearsedPassage.route)).first() == " s1:out end:end "
        erasing.erase(session, ids[0], at=END)
        assert ids[0] not in session.scalars(sa.select(RehearsedPassage.lead_id)).all()
        assert rehearsing.forget(session, id_)
        assert session.scalar(sa.select(sa.func.count()).select_from(RehearsedPassage)) == 0


def test_one_that_is_cancelled_stops_and_leaves_nothing(
    sqlite_database: Database, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path = tmp_path_factory.mktemp("copies")
    monkeypatch.setattr(rehearsing, "_BEAT", 0.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    flow = short([step("s1", "wait", {"out": "end"}, amount=1, unit="days")])
    campaign_id, _ = entered(sqlite_database, flow)
    id_ = started(sqlite_database, wanted(campaign_id, flow, ends_at=NOW + 3 * DAY))
    with sqlite_database.write() as session:
        with pytest.raises(CannotRehearse, match="runs already"):
            rehearsing.start(session, wanted(campaign_id, flow), number=None, user_id=None, at=END)
        assert rehearsing.cancel(session, id_, at=END)
    assert rehearsing.run(sqlite_database, id_, base_url=BASE) == "cancelled"
    with sqlite_database.read() as session:
        row = session.get_one(Rehearsal, id_)
        assert (row.state, row.result) == ("cancelled", None)
    assert list(tmp_path.iterdir()) == [], "nothing is left of the copy"


def test_a_copy_of_a_dead_process_is_removed_and_said_to_have_failed(sqlite_database: Database) -> None:
    left = Path(tempfile.mkdtemp(prefix="trellis-rehearsal-"))
    (left / "alive").touch()
    with copying._folder() as ours:
        copying.sweep()
        assert (ours.exists(), left.exists()) == (True, False)
    assert not ours.exists()
    flow = short([step("s1", "wait", {"out": "end"}, amount=1, unit="days")])
    campaign_id, _ = entered(sqlite_database, flow)
    id_ = started(sqlite_database, wanted(campaign_id, flow))
    assert rehearsing.sweep(sqlite_database, END + timedelta(minutes=1)) == 0
    assert rehearsing.sweep(sqlite_database, END + timedelta(minutes=10)) == 1
    with sqlite_database.read() as session:
        assert "Trellis was stopped" in session.get_one(Rehearsal, id_).error


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"begins_at": END}, "must end after it begins"),
        ({"ends_at": END + DAY}, "an end that has passed"),
        ({"begins_at": END - 500 * DAY}, "longer than 400 days"),
        ({"lens": "rosy"}, "no lens “rosy”"),
        ({"every": timedelta(seconds=1)}, "every five minutes"),
    ],
)
def test_what_cannot_be_rehearsed_is_said(more: dict[str, Any], sentence: str) -> None:
    with pytest.raises(CannotRehearse, match=sentence):
        rehearsing.check(Wanted(1, {}, **{"begins_at": NOW, "ends_at": END, **more}), END)


def test_nobody_to_rehearse_with_is_said(sqlite_database: Database) -> None:
    flow = short([step("s1", "wait", {"out": "end"}, amount=1, unit="days")])
    with sqlite_database.write() as session:
        made, _ = furnished(session, flow, 2)
        campaign_id = made.id
    for more, sentence in (({}, "No trigger of the flow"), ({"segment": "gone"}, "no segment with the key gone")):
        with pytest.raises(CannotRehearse, match=sentence):
            rehearse(sqlite_database, wanted(campaign_id, flow, **more))


def test_a_campaign_or_a_file_is_rehearsed_by_command(app: Flask, sqlite_database: Database, tmp_path: Path) -> None:
    flow = short([step("s1", "wait", {"out": "end"}, amount=1, unit="days")])
    entered(sqlite_database, flow)
    run = app.test_cli_runner().invoke
    period = ["--from", "2026-03-02T09:00Z", "--to", "2026-03-05", "--json"]
    told = json.loads(run(args=["rehearse", "nurture", *period]).stdout)
    assert (told["entered"], told["states"], told["rehearsal"]) == (3, {"completed": 3}, 1)
    assert "3 came in: 3 completed" in run(args=["rehearse", "nurture", *period[:-1]]).stdout
    file = tmp_path / "nurture.yaml"
    file.write_text(run(args=["campaigns", "export", "nurture"]).stdout.replace("amount: 1", "amount: 9"))
    before = contents(sqlite_database)
    told = json.loads(run(args=["rehearse", str(file), *period]).stdout)
    assert told["states"] == {"active": 3}
    assert contents(sqlite_database) == before
    refused = run(args=["rehearse", "nobody", *period])
    assert (refused.exit_code, "no campaign with the key nobody" in refused.stderr) == (1, True)
    assert run(args=["rehearse", "nurture", *period, "--every", "soon"]).exit_code == 2
