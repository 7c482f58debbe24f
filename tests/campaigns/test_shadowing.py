"""A version runs in shadow on live traffic: the real engine moves real leads, and nothing leaves or changes but the shadow."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from app.accounts import tokens
from app.accounts.models import User
from app.campaigns import contrasting, drafting, publishing, scratch, shadowing
from app.campaigns.contrasting import Contrast
from app.campaigns.hurrying import Nobody
from app.campaigns.models import Shadow, ShadowRow
from app.campaigns.shadowing import CannotShadow
from app.db import Base, Database
from app.engine import ticking
from app.engine.models import Campaign
from app.leads import erasing, merging, tagging
from app.mail import delivering, links, reacting
from app.mail.models import MailVersion
from app.outbox import Message
from app.segments.models import Segment, SegmentMember
from app.tracking import recording
from app.tracking.models import Event
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step
from tests.conftest import NOW

BASE = "https://trellis.example.com"
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
CLICKED = {"rule": "clicked", "mail": "welcome", "times": 1}
PERSON = {"browser": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", "medium": "click"}


@pytest.fixture(autouse=True)
def _at_home() -> None:
    links.use(BASE)


def live_flow() -> dict[str, Any]:
    """Mail, two days, over."""
    return drawn(
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait", {"out": "s3"}, amount=2, unit="days"),
        step("s3", "exit"),
    )


def new_flow() -> dict[str, Any]:
    """The same, but then those who clicked go to sales; of the others everything is done that leaves or changes."""
    arms = [{"port": "a1", "name": "Clicked", "rule": CLICKED}]
    return drawn(
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait", {"out": "s4"}, amount=1, unit="days"),
        step("s4", "decide", {"a1": "s5", "else": "s6"}, arms=arms),
        step("s5", "handoff", {"out": "s3"}),
        step("s6", "webhook", {"out": "s7"}, url="https://crm.example.com/hook"),
        step("s7", "create_task", {"out": "s8"}, title="Call once"),
        step("s8", "notify", {"out": "s9"}, text="Look", to="rep@example.com"),
        step("s9", "add_tag", {"out": "s10"}, tag="cold"),
        step("s10", "change_score", {"out": "s11"}, points=-5, reason="Idle"),
        step("s11", "set_stage", {"out": "s12"}, stage="mql"),
        step("s12", "set_field", {"out": "s13"}, field="city", value="Nowhere"),
        step("s13", "add_note", {"out": "s14"}, text="Idle"),
        step("s14", "unsubscribe", {"out": "s3"}, topic="news"),
        step("s3", "exit"),
    )


def prepared(session: Session, flow: dict[str, Any] | None = None, leads: int = 3) -> tuple[Campaign, list[int]]:
    """A live campaign, another draft of it, and leads who agreed to its mail."""
    furnish(session)
    link = {"url": "https://example.com/pricing", "label": "See prices"}
    session.execute(sa.update(MailVersion).values(links=[link]))
    ids = factories.leads(session, leads, topic="news")
    made = factories.campaign(session, drafting.written(live_flow()), at=NOW)
    drafting.replace(session, made.id, flow or new_flow(), user_id=None, at=NOW)
    return made, ids


def pass_on(database: Database, campaign_id: int, until: datetime, *, since: datetime = NOW, hours: int = 12) -> None:
    """Live and shadow go on side by side."""
    at = since
    while at <= until:
        live(database, at)
        shadowing.advance(database, campaign_id, at, base_url=BASE)
        at += timedelta(hours=hours)


def live(database: Database, at: datetime) -> None:
    ticking.tick(database, at)
    delivering.run_once(database, Nobody(), now=at, worker="test")


def started(database: Database, **more: Any) -> tuple[int, list[int]]:
    with database.write() as session:
        made, ids = prepared(session, **more)
        shadowing.start(session, made.id, number=None, user_id=None, at=NOW)
        return made.id, ids


def contents(database: Database) -> dict[str, Any]:
    """Everything there is, but the shadow."""
    with database.read() as session:
        every = [each for each in Base.metadata.sorted_tables if not each.name.startswith("shadow")]
        return {each.name: sorted(map(repr, session.execute(sa.select(each)))) for each in every}


def paths(database: Database) -> dict[int, list[tuple[str, str]]]:
    """Lead -> steps and ports in shadow."""
    found: dict[int, list[tuple[int, str, str]]] = {}
    with database.read() as session:
        for row in session.scalars(sa.select(ShadowRow).where(ShadowRow.name == "decisions")):
            own = row.change["own"]
            found.setdefault(row.lead_id or 0, []).append((own["visit"], own["step"], own["port"]))
    return {lead: [(step, port) for _, step, port in sorted(rows)] for lead, rows in found.items()}


def names(database: Database) -> dict[str, int]:
    with database.read() as session:
        counted = sa.select(ShadowRow.name, sa.func.count()).group_by(ShadowRow.name)
        return dict(session.execute(counted).all())


def test_real_leads_go_through_the_shadow_and_nothing_else_changes(database: Database) -> None:
    campaign_id, ids = started(database)
    with database.write() as session:
        factories.request(session, session.get_one(Campaign, campaign_id), ids[:2])
    at = NOW
    while at <= NOW + 2 * DAY:
        live(database, at)
        before = contents(database)
        assert shadowing.advance(database, campaign_id, at, base_url=BASE)
        assert contents(database) == before
        at += timedelta(hours=12)
    found = paths(database)
    assert found.keys() == set(ids[:2])
    assert [step for step, _ in found[ids[0]]] == ["s1", "s2", "s4", *(f"s{n}" for n in range(6, 15)), "s3"]
    left = names(database)
    for name in ("messages", "webhook_calls", "tasks", "alerts", "notes", "score_entries", "lead_tags", "leads"):
        assert left[name] == 2, name
    assert left["consents"] == left["subscriptions"] == 2


def test_what_the_lead_did_with_the_live_mail_it_did_with_the_same_mail_of_the_shadow(database: Database) -> None:
    campaign_id, ids = started(database)
    with database.write() as session:
        factories.request(session, session.get_one(Campaign, campaign_id), ids[:2])
    live(database, NOW)
    shadowing.advance(database, campaign_id, NOW, base_url=BASE)
    with database.write() as session:
        message = session.scalars(sa.select(Message).where(Message.lead_id == ids[0])).one()
        link = reacting.link_of(session, message, 0)
        assert link is not None
        reacting.click(session, message, 0, link, at=NOW + 30 * MINUTE, evidence=PERSON, remembered=None)
    pass_on(database, campaign_id, NOW + 2 * DAY, since=NOW + timedelta(hours=6))
    found = paths(database)
    assert ("s4", "a1") in found[ids[0]]
    assert ("s4", "else") in found[ids[1]]
    assert names(database)["handoffs"] == 1
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Base.metadata.tables["handoffs"])) == 0


def test_it_ends_and_leaves_nothing(database: Database) -> None:
    campaign_id, ids = started(database)
    with database.write() as session:
        factories.request(session, session.get_one(Campaign, campaign_id), ids)
    pass_on(database, campaign_id, NOW + DAY)
    assert names(database)
    with database.write() as session:
        assert shadowing.end(session, campaign_id)
        assert not shadowing.end(session, campaign_id)
    assert names(database) == {}
    assert not shadowing.advance(database, campaign_id, NOW + 2 * DAY, base_url=BASE)


def ask(database: Database, campaign_id: int, ids: list[int], at: datetime = NOW) -> None:
    with database.write() as session:
        factories.request(session, session.get_one(Campaign, campaign_id), ids, at=at)


def compared(database: Database, campaign_id: int) -> Contrast:
    with database.read() as session:
        return contrasting.contrast(session, session.get_one(Shadow, campaign_id))


def test_live_and_shadow_stand_beside_each_other(database: Database) -> None:
    campaign_id, ids = started(database)
    ask(database, campaign_id, ids)
    pass_on(database, campaign_id, NOW + 3 * DAY)
    told = compared(database, campaign_id)
    assert (told.entered.live, told.entered.shadow) == (3, 3)
    steps = {each.step: each for each in told.steps}
    assert [(way.label, way.live, way.shadow) for way in steps["s1"].ways] == [("Sent", 3, 3)]
    assert [(way.label, way.live, way.shadow) for way in steps["s4"].ways] == [("No", 0, 3)]
    assert (steps["s4"].is_live, steps["s1"].is_live) == (False, True)
    [mail] = told.mails
    assert (mail.sent.live, mail.sent.shadow, mail.not_sent.shadow) == (3, 3, 0)
    assert {each.label: (each.live, each.shadow) for each in told.owed} == {
        "Tasks": (0, 3),
        "Alerts": (0, 3),
        "Webhook calls": (0, 3),
    }
    assert {"3 tags added", "3 stages changed", "3 fields changed", "3 notes written"} <= set(told.changes)
    assert (told.parted_count, told.alike_count) == (3, 0)
    assert told.parted[0].name == "Lead 1"
    assert told.parted[0].sentence == (
        "After “Wait: 1 day” came to “If / else: Clicked a link in “Welcome”” in shadow, to “Exit: End of campaign” live."
    )
    assert any("never sent" in words for words in told.unknown)


def test_the_same_flow_goes_the_same_way(database: Database) -> None:
    campaign_id, ids = started(database, flow=live_flow())
    ask(database, campaign_id, ids[:2])
    pass_on(database, campaign_id, NOW + 3 * DAY)
    told = compared(database, campaign_id)
    assert (told.parted_count, told.alike_count, told.owed, told.changes) == (0, 2, [], [])
    assert all(way.live == way.shadow == 2 for step in told.steps for way in step.ways)


def test_nobody_comes_in_who_is_inside_or_would_be_kept_out(database: Database) -> None:
    with database.write() as session:
        made, ids = prepared(session, leads=4)
        campaign_id = made.id
    ask(database, campaign_id, ids[:1])
    live(database, NOW)
    with database.write() as session:
        shadowing.start(session, campaign_id, number=None, user_id=None, at=NOW + MINUTE)
    ask(database, campaign_id, ids[:2], NOW + 2 * MINUTE)
    pass_on(database, campaign_id, NOW + DAY, since=NOW + 3 * MINUTE)
    assert paths(database).keys() == {ids[1]}
    told = compared(database, campaign_id)
    assert (told.entered.live, told.entered.shadow, told.parted_count) == (1, 1, 0)


def test_who_comes_in_by_one_of_the_two_alone_is_named(database: Database) -> None:
    flow = new_flow()
    flow["triggers"] = [{"id": "t2", "kind": "page_visited", "settings": {"path": "/pricing"}}]
    campaign_id, ids = started(database, flow=flow)
    ask(database, campaign_id, ids[:1])
    with database.write() as session:
        values = {"kind": "page_viewed", "subject": "/pricing", "at": NOW, "agent": "human"}
        recording.record(session, identity_id=ids[1], **values)
        recording.record(session, identity_id=ids[2], **values | {"agent": "machine"})
    pass_on(database, campaign_id, NOW + timedelta(hours=12))
    told = compared(database, campaign_id)
    assert {each.lead_id: each.sentence for each in told.parted} == {
        ids[0]: "Entered live only.",
        ids[1]: "Entered in shadow only.",
    }


def test_an_event_is_seen_once_however_late_it_commits(database: Database) -> None:
    """Ids commit out of order: one lower than those seen already is still new; one that was seen is not."""
    flow = drawn(step("s1", "exit"), re_entry={"mode": "after_exit"})
    campaign_id, ids = started(database, flow=flow)
    with database.write() as session:
        first = recording.record(session, kind="custom", subject="nothing", identity_id=ids[2], at=NOW)
    ask(database, campaign_id, ids[:1])
    pass_on(database, campaign_id, NOW + MINUTE)
    with database.write() as session:
        values = {"kind": "campaign_requested", "subject": "nurture"}
        session.execute(sa.update(Event).where(Event.id == first).values(values))  # as if it came only now
        shadow = session.get_one(Shadow, campaign_id)
        shadow.seen = [id_ for id_ in shadow.seen if id_ != first]
    for minutes in range(2, 30, 3):
        pass_on(database, campaign_id, NOW + minutes * MINUTE, since=NOW + minutes * MINUTE)
    with database.read() as session:
        entered = session.scalars(sa.select(ShadowRow.lead_id).where(ShadowRow.name == "enrollments")).all()
        assert sorted(entered) == [ids[0], ids[2]]
        assert session.get_one(Shadow, campaign_id).seen_until > first  # so that the list of later ones stays short


def test_a_try_that_dies_in_the_middle_leaves_the_shadow_where_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    campaign_id, ids = started(database)
    ask(database, campaign_id, ids)
    live(database, NOW)
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))

    def dies(*_args: Any, **_more: Any) -> None:
        raise RuntimeError("no more")

    with monkeypatch.context() as patched:
        patched.setattr(delivering, "run_once", dies)
        before = contents(database)
        assert shadowing.run_due(database, NOW, base_url=BASE) == 0
        assert contents(database) == before
    assert names(database) == {}
    assert list(tmp_path.glob("trellis-try-*")) == []
    with database.read() as session:
        assert session.get_one(Shadow, campaign_id).trouble == "RuntimeError: no more"
    assert shadowing.run_due(database, NOW + MINUTE, base_url=BASE) == 1
    assert names(database)["messages"] == 3
    with database.read() as session:
        assert session.get_one(Shadow, campaign_id).trouble is None


def test_a_copy_of_a_process_that_was_killed_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    old, new = tmp_path / "trellis-try-old", tmp_path / "trellis-try-new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "try.sqlite").touch()
    os.utime(old, (0, 0))
    scratch.sweep()
    assert (old.exists(), new.exists()) == (False, True)


def test_two_that_go_on_with_it_at_once_write_it_down_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign_id, ids = started(database)
    ask(database, campaign_id, ids)
    live(database, NOW)
    kept = shadowing._run

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(shadowing, "_run", kept)
        assert shadowing.advance(database, campaign_id, NOW, base_url=BASE)
        return kept(*given)

    monkeypatch.setattr(shadowing, "_run", meanwhile)
    assert not shadowing.advance(database, campaign_id, NOW, base_url=BASE)
    assert names(database)["messages"] == 3


def test_ended_while_it_goes_on_it_stays_ended(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign_id, ids = started(database)
    ask(database, campaign_id, ids)
    live(database, NOW)
    kept = shadowing._run

    def meanwhile(*given: Any) -> Any:
        with database.write() as session:
            shadowing.end(session, campaign_id)
        return kept(*given)

    monkeypatch.setattr(shadowing, "_run", meanwhile)
    assert not shadowing.advance(database, campaign_id, NOW, base_url=BASE)
    assert names(database) == {}


def test_an_erased_lead_is_in_no_shadow_any_more(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign_id, ids = started(database)
    ask(database, campaign_id, ids)
    pass_on(database, campaign_id, NOW)
    kept = shadowing._run

    def meanwhile(*given: Any) -> Any:
        with database.write() as session:
            erasing.erase(session, ids[0], at=NOW)
        return kept(*given)

    monkeypatch.setattr(shadowing, "_run", meanwhile)
    assert shadowing.advance(database, campaign_id, NOW + DAY, base_url=BASE)
    with database.read() as session:
        assert set(session.scalars(sa.select(ShadowRow.lead_id).distinct())) - {None} == set(ids[1:])


def test_a_lead_that_was_merged_leaves_the_shadow(database: Database) -> None:
    campaign_id, ids = started(database)
    ask(database, campaign_id, ids)
    pass_on(database, campaign_id, NOW)
    with database.write() as session:
        merging.merge(session, ids[0], ids[1], user_id=None, at=NOW + MINUTE)
    pass_on(database, campaign_id, NOW + DAY, since=NOW + 2 * MINUTE)
    with database.read() as session:
        assert set(session.scalars(sa.select(ShadowRow.lead_id).distinct())) - {None} == {ids[0], ids[2]}
        assert session.get_one(Shadow, campaign_id).trouble is None


def test_it_is_over_with_its_campaign_or_after_a_month(database: Database) -> None:
    campaign_id, _ = started(database)
    assert shadowing.run_due(database, NOW + 31 * DAY, base_url=BASE) == 0
    with database.write() as session:
        assert session.get(Shadow, campaign_id) is None
        shadowing.start(session, campaign_id, number=1, user_id=None, at=NOW)
        publishing.end(session, campaign_id, at=NOW)
    shadowing.run_due(database, NOW + DAY, base_url=BASE)
    with database.write() as session:
        assert session.get(Shadow, campaign_id) is None
        with pytest.raises(CannotShadow, match="archive"):
            shadowing.start(session, campaign_id, number=None, user_id=None, at=NOW)


def test_what_cannot_run_is_refused_with_a_sentence(database: Database) -> None:
    flow = drawn(step("s1", "send_email", {"out": "s2"}, mail="gone"), step("s2", "exit"))
    with database.write() as session:
        made, _ = prepared(session, flow=flow)
        for number, words in ((None, "There is no mail called “gone”"), (7, "no version 7")):
            with pytest.raises(CannotShadow, match=words):
                shadowing.start(session, made.id, number=number, user_id=None, at=NOW)
        shadowing.start(session, made.id, number=1, user_id=None, at=NOW)
        with pytest.raises(CannotShadow, match="already"):
            shadowing.start(session, made.id, number=1, user_id=None, at=NOW)


def test_those_who_match_already_and_those_whom_the_clock_brings_come_in(database: Database) -> None:
    flow = new_flow()
    flow["triggers"] = [
        {"id": "t1", "kind": "tag_changed", "settings": {"tag": "vip"}, "already": True},
        {"id": "t2", "kind": "schedule", "settings": {"cron": "0 12 * * *", "segment": "everybody"}},
    ]
    with database.write() as session:
        made, ids = prepared(session)
        rule = {"rule": "field", "field": "email", "op": "is_set"}
        everybody = Segment(
            key="everybody", name="Everybody", rule=rule, created_at=NOW, updated_at=NOW, refreshed_at=NOW
        )
        session.add(everybody)
        session.flush()
        session.add(SegmentMember(segment_id=everybody.id, lead_id=ids[1], joined_at=NOW))
        tagging.add(session, sa.select(sa.literal(ids[0])), "vip", at=NOW - DAY)
        drafting.replace(session, made.id, flow, user_id=None, at=NOW)
        shadowing.start(session, made.id, number=None, user_id=None, at=NOW)
        campaign_id = made.id
    pass_on(database, campaign_id, NOW)
    assert paths(database).keys() == {ids[0]}
    pass_on(database, campaign_id, NOW + timedelta(hours=4), since=NOW + timedelta(hours=2), hours=1)
    assert paths(database).keys() >= {ids[0], ids[1]}


def test_marketers_start_compare_and_end_it_on_its_page(sign_in: Any, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        made, ids = prepared(session)
        campaign_id = made.id
    client, place = sign_in("marketer"), f"/campaigns/{campaign_id}/shadow"
    assert "No shadow runs" in client.get(place).text
    assert client.post(place, data={"version": ""}).status_code == 302
    assert "It starts within a minute" in client.get(place).text
    with sqlite_database.write() as session:
        session.execute(sa.update(Shadow).values(started_at=NOW))
    ask(sqlite_database, campaign_id, ids)
    pass_on(sqlite_database, campaign_id, NOW + 2 * DAY)
    page = client.get(place).text
    for words in (
        "Step by step",
        "Webhook",
        "Webhook calls",
        "Went another way",
        "What a shadow cannot know",
        "Publish it",
    ):
        assert words in page
    assert "running already" in client.post(place, data={"version": "1"}).text
    with sqlite_database.write() as session:
        drafting.replace(session, campaign_id, live_flow(), user_id=None, at=NOW)
    assert client.post(f"{place}/draft").status_code == 302
    with sqlite_database.read() as session:
        assert drafting.get(session, campaign_id).flow == session.get_one(Shadow, campaign_id).flow
    assert sign_in("sales").delete(place).status_code == 403
    assert client.delete(place).status_code == 303
    assert names(sqlite_database) == {}
    assert "no shadow" in client.delete(place).text


def test_it_runs_without_a_browser_and_is_read_by_the_api(app: Flask, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        made, ids = prepared(session)
        campaign_id = made.id
    run = app.test_cli_runner().invoke
    assert run(args=["campaigns", "shadow", "show", "nurture"]).exit_code == 1
    assert "runs" in run(args=["campaigns", "shadow", "start", "nurture", "--at", "2026-03-02T09:00Z"]).output
    ask(sqlite_database, campaign_id, ids)
    for day in (2, 3, 4):
        run(args=["tick", "--now", f"2026-03-0{day}T10:00Z", "--send"])
        assert "1 shadow went on" in run(args=["campaigns", "shadow", "run", "--now", f"2026-03-0{day}T10:00Z"]).output
    told = json.loads(run(args=["campaigns", "shadow", "show", "nurture", "--json"]).output)
    assert told["entered"] == {"label": "Entered", "live": 3, "shadow": 3}
    assert "3 live, 3 in shadow" in run(args=["campaigns", "shadow", "show", "nurture"]).output
    with sqlite_database.write() as session:
        boss = User(email="api@example.com", name="Api", role="marketer", password_hash="-", created_at=NOW)
        session.add(boss)
        session.flush()
        headers = {"Authorization": f"Bearer {tokens.create(session, boss.id, 'test')[1]}"}
    client = app.test_client()
    assert client.get("/api/v1/campaigns/nurture/shadow", headers=headers).json["entered"] == told["entered"]
    assert "ended" in run(args=["campaigns", "shadow", "end", "nurture"]).output
    assert run(args=["campaigns", "shadow", "end", "nurture"]).exit_code == 1
    assert client.get("/api/v1/campaigns/nurture/shadow", headers=headers).status_code == 404


def test_a_throttle_gives_turns_to_all_leads_of_the_shadow(database: Database) -> None:
    """Also to those of whom nothing else is looked at."""
    flow = drawn(
        step("s1", "throttle", {"out": "s2"}, per_hour=1),
        step("s2", "create_task", {"out": "s3"}, title="Call"),
        step("s3", "exit"),
    )
    campaign_id, ids = started(database, flow=flow)
    for minute, lead in enumerate(ids):
        at = NOW + minute * MINUTE
        ask(database, campaign_id, [lead], at)
        pass_on(database, campaign_id, at, since=at)
    pass_on(database, campaign_id, NOW + timedelta(hours=1), since=NOW + timedelta(hours=1))
    assert set(paths(database)) == set(ids[:2])
    pass_on(database, campaign_id, NOW + timedelta(hours=3), since=NOW + timedelta(hours=3))
    assert paths(database) == {lead: [("s1", "out"), ("s2", "out"), ("s3", "end")] for lead in ids}
    assert names(database)["tasks"] == 3
