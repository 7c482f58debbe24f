"""The pages of rehearsals: started by a form, watched, cancelled, drawn, opened lead by lead, set side by side, removed."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import clock
from app.campaigns import rehearsing
from app.campaigns.models import Rehearsal
from app.campaigns.views import rehearsal as view
from app.db import Database
from tests import factories
from tests.campaigns.conftest import drawn, step
from tests.campaigns.test_rehearsing import END, furnished, wanted
from tests.conftest import NOW

DAY = timedelta(days=1)
FORM = {"version": "", "from": "2026-03-02", "to": "2026-03-06", "segment": "", "lens": "past", "every": "1440"}


@pytest.fixture(autouse=True)
def _begun(monkeypatch: pytest.MonkeyPatch, sqlite_database: Database) -> list[int]:
    """The rehearsals that a page began; a test carries them out itself."""
    begun: list[int] = []
    monkeypatch.setattr(view, "_begin", lambda database, id_, base_url: begun.append(id_))
    return begun


def flow() -> dict[str, Any]:
    return drawn(
        step("s1", "send_email", {"out": "s2"}, mail="welcome"),
        step("s2", "wait", {"out": "s3"}, amount=2, unit="days"),
        step("s3", "exit"),
    )


@pytest.fixture
def campaign_id(sqlite_database: Database) -> int:
    with sqlite_database.write() as session:
        made, ids = furnished(session, flow(), 3)
        factories.request(session, made, ids, at=NOW + timedelta(hours=1))
        return made.id


def done(database: Database, campaign_id: int, **more: Any) -> int:
    """A rehearsal that was carried out."""
    with database.write() as session:
        asked = wanted(campaign_id, flow(), every=DAY, ends_at=NOW + 4 * DAY, **more)
        id_ = rehearsing.start(session, asked, number=None, user_id=None, at=END).id
    assert rehearsing.run(database, id_, base_url="https://trellis.example.com") == "done"
    return id_


def texts(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_rehearsal_is_started_watched_and_cancelled(
    sign_in: Any, campaign_id: int, sqlite_database: Database, _begun: list[int]
) -> None:
    client: FlaskClient = sign_in("marketer")
    at = f"/campaigns/{campaign_id}/rehearsals"
    assert "No rehearsal yet" in client.get(at).text
    answer = client.post(at, data=FORM)
    assert (answer.status_code, answer.location, _begun) == (303, f"{at}/1", [1])
    assert "Copying the leads" in client.get(f"{at}/1").text
    with sqlite_database.write() as session:
        session.execute(sa.update(Rehearsal).values(progress=420))
    piece = client.get(at, headers={"HX-Request": "true", "HX-Request-Type": "partial"}).text
    assert ("42 %" in piece, 'hx-trigger="every 2s"' in piece, "<html" in piece) == (True, True, False)
    assert "runs already" in client.post(at, data=FORM).text
    assert client.delete(f"{at}/1/run").status_code == 303
    assert "cancelled" in client.get(f"{at}/1").text
    assert client.delete(f"{at}/1/run").status_code == 422
    assert client.delete(f"{at}/1").status_code == 303
    assert client.get(f"{at}/1").status_code == 404


def test_one_whose_process_is_gone_says_so(sign_in: Any, campaign_id: int, sqlite_database: Database) -> None:
    client = sign_in("marketer")
    client.post(f"/campaigns/{campaign_id}/rehearsals", data=FORM)
    with sqlite_database.write() as session:
        session.execute(sa.update(Rehearsal).values(beat_at=clock.now() - timedelta(hours=1)))
    assert "Trellis was stopped while it ran" in client.get(f"/campaigns/{campaign_id}/rehearsals/1").text
    assert "Stopped" in client.get(f"/campaigns/{campaign_id}/rehearsals").text


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"from": ""}, "Choose the first and the last day."),
        ({"from": "2026-03-07"}, "must end after it begins"),
        ({"to": "2999-01-01"}, "an end that has passed"),
        ({"every": "1"}, "Choose how often the engine looks."),
        ({"lens": "rosy"}, "no lens “rosy”"),
        ({"version": "9"}, "no version 9"),
    ],
)
def test_a_form_that_cannot_be_is_answered_with_a_sentence(
    sign_in: Any, campaign_id: int, given: dict[str, str], sentence: str, _begun: list[int]
) -> None:
    answer = sign_in("marketer").post(f"/campaigns/{campaign_id}/rehearsals", data=FORM | given)
    assert (answer.status_code, sentence in answer.text, _begun) == (422, True, [])


def test_what_came_of_it_is_drawn_told_and_opened(sign_in: Any, campaign_id: int, sqlite_database: Database) -> None:
    done(sqlite_database, campaign_id, lens="nobody")
    client = sign_in("viewer")
    at = f"/campaigns/{campaign_id}/rehearsals/1"
    page = client.get(at).text
    for words in (
        "Came in 3",
        "Mails it would have sent 3",
        "Every mail found its slot",
        "Nobody opened, clicked",
        "Rita Rep 0",
    ):
        assert words in texts(page), words
    assert '"s1": {"came": [[0, 3]]' in page.replace("&#34;", '"')
    assert "Remove" not in texts(page), "who only reads cannot"
    leads = client.get(f"{at}/leads?step=s2&port=out").text
    assert ("3 passages, left by this path" in texts(leads), leads.count("/leads/")) == (True, 3)
    assert "0 passages" in texts(client.get(f"{at}/leads?step=s1&scope=here").text)
    lead = texts(client.get(f"{at}/leads/0").text)
    assert "Entered by Added by hand" in lead
    assert "“Welcome” would have left" in lead
    assert client.get(f"{at}/leads/9").status_code == 404


def test_two_stand_side_by_side(sign_in: Any, campaign_id: int, sqlite_database: Database) -> None:
    done(sqlite_database, campaign_id, lens="nobody")
    done(sqlite_database, campaign_id, lens="recorded")
    page = texts(sign_in("marketer").get(f"/campaigns/{campaign_id}/rehearsals/2?with=1").text)
    assert "Mails sent 3 3" in page
    assert "Came to “Wait: 2 days” 3 3" in page


def test_who_may_not_change_starts_none(sign_in: Any, campaign_id: int, _begun: list[int]) -> None:
    client = sign_in("viewer")
    assert "Rehearse</button>" not in client.get(f"/campaigns/{campaign_id}/rehearsals").text
    assert client.post(f"/campaigns/{campaign_id}/rehearsals", data=FORM).status_code == 403
    assert _begun == []
