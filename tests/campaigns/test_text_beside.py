"""The flow as text beside the canvas: the same flow both ways, whatever it is; a line that cannot be read is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.campaigns import drafting, text
from app.db import Database
from tests import factories
from tests.campaigns.conftest import drawn, whole
from tests.campaigns.test_text import flows as any_flows
from tests.engine.test_reference import flows as running_flows

SignIn = Callable[..., FlaskClient]
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
begun = st.one_of(any_flows(), running_flows().map(drafting.written)).filter(
    lambda flow: flow["start"] is not None or not flow["steps"]
)


@settings(max_examples=200, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate), suppress_health_check=QUIET)  # fmt: skip
@given(flow=begun)
def test_any_flow_comes_back_from_its_text_and_its_text_from_the_flow(flow: dict[str, Any]) -> None:
    written = text.beside(flow)

    assert text.typed(written) == flow
    assert text.beside(text.typed(written)) == written


@settings(max_examples=60, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate), suppress_health_check=QUIET)  # fmt: skip
@given(flow=running_flows().map(drafting.written), data=st.data())
def test_a_text_spoiled_by_a_slip_is_refused_with_its_line_or_read(flow: dict[str, Any], data: st.DataObject) -> None:
    """A character too many or too few anywhere: never an exception, never a sentence without a place if YAML is at fault."""
    written = text.beside(flow)
    at = data.draw(st.integers(0, len(written) - 1))
    slip = data.draw(st.sampled_from(["", ":", "{", "}", "[", "'", '"', "- ", "\t", "#", "&", "*", "|", ",", "x"]))
    try:
        text.typed(written[:at] + slip + written[at + 1 :])
    except text.BadText as error:
        assert str(error).endswith((".", "?")) and "Traceback" not in str(error)
        assert str(error).startswith("Line ") or "is not YAML" not in str(error)


@pytest.fixture
def campaign_id(sqlite_database: Database) -> int:
    with sqlite_database.write() as session:
        return drafting.create(session, name="Nurture", at=factories.NOW, flow=whole()).id


def read(client: FlaskClient, campaign_id: int, given: Any) -> Any:
    return client.post(f"/campaigns/{campaign_id}/draft/flow", json={"text": given})


def test_the_page_has_its_text_and_reads_it_back(sign_in: SignIn, campaign_id: int) -> None:
    client = sign_in("marketer")
    written = client.post(f"/campaigns/{campaign_id}/draft/text", json={"flow": whole()}).get_json()["text"]
    assert written.startswith(
        "triggers:\n  - id: t1\n    by_hand: {}\n\nsteps:\n  - id: s1\n    send_email: {mail: welcome}"
    )
    answer = read(client, campaign_id, written.replace("amount: 2", "amount: 9")).get_json()
    assert answer["flow"]["steps"][1]["settings"] == {"amount": 9, "unit": "days"}
    assert answer["looks"]["s2"]["title"] == "9 days"


BAD = {
    "": (1, "there is no flow any more"),
    "steps:\n  - id: s1\n    wait: {amount: 1\n": (3, "is not YAML"),
    "steps:\n  - id: s1\n    exit: {}\n  - id: s2\n    note: x\n": (4, "does not say what it does"),
    "steps:\n  - id: s1\n    exit: {}\npriority: 12\n": (1, "priority: input should be less than or equal to 9"),
    "campaign: Another\nsteps:\n  - id: s1\n    exit: {}\n": (1, "changed by “Rename”"),
    "steps:\n  - id: s1\n    exit: {}\nmails:\n  - {key: a, name: A}\n": (4, "import a whole file"),
}


@pytest.mark.parametrize("given", BAD)
def test_what_cannot_be_read_says_on_which_line_and_what_to_do(sign_in: SignIn, campaign_id: int, given: str) -> None:
    line, words = BAD[given]
    answer = read(sign_in("marketer"), campaign_id, given)

    assert answer.status_code == 422
    assert (answer.get_json()["line"], words in answer.get_json()["sentence"]) == (line, True), answer.get_json()


def test_viewers_see_the_text_and_nobody_changes_the_draft_by_reading(
    sign_in: SignIn, sqlite_database: Database, campaign_id: int
) -> None:
    viewer, marketer = sign_in("viewer"), sign_in("marketer")
    assert viewer.post(f"/campaigns/{campaign_id}/draft/text", json={"flow": whole()}).status_code == 200
    assert read(viewer, campaign_id, "steps: []").status_code == 403
    assert read(marketer, campaign_id, text.beside(drafting.written(drawn()))).status_code == 200
    assert marketer.post(f"/campaigns/{campaign_id}/draft/text", json={"flow": {"steps": 3}}).status_code == 422
    with sqlite_database.read() as session:
        assert drafting.get(session, campaign_id).revision == 1


def shuffled(given: Any) -> Any:
    """The same with its members in another order, as a database may keep them."""
    if isinstance(given, list):
        return [shuffled(each) for each in given]
    return {name: shuffled(given[name]) for name in sorted(given, reverse=True)} if isinstance(given, dict) else given


@settings(max_examples=50, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate), suppress_health_check=QUIET)  # fmt: skip
@given(flow=begun)
def test_the_text_is_the_same_however_the_database_keeps_the_flow(flow: dict[str, Any]) -> None:
    assert text.beside(shuffled(flow)) == text.beside(flow)
