"""The door of a campaign in the designer and in its text: filter, daily limit, key; and triggers that can never match."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.campaigns import checking, text
from app.leads.models import LeadField
from tests.campaigns.conftest import drawn, step
from tests.campaigns.test_pages import SignIn, campaign_id, typed  # noqa: F401

SWISS = {"rule": "field", "field": "country", "op": "is", "value": "CH"}
END = step("end", "exit")


def problems(session: Session, kind: str, settings: dict[str, Any], **more: Any) -> list[tuple[str | None, str, bool]]:
    trigger = {"id": "t1", "kind": kind, "settings": settings}
    trigger |= {name: more.pop(name) for name in ("filter", "most_per_day", "key") if name in more}
    flow = drawn(END) | {"triggers": [trigger], **more}
    return [(p.setting, p.sentence, p.is_warning) for p in checking.problems(session, flow)]


NEVER = [
    ("joined_segment", {"segment": "nope"}, "no segment called"),
    ("left_segment", {"segment": "nope"}, "no segment called"),
    ("mail_engaged", {"mail": "nope"}, "no mail called"),
    ("mail_ignored", {"mail": "nope"}, "no mail called"),
    ("tag_changed", {"tag": "nope"}, "no tag called"),
    ("field_changed", {"field": "nope"}, "no field called"),
    ("field_changed", {"field": "created_at"}, "nobody would enter"),
    ("field_changed", {"field": "size", "becomes": "is", "value": "huge"}, "is one of small, large"),
    ("date_field", {"field": "country"}, "holds no dates"),
    ("schedule", {"segment": "nope", "cron": "0 9 * * *"}, "no segment called"),
    ("schedule", {"segment": "nope", "cron": "0 9 30 2 *"}, "schedule"),
    ("grade_crossed", {"grade": "cold"}, "nobody would enter"),
    ("stage_changed", {"to": "mql", "was": "mql"}, "never changes into itself"),
    ("custom_event", {"event": "order", "where": "amount at least many"}, "needs a number"),
]


@pytest.mark.parametrize(("kind", "settings", "words"), NEVER, ids=str)
def test_a_trigger_that_can_never_match_is_refused(
    session: Session, kind: str, settings: dict[str, Any], words: str
) -> None:
    session.add(LeadField(name="size", label="Size", type="choice", choices=["small", "large"]))
    session.flush()
    found = problems(session, kind, settings)
    assert any(words in sentence and not is_warning for _, sentence, is_warning in found), found


def test_the_filter_and_the_key_are_checked_like_the_audience(session: Session) -> None:
    assert problems(session, "by_hand", {}, filter=SWISS, most_per_day=5) == []
    [(setting, sentence, _)] = problems(session, "by_hand", {}, filter={"rule": "tag", "tag": "nope"})
    assert setting == "filter" and "no tag called" in sentence
    [(setting, _, _)] = problems(session, "by_hand", {}, filter={"rule": "visited", "when": "entry"})
    assert setting == "filter"
    [(setting, _, is_warning)] = problems(session, "by_hand", {}, key="order_id")
    assert (setting, is_warning) == ("key", True)
    assert problems(session, "by_hand", {}, key="order_id", re_entry={"mode": "per_key"}) == []
    [(setting, sentence, _)] = problems(session, "by_hand", {}, re_entry={"mode": "per_key"})
    assert setting == "again" and "no trigger says which" in sentence


def test_the_panel_draws_the_door_and_reads_it_back(sign_in: SignIn, campaign_id: int) -> None:  # noqa: F811
    client = sign_in("marketer")
    entry = {"filter": SWISS, "most_per_day": 40, "key": "order_id", "already": True}
    data = {"what": "trigger", "kind": "custom_event", "settings": json.dumps({"event": "order"})}
    shown = client.post(
        f"/campaigns/{campaign_id}/draft/form", data={**data, "entry": json.dumps(entry), "already": "1"}
    ).get_data(as_text=True)
    for words in ("Only leads who", "At most a day", 'value="40"', 'value="order_id"', "Also leads who match already"):
        assert words in shown
    answer = typed(
        client, campaign_id, "custom_event", "trigger", event="order", where="amount at least 100\n plan is pro",
        filter=json.dumps(SWISS), most_per_day="40", key="order_id", already="1",
    )  # fmt: skip
    assert answer["entry"] == {"filter": {"all": [SWISS]}, "most_per_day": 40, "key": "order_id", "already": True}
    assert answer["complaints"] == []
    assert answer["look"]["title"] == "Order where amount at least 100 and plan is pro"
    empty = typed(client, campaign_id, "by_hand", "trigger", filter="", most_per_day="", key="")
    assert empty["entry"] == {"filter": None, "most_per_day": None, "key": "", "already": False}


def test_the_door_survives_the_text(session: Session) -> None:
    written = """
campaign: Orders
re_entry: {mode: per_key}
triggers:
  - id: t1
    custom_event: {event: order, where: amount at least 100}
    filter: {rule: field, field: country, op: is, value: CH}
    most_per_day: 40
    key: order_id
steps:
  - id: s1
    exit: {}
"""
    read = text.read(written)
    [trigger] = read.flow["triggers"]
    assert (trigger["filter"], trigger["most_per_day"], trigger["key"]) == (SWISS, 40, "order_id")
    assert text.read(text.write(read)).flow == read.flow
