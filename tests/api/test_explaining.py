"""SEMANTICS 29 and 30 by API: why of a lead, a step, a mail and a handoff, why not, and every decision asked again."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from app.db import Database
from app.leads import updating
from tests import factories
from tests.api.test_api import Call, call, token  # noqa: F401  (fixtures)
from tests.conftest import NOW
from tests.engine.steps.world import user
from tests.engine.test_flows import DAY, MAIL, World, split_on

SWISS = {"rule": "field", "field": "country", "op": "is", "value": "CH"}
HANDOFF = {"kind": "handoff", "settings": {"route": "round_robin"}}


@pytest.fixture
def world(sqlite_database: Database) -> World:
    with sqlite_database.write() as session:
        user(session, "rosa", rep=True)
    decide = split_on(("swiss", SWISS), **{"swiss": "s2", "else": "end"})
    flow = factories.flow(decide, MAIL, HANDOFF, {"kind": "wait"}, audience={"none": [{"rule": "tag", "tag": "hot"}]})
    made = World(sqlite_database, flow, count=2, country="CH")
    made.tag(made.leads[1], NOW, "hot")
    made.enter()
    return made


def test_rule_29_each_lead_step_mail_and_handoff_says_why(call: Call, world: World) -> None:  # noqa: F811
    inside, outside = world.leads
    told = call("GET", f"campaigns/nurture/leads/{inside}/why").json
    assert told["kept_out"] == [] and told["passages"][0]["lines"][0]["sentence"].startswith("Took “swiss”, because")
    told = call("GET", f"campaigns/nurture/leads/{outside}/why").json
    assert told["passages"] == [] and told["kept_out"][0].startswith("Not in the audience")
    step = call("GET", "campaigns/nurture/steps/s4/leads").json
    assert step["total"] == 1 and step["leads"][0]["why"].startswith("Waits here until")
    [mail] = call("GET", f"leads/{inside}/mails").json["mails"]
    assert (mail["mail"], mail["campaign"], mail["why"]) == ("welcome", "nurture", "The mail is ready.")
    [handoff] = call("GET", "handoffs").json["handoffs"]
    assert handoff["why"] == "Given to Rosa, next in turn"
    for path in ("campaigns/nothing/steps/s4/leads", "leads/999/mails", "campaigns/nurture/leads/999/replay"):
        assert call("GET", path).status_code == 404, path


def test_why_not_is_said_of_a_lead_that_has_been_inside_too(call: Call, world: World) -> None:  # noqa: F811
    world.settle(NOW + 2 * DAY)
    told = call("GET", f"campaigns/nurture/leads/{world.leads[0]}/why").json
    assert told["passages"][0]["state"] == "completed"
    assert "nobody may come twice" in told["kept_out"][0]


def test_rule_30_decisions_are_asked_again_on_the_page_and_by_api(
    app: Flask,
    call: Call,  # noqa: F811
    world: World,
    sign_in: Any,
) -> None:
    lead = world.leads[0]
    with world.database.write() as session:
        updating.set_values(session, lead, {"country": "DE"}, at=NOW + DAY)
    told = call("GET", f"campaigns/nurture/leads/{lead}/replay").json
    assert not told["has_drift"] and told["passages"][0]["visits"][0]["verdict"] == "same"
    page = f"/campaigns/{world.campaign.id}/leads/{lead}"
    browser = sign_in("marketer")
    assert "Ask every decision again" in browser.get(f"{page}/why").text
    answer = browser.post(f"{page}/replay")
    assert "comes out the same" in answer.text
    assert sign_in("viewer").post(f"{page}/replay").status_code == 403
