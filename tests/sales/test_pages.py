"""The pages of sales, as a browser sees them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import clock
from app.db import Database
from app.sales.handing import hand_over
from app.sales.models import Definition, Handoff, Rep, Task
from tests.sales.salesfloor import arrivals, lead

SignIn = Callable[..., FlaskClient]
PAGES = ("/sales", "/sales/mine", "/sales/team", "/sales/tasks", "/sales/alerts", "/sales/reps", "/sales/definition")
FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}


def give(database: Database, user_id: int, **values: Any) -> tuple[int, int]:
    """A lead handed to this user: (handoff, lead)."""
    now = clock.now()
    with database.write() as session:
        if not session.get(Rep, user_id):
            session.add(Rep(user_id=user_id, team="", weight=1, given_count=0))
        maria = lead(session, at=now, stage="mql", **{"first_name": "Maria", "last_name": "Keller", **values})
        hand_over(session, arrivals([maria.id]), route="round_robin", answer_within_minutes=240, at=now)
        number = session.scalars(sa.select(Handoff.id).where(Handoff.lead_id == maria.id)).one()
        return number, maria.id


def state(database: Database, number: int) -> str:
    with database.read() as session:
        return session.scalars(sa.select(Handoff.state).where(Handoff.id == number)).one()


@pytest.mark.parametrize("role", ["administrator", "marketer", "sales", "viewer"])
def test_every_page_opens_for_every_role_empty_and_full(sign_in: SignIn, sqlite_database: Database, role: str) -> None:
    browser = sign_in(role)
    for path in PAGES:
        assert browser.get(path).status_code == 200
    number, lead_id = give(sqlite_database, browser.user_id)  # type: ignore[attr-defined]
    for address in (
        *PAGES,
        f"/sales/handoffs/{number}",
        f"/sales/leads/{lead_id}/tasks",
        f"/sales/leads/{lead_id}/handoff",
    ):
        assert browser.get(address).status_code == 200


def test_the_inbox_shows_the_lead_its_story_and_the_time_left(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("sales")
    give(sqlite_database, browser.user_id, source="Fair", job_title="Head of Operations")  # type: ignore[attr-defined]
    page = browser.get("/sales").get_data(as_text=True)
    assert "Maria Keller" in page and "Came by Fair" in page and "Head of Operations" in page and " left" in page


def test_accepting_answers_with_the_line_and_offers_undo(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("sales")
    number, _ = give(sqlite_database, browser.user_id)  # type: ignore[attr-defined]
    answer = browser.post(f"/sales/handoffs/{number}/acceptance", headers=FRAGMENT)
    assert answer.status_code == 200
    assert f'id="handoff-row-{number}"' in answer.text and "Undo" in answer.text
    assert "inbox-changed" in answer.headers["HX-Trigger"] and 'id="side-badge-sales-index"' in answer.text
    assert state(sqlite_database, number) == "accepted"
    browser.post(f"/sales/handoffs/{number}/undo", headers=FRAGMENT)
    assert state(sqlite_database, number) == "open"


def test_a_rejection_without_a_reason_keeps_the_dialog_and_the_lead(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("sales")
    number, _ = give(sqlite_database, browser.user_id)  # type: ignore[attr-defined]
    assert "Choose a reason" in browser.get(f"/sales/handoffs/{number}/rejection", headers=FRAGMENT).text
    answer = browser.post(f"/sales/handoffs/{number}/rejection", data={}, headers=FRAGMENT)
    assert answer.status_code == 422
    assert answer.headers["HX-Reswap"] == "none"
    assert state(sqlite_database, number) == "open"
    browser.post(
        f"/sales/handoffs/{number}/rejection", data={"reason": "No budget", "note": "until May"}, headers=FRAGMENT
    )
    assert state(sqlite_database, number) == "rejected"
    assert "No budget: until May" in browser.get("/sales?tab=returned").text


def test_sending_back_takes_a_date_of_the_readers_calendar(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("sales", zone="Europe/Zurich")
    number, _ = give(sqlite_database, browser.user_id)  # type: ignore[attr-defined]
    day = (clock.now() + timedelta(days=40)).date()
    page = browser.post(
        f"/sales/handoffs/{number}/recycling", data={"reason": "Later", "come_back_on": day.isoformat()}
    )
    assert page.status_code == 303
    with sqlite_database.read() as session:
        back = session.scalars(sa.select(Handoff.come_back_at)).one()
    assert back is not None and back.date() == day and back.hour in {7, 8}


def test_a_date_that_is_none_is_refused_in_a_sentence(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("sales")
    number, _ = give(sqlite_database, browser.user_id)  # type: ignore[attr-defined]
    for date in ("", "soon", "2020-01-01", "9999-99-99"):
        page = browser.post(f"/sales/handoffs/{number}/recycling", data={"reason": "Later", "come_back_on": date})
        assert page.status_code == 422
        assert "come-back date in the future" in page.text


def test_a_rep_cannot_answer_for_another_rep(sign_in: SignIn, sqlite_database: Database) -> None:
    owner = sign_in("sales", email="ana@example.com", name="Ana")
    number, _ = give(sqlite_database, owner.user_id)  # type: ignore[attr-defined]
    other = sign_in("sales", email="ben@example.com", name="Ben")
    page = other.post(f"/sales/handoffs/{number}/acceptance")
    assert page.status_code == 403 and "belongs to Ana" in page.text
    assert state(sqlite_database, number) == "open"


def test_a_viewer_may_look_but_not_answer(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("viewer")
    number, _ = give(sqlite_database, browser.user_id)  # type: ignore[attr-defined]
    assert "Accept<" not in browser.get("/sales/team").text
    assert browser.post(f"/sales/handoffs/{number}/acceptance").status_code == 403


def test_a_lead_is_handed_over_by_hand_once(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("marketer")
    with sqlite_database.write() as session:
        session.add(Rep(user_id=browser.user_id, team="", weight=1, given_count=0))  # type: ignore[attr-defined]
        someone = lead(session, at=clock.now(), first_name="Lea").id
    data = {"route": f"person:{browser.user_id}", "hours": "8", "note": "Call first"}  # type: ignore[attr-defined]
    assert browser.post(f"/sales/leads/{someone}/handoffs", data=data).status_code == 303
    assert browser.post(f"/sales/leads/{someone}/handoffs", data=data).status_code == 409
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Handoff.route)).one() == "person"
        assert session.scalars(sa.select(Task.note)).one() == "Call first"


def test_tasks_are_added_ticked_off_and_reopened_on_the_lead(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("sales")
    with sqlite_database.write() as session:
        someone = lead(session, at=clock.now(), first_name="Lea").id
    data = {"lead_id": someone, "title": "Send quote", "due_at": "2030-05-01T10:00"}
    assert "Send quote" in browser.post("/sales/tasks?card=1", data=data, headers=FRAGMENT).text
    with sqlite_database.read() as session:
        task = session.scalars(sa.select(Task.id)).one()
    assert "line-through" in browser.post(f"/sales/tasks/{task}/completion?card=1", headers=FRAGMENT).text
    assert browser.post(f"/sales/tasks/{task}/completion").status_code == 409
    assert "line-through" not in browser.delete(f"/sales/tasks/{task}/completion?card=1", headers=FRAGMENT).text


def test_an_unfinished_task_is_refused_in_a_sentence(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("sales")
    with sqlite_database.write() as session:
        someone = lead(session, at=clock.now()).id
    data = {"lead_id": str(someone), "title": "Call", "due_at": "2030-05-01T10:00"}
    for wrong in ({"title": ""}, {"due_at": "tomorrow"}, {"lead_id": "7000"}):
        assert browser.post("/sales/tasks", data={**data, **wrong}).status_code == 422


def test_alerts_are_read_one_by_one_or_all(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("sales")
    for _ in range(2):
        give(sqlite_database, browser.user_id)  # type: ignore[attr-defined]
    assert "2 unread alerts" in browser.get("/sales/alerts", headers=FRAGMENT).text
    assert "1 unread alert" in browser.post("/sales/alerts/reading", data={"alert_id": 1}, headers=FRAGMENT).text
    assert "Nothing unread" in browser.post("/sales/alerts/reading", headers=FRAGMENT).text


def test_reps_are_added_changed_and_released(sign_in: SignIn, sqlite_database: Database) -> None:
    boss, ana = sign_in("administrator"), sign_in("sales")
    number = ana.user_id  # type: ignore[attr-defined]
    boss.post("/sales/reps", data={"user_id": number, "team": "north", "weight": "2"})
    given = {"team": "south", "weight": "1", "absent_until": "2031-01-05", "capacity": "17"}
    boss.post(f"/sales/reps/{number}", data=given)
    page = boss.get("/sales/reps").text
    assert "south" in page and "away until" in page and ">17</td>" in page
    for wrong in ({"weight": "many"}, {"capacity": "a few"}, {"capacity": "0"}, {"capacity": "1001"}):
        assert boss.post(f"/sales/reps/{number}", data={"team": "", "weight": "1"} | wrong).status_code == 422
    assert ana.post(f"/sales/reps/{number}/release").status_code == 403
    boss.post(f"/sales/reps/{number}/release")
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Rep)).all() == []


def test_the_agreed_definition_is_kept_with_those_before_it(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("administrator")
    rule = '{"all": [{"rule": "score", "dimension": "total", "op": "at_least", "value": 50}]}'
    for hours in ("4", "2"):
        page = browser.post("/sales/definitions", data={"name": "Ready", "hours": hours, "rule": rule})
        assert page.status_code == 303, page.text
    assert "within 2 working hours" in browser.get("/sales/definition").text
    with sqlite_database.read() as session:
        current = session.scalars(sa.select(Definition.is_current).order_by(Definition.id)).all()
    assert current == [False, True]


def test_a_definition_that_cannot_be_is_refused(sign_in: SignIn) -> None:
    browser = sign_in("administrator")
    rule = '{"all": [{"rule": "score", "dimension": "total", "op": "at_least", "value": 50}]}'
    data = {"name": "Ready", "hours": "4", "rule": rule}
    for wrong in (
        {"rule": "x"},
        {"rule": '{"all": []}'},
        {"rule": '{"all": [{"rule": "y"}]}'},
        {"hours": "0"},
        {"hours": "x"},
    ):
        assert browser.post("/sales/definitions", data={**data, **wrong}).status_code == 422


def test_hostile_names_are_shown_as_text(sign_in: SignIn, sqlite_database: Database) -> None:
    browser = sign_in("sales")
    number, _ = give(sqlite_database, browser.user_id, first_name="<img src=x onerror=alert(1)>")  # type: ignore[attr-defined]
    for path in ("/sales", f"/sales/handoffs/{number}", "/sales/tasks", "/sales/alerts"):
        assert "<img src=x" not in browser.get(path).text
