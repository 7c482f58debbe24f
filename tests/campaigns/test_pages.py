"""The designer's pages: what they show, save and refuse, for each role."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import clock
from app.campaigns import drafting, publishing
from app.db import Database
from app.engine.models import Campaign, Enrollment
from app.engine.ticking import tick
from tests import factories
from tests.campaigns.conftest import drawn, furnish, step, whole

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def campaign_id(sqlite_database: Database) -> int:
    """A draft in a furnished house."""
    with sqlite_database.write() as session:
        furnish(session)
        return drafting.create(session, name="Nurture", at=factories.NOW, flow=whole()).id


def put(client: FlaskClient, campaign_id: int, revision: Any, flow: Any) -> Any:
    return client.put(f"/campaigns/{campaign_id}/draft", json={"revision": revision, "flow": flow})


def test_a_campaign_is_made_by_name_or_from_a_file(sign_in: SignIn, sqlite_database: Database) -> None:
    client = sign_in("marketer")
    file = (io.BytesIO(b"campaign: From a file\nsteps:\n  - id: s1\n    exit: {}\n"), "x.yaml")

    assert client.post("/campaigns", data={"name": "Drawn"}).status_code == 303
    assert client.post("/campaigns", data={"file": file}).status_code == 303
    assert b"Name the campaign" in client.post("/campaigns", data={"name": " "}).data
    bad = client.post("/campaigns", data={"file": (io.BytesIO(b"campaign: [\n"), "x.yaml")})
    assert (bad.status_code, b"this is not YAML" in bad.data) == (422, True)
    with sqlite_database.read() as session:
        assert set(session.scalars(sa.select(Campaign.name))) == {"Drawn", "From a file"}


def test_the_designer_opens_for_every_role_and_only_marketers_may_change(sign_in: SignIn, campaign_id: int) -> None:
    revision = 1
    for role, may_edit in (("administrator", True), ("marketer", True), ("sales", False), ("viewer", False)):
        client = sign_in(role)
        page = client.get(f"/campaigns/{campaign_id}")
        saved = put(client, campaign_id, revision, whole()).status_code
        assert (page.status_code, b'id="publish"' in page.data, saved) == (200, may_edit, 200 if may_edit else 403)
        assert client.get("/campaigns").status_code == 200
        revision += may_edit


def test_saving_answers_titles_paths_and_problems(sign_in: SignIn, campaign_id: int) -> None:
    flow = drawn(
        step("s1", "wait", {"out": "s2"}, amount=3), step("s2", "send_email", {"out": "s3"}), step("s3", "exit")
    )

    answer = put(sign_in("marketer"), campaign_id, 1, flow).get_json()

    assert answer["revision"] == 2
    assert answer["looks"]["s1"] == {"title": "3 days", "ports": [{"label": "", "name": "out", "optional": False}]}
    assert [port["name"] for port in answer["looks"]["s2"]["ports"]] == ["out", "not_sent"]
    assert [(p["step"], p["is_warning"]) for p in answer["problems"]] == [("s2", False)]


def test_a_conflict_brings_the_other_draft_and_says_whose(sign_in: SignIn, campaign_id: int) -> None:
    assert put(sign_in("marketer", name="Ana"), campaign_id, 1, drawn(step("hers", "exit"))).status_code == 200

    answer = put(sign_in("administrator"), campaign_id, 1, drawn(step("mine", "exit")))

    assert answer.status_code == 409
    assert "Ana changed this campaign" in answer.get_json()["sentence"]
    assert answer.get_json()["flow"]["start"] == "hers"


@pytest.mark.parametrize(
    "body", [None, [], {"revision": "1"}, {"revision": 1, "flow": []}, {"revision": 1, "flow": {"steps": [1]}}]
)
def test_a_draft_that_is_none_is_refused_with_a_sentence(sign_in: SignIn, campaign_id: int, body: Any) -> None:
    answer = sign_in("marketer").put(f"/campaigns/{campaign_id}/draft", json=body)

    assert answer.status_code in (400, 422)
    assert answer.get_json()["sentence"].endswith((".", "again."))


def form(client: FlaskClient, campaign_id: int, kind: str, settings: Any, what: str = "step") -> str:
    data = {"what": what, "kind": kind, "settings": json.dumps(settings)}
    answer = client.post(f"/campaigns/{campaign_id}/draft/form", data=data)
    assert answer.status_code == 200, answer.data
    return answer.get_data(as_text=True)


def typed(client: FlaskClient, campaign_id: int, kind: str, what: str = "step", **fields: Any) -> Any:
    data = {"_what": what, "_kind": kind, **fields}
    return client.post(f"/campaigns/{campaign_id}/draft/settings", data=data).get_json()


def test_every_kind_has_a_form_drawn_from_its_declaration(sign_in: SignIn, campaign_id: int) -> None:
    from app.campaigns import palette

    client = sign_in("marketer")
    for card in palette.steps():
        assert form(client, campaign_id, card["kind"], card["settings"])
    for card in palette.triggers():
        assert form(client, campaign_id, card["kind"], card["settings"], "trigger")
    assert "May a lead come again?" in form(client, campaign_id, "", {}, "campaign")


def test_hostile_settings_are_shown_as_text(sign_in: SignIn, campaign_id: int) -> None:
    shown = form(sign_in("marketer"), campaign_id, "notify", {"text": "</textarea><script>alert(1)</script>"})

    assert "<script>" not in shown


def test_what_is_typed_becomes_settings_with_complaints_at_their_field(sign_in: SignIn, campaign_id: int) -> None:
    client = sign_in("marketer")

    good = typed(client, campaign_id, "wait", amount="5", unit="hours")
    bad = typed(client, campaign_id, "wait", amount="0", unit="hours")

    assert (good["settings"], good["look"]["title"], good["complaints"]) == (
        {"amount": 5, "unit": "hours"},
        "5 hours",
        [],
    )
    assert [c["at"] for c in bad["complaints"]] == ["amount"]


def test_arms_and_shares_are_added_and_taken_away(sign_in: SignIn, campaign_id: int) -> None:
    client = sign_in("marketer")
    arm = {
        "arms.row": "0",
        "arms.0.port": "a1",
        "arms.0.name": "Yes",
        "arms.0.rule": json.dumps({"all": [{"rule": "score"}]}),
    }
    share = {"shares.row": ["0", "1"], "shares.0.port": "a", "shares.0.name": "A", "shares.0.percent": "70"}
    share |= {"shares.1.port": "b", "shares.1.name": "B", "shares.1.percent": "30"}

    more = typed(client, campaign_id, "decide", _act="add arms", else_name="No", **arm)
    thirds = typed(client, campaign_id, "split", _act="add shares", **share)

    assert [a["port"] for a in more["settings"]["arms"]] == ["a1", "a2"]
    assert [p["name"] for p in more["look"]["ports"]] == ["a1", "a2", "else"]
    assert [s["percent"] for s in thirds["settings"]["shares"]] == [34, 33, 33]


def test_lists_of_events_values_and_bands_are_typed_and_grow(sign_in: SignIn, campaign_id: int) -> None:
    client = sign_in("marketer")
    values = {"arms.row": "0", "arms.0.port": "a1", "arms.0.name": "DACH", "arms.0.values": "CH, DE ,,AT"}
    bands = {"bands.row": "0", "bands.0.port": "a1", "bands.0.name": "High", "bands.0.at_least": "70"}
    holdout = {"shares.row": ["0", "1"], "shares.0.port": "a", "shares.0.name": "A", "shares.0.percent": "90"}
    holdout |= {"shares.1.port": "b", "shares.1.name": "B", "shares.1.percent": "10", "shares.1.is_holdout": "1"}

    by_field = typed(client, campaign_id, "by_field", field="country", else_name="Any other", **values)
    more = typed(client, campaign_id, "by_score", _act="add bands bands", of="total", below_name="Low", **bands)
    first = typed(client, campaign_id, "wait_for_event", _act="add others awaited", event="email_clicked", patience="3")
    mail = typed(client, campaign_id, "by_mail", outcomes=["clicked", "not_sent"], scope="passage")
    split = typed(client, campaign_id, "split", **holdout)

    assert by_field["settings"]["arms"] == [{"port": "a1", "name": "DACH", "values": ["CH", "DE", "AT"]}]
    assert [b["port"] for b in more["settings"]["bands"]] == ["a1", "a2"]
    assert first["settings"]["others"] == [{"port": "a1", "name": "", "event": "email_replied", "subject": ""}]
    assert [p["name"] for p in first["look"]["ports"]] == ["happened", "a1", "timeout"]
    assert [p["label"] for p in mail["look"]["ports"]] == ["Clicked", "Not sent", "Nothing yet"]
    assert [p["label"] for p in split["look"]["ports"]] == ["A", "B (holdout)"]
    for answer, kind in ((by_field, "by_field"), (more, "by_score"), (first, "wait_for_event"), (mail, "by_mail")):
        assert form(client, campaign_id, kind, answer["settings"])


def test_campaign_settings_go_into_the_flow(sign_in: SignIn, campaign_id: int) -> None:
    answer = typed(
        sign_in("marketer"),
        campaign_id,
        "",
        "campaign",
        again="after_days",
        days="9",
        priority="77",
        topic="news",
        audience_mode="exit",
        on_unsubscribe="stay",
    )

    found = answer["settings"]
    assert (found["re_entry"], found["priority"], found["topic"]) == ({"mode": "after_days", "days": 9}, 9, "news")
    assert (found["audience_mode"], found["on_unsubscribe"], found["audience"]) == ("exit", "stay", None)


def test_publishing_pausing_and_resuming(sign_in: SignIn, campaign_id: int, sqlite_database: Database) -> None:
    client = sign_in("marketer")
    put(client, campaign_id, 1, drawn(step("s1", "send_email", {})))
    refused = client.post(f"/campaigns/{campaign_id}/publication", json={"revision": 2})
    assert refused.status_code == 422
    assert {p["step"] for p in refused.get_json()["problems"]} == {"s1"}

    put(client, campaign_id, 2, whole())
    assert client.post(f"/campaigns/{campaign_id}/publication", json={"revision": 3}).get_json()["version"] == 1
    assert client.get(f"/campaigns/{campaign_id}/figures").get_json()["steps"]["s1"]["entered"] == 0
    assert client.post(f"/campaigns/{campaign_id}/pause").status_code == 303
    assert client.post(f"/campaigns/{campaign_id}/pause").status_code == 422
    assert client.post(f"/campaigns/{campaign_id}/release").status_code == 303
    assert client.post(f"/campaigns/{campaign_id}/archive").status_code == 303
    with sqlite_database.read() as session:
        assert session.get_one(Campaign, campaign_id).state == "ended"


def test_leads_are_added_by_hand_and_explained(sign_in: SignIn, campaign_id: int, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        lead_id = factories.leads(session, 1, at=factories.NOW, topic="news")[0]
    client = sign_in("marketer")
    assert client.post(f"/campaigns/{campaign_id}/leads", data={"lead": lead_id}).status_code == 422
    with sqlite_database.write() as session:
        publishing.publish(session, campaign_id, user_id=None, at=factories.NOW)
    assert b"Nurture" in client.get(f"/leads/{lead_id}/campaigns/entry").data
    assert client.post(f"/leads/{lead_id}/campaigns/entry", data={"campaign": campaign_id}).status_code == 303
    tick(sqlite_database, clock.now())

    assert b"Lead 1" in client.get(f"/campaigns/{campaign_id}/steps/s2/leads?scope=here").data
    assert b"Nurture" in client.get(f"/leads/{lead_id}/campaigns").data
    assert b"Entered on request: added by" in client.get(f"/campaigns/{campaign_id}/leads/{lead_id}/why").data


def test_ticked_leads_are_added_together(sign_in: SignIn, campaign_id: int, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        ids = factories.leads(session, 3, at=factories.NOW, topic="news")
        publishing.publish(session, campaign_id, user_id=None, at=factories.NOW)
    client = sign_in("marketer")
    assert "Add to campaign" in client.get("/leads").text
    shown = client.get(f"/campaigns/entry?lead={ids[0]}&lead={ids[2]}").text
    assert "Campaign for 2 leads" in shown and f'name="lead" value="{ids[2]}"' in shown
    assert client.get("/campaigns/entry").status_code == 422
    client.post("/campaigns/entry", data={"campaign": campaign_id, "lead": [ids[0], ids[2]]})
    tick(sqlite_database, clock.now())
    with sqlite_database.read() as session:
        inside = sa.select(Enrollment.lead_id).order_by(Enrollment.lead_id)
        assert list(session.scalars(inside)) == [ids[0], ids[2]]


def test_a_campaign_can_be_taken_along_as_text(sign_in: SignIn, campaign_id: int) -> None:
    answer = sign_in("viewer").get(f"/campaigns/{campaign_id}/flow.yaml")

    assert answer.mimetype == "application/yaml"
    assert b"send_email: {mail: welcome}" in answer.data


# --- with leads inside


def test_rule_23_the_plan_is_shown_carried_out_and_undone_on_the_page(
    sign_in: SignIn, sqlite_database: Database
) -> None:
    from tests.campaigns.test_migrating import LOST, Inside

    inside, client = Inside(sqlite_database), sign_in("marketer")
    inside.draw(LOST)
    before = inside.rows()
    page = client.get(f"/campaigns/{inside.id}").text
    assert 'id="publish-plan"' in page
    assert "Undo publication" not in page
    shown = client.post(f"/campaigns/{inside.id}/plan").text
    assert "3 leads are inside" in shown
    assert 'name="map.w"' in shown
    assert inside.rows() == before

    bad = client.post(f"/campaigns/{inside.id}/publication", json={"revision": 2, "move": True, "choices": {"w": "no"}})
    assert (bad.status_code, "no step no" in bad.get_json()["sentence"]) == (422, True)
    given = {"revision": 2, "move": True, "choices": {"w": "w2"}}
    assert client.post(f"/campaigns/{inside.id}/publication", json=given).get_json()["version"] == 2
    assert {step for _, step in inside.where()} == {"w2"}
    assert "Undo publication" in client.get(f"/campaigns/{inside.id}").text
    assert "3 leads inside" in client.get(f"/campaigns/{inside.id}/versions").text
    assert sign_in("viewer").delete(f"/campaigns/{inside.id}/publication").status_code == 403
    assert client.delete(f"/campaigns/{inside.id}/publication").status_code == 303
    assert inside.rows() == before
    assert client.delete(f"/campaigns/{inside.id}/publication").status_code == 422


def test_rule_25_resuming_shows_what_it_releases(sign_in: SignIn, sqlite_database: Database) -> None:
    from tests.campaigns.test_migrating import Inside

    inside, client = Inside(sqlite_database), sign_in("marketer")
    assert client.post(f"/campaigns/{inside.id}/pause", data={"clock": "runs"}).status_code == 303
    dialog = client.get(f"/campaigns/{inside.id}/release").text
    assert "The clock of waits ran on" in dialog
    assert client.post(f"/campaigns/{inside.id}/release", data={"spread": "5"}).status_code == 422
    assert client.post(f"/campaigns/{inside.id}/release", data={"spread": "4", "older": "7"}).status_code == 303
    assert client.post(f"/campaigns/{inside.id}/release", data={"spread": "4"}).status_code == 422


def test_what_needs_attention_is_on_one_page(sign_in: SignIn, sqlite_database: Database) -> None:
    from app.engine.models import Enrollment
    from app.outbox import Message
    from tests.campaigns.test_migrating import INSERTED, Inside

    inside, client = Inside(sqlite_database), sign_in("marketer")
    page = f"/campaigns/{inside.id}/attention"
    assert "Nothing needs you" in client.get(page).text
    inside.draw(INSERTED)
    inside.publish({})
    with sqlite_database.write() as session:
        session.execute(sa.update(Message).values(state="held", reason="late"))
        failed = {"state": "failed", "reason": "<b>down</b>", "finished_at": inside.now}
        session.execute(sa.update(Enrollment).where(Enrollment.lead_id == inside.leads[2]).values(failed))
    shown = client.get(page).text
    for words in ("1 mail was due", "&lt;b&gt;down", "Run it for the 1 who passed"):
        assert words in shown
    assert client.post(f"/campaigns/{inside.id}/steps/x/passed").status_code == 303
    assert client.post(f"/campaigns/{inside.id}/late", data={"spread": "4"}).status_code == 303
    assert client.delete(f"/campaigns/{inside.id}/late").status_code == 303
    failed_url = f"/campaigns/{inside.id}/failed"
    assert client.post(failed_url, data={"what": "move", "to": "gone"}).status_code == 422
    assert client.post(failed_url, data={"what": "retry", "step": "w"}).status_code == 303
    assert client.post(failed_url, data={"what": "give_up"}).status_code == 303
    assert client.post(failed_url, data={"what": "nothing"}).status_code == 422
    assert "Nothing needs you" in client.get(page).text


def test_rule_26_sales_steers_a_lead_from_its_page(sign_in: SignIn, sqlite_database: Database) -> None:
    from tests.campaigns.test_migrating import Inside

    inside, client = Inside(sqlite_database), sign_in("sales", name="Sam")
    lead = inside.leads[2]
    assert "Change…" in client.get(f"/leads/{lead}/campaigns").text
    url = f"/campaigns/{inside.id}/leads/{lead}/steering"
    assert "Pause it here" in client.get(url).text
    assert client.post(url, data={"what": "pause", "reason": " "}).status_code == 422
    assert client.post(url, data={"what": "pause", "reason": "on leave"}).status_code == 303
    assert "Let it go on" in client.get(url).text
    assert "paused since" in client.get(f"/leads/{lead}/campaigns").text
    assert client.post(url, data={"what": "resume", "reason": "is back"}).status_code == 303
    assert client.post(url, data={"what": "move", "step": "w2", "reason": "knows it"}).status_code == 303
    assert client.post(url, data={"what": "remove", "reason": "bought"}).status_code == 303
    assert inside.where()[2] == ("exited", "w2")
    assert client.get(url).status_code == 422
    assert "Taken out of" in client.get(f"/leads/{lead}").text
    assert sign_in("viewer").post(url, data={"what": "pause", "reason": "x"}).status_code == 403


def test_a_second_campaign_of_one_name_is_warned_of_and_can_be_told_apart(sign_in: SignIn) -> None:
    client = sign_in("marketer")
    assert client.post("/campaigns", data={"name": "Fair"}).status_code == 303
    warned = client.post("/campaigns", data={"name": "fair "})
    assert warned.status_code == 422 and b"of this name already" in warned.data
    assert client.post("/campaigns", data={"name": "Fair", "twin": "Fair"}).status_code == 303
    assert b"<code>fair-2</code>" in client.get("/campaigns").data
