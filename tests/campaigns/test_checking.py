"""Everything wrong with a flow is said at its step, and what only deserves a thought does not stop publishing."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.campaigns import checking
from tests import factories
from tests.campaigns.conftest import SCORE, drawn, furnish, step, whole

OPENED = {"all": [{"rule": "opened"}]}


def said(session: Session, flow: Any) -> dict[tuple[str | None, bool], str]:
    return {(p.step, p.is_warning): p.sentence for p in checking.problems(session, flow)}


def arms(rule: Any) -> list[dict[str, Any]]:
    return [{"port": "a1", "name": "Yes", "rule": rule}]


def test_a_finished_flow_has_no_problems(session: Session) -> None:
    furnish(session)

    assert checking.problems(session, whole()) == []


def test_a_blank_campaign_says_that_nobody_can_enter(session: Session) -> None:
    assert "add a trigger" in said(session, {"start": "s1", "steps": [step("s1", "exit")]})[None, False]


ERRORS = [
    (drawn(step("s1", "send_email", {"out": "s2"}), step("s2", "exit")), "s1", "Mail is missing"),
    (drawn(step("s1", "send_email", {"out": "s2"}, mail="nope"), step("s2", "exit")), "s1", "no mail called “nope”"),
    (drawn(step("s1", "send_email", {"out": "s2"}, mail="raw"), step("s2", "exit")), "s1", "never been published"),
    (
        drawn(step("s1", "decide", {"a1": "s2", "else": "s2"}, arms=arms({})), step("s2", "exit")),
        "s1",
        "choose a condition",
    ),
    (drawn(step("s1", "wait", {}), step("s2", "exit")), "s1", "leads nowhere"),
    (drawn(step("s1", "wait", {"out": "s7"})), "s1", "not there"),
    (drawn(step("s1", "dance", {}), step("s2", "exit")), "s1", "no step of kind dance"),
    (drawn(step("s1", "add_tag", {"out": "s1"}, tag="x")), "s1", "add a wait"),
    (
        drawn(step("s1", "handoff", {"out": "s2"}, team="Mars"), step("s2", "exit")),
        "s1",
        "Nobody who takes leads is in the team",
    ),
    (
        drawn(
            step("s1", "decide", {"a1": "s2", "else": "s2"}, arms=arms({"rule": "in_segment", "segment": "gone"})),
            step("s2", "exit"),
        ),
        "s1",
        "gone",
    ),
]


@pytest.mark.parametrize(("flow", "where", "words"), ERRORS, ids=[words for _, _, words in ERRORS])
def test_errors_sit_on_their_step(session: Session, flow: Any, where: str, words: str) -> None:
    furnish(session)
    factories.mail(session, "raw").version_id = None
    session.flush()

    found = [p for p in checking.problems(session, flow) if p.step == where and not p.is_warning]

    assert any(words in p.sentence for p in found), found


MAIL, END = step("m", "send_email", {"out": "end"}, mail="welcome"), step("end", "exit")
WARNINGS = [
    (drawn(step("s1", "decide", {"a1": "end", "else": "end"}, arms=arms(OPENED)), END), "s1", "Machines open mail too"),
    (
        drawn(step("s1", "wait_for_event", {"happened": "end", "timeout": "end"}, event="email_opened"), END),
        "s1",
        "Machines",
    ),
    (drawn(step("s1", "wait_for_event", {"happened": "end"}, forever=True), END), "s1", "wait here for ever"),
    (drawn(END, step("lost", "wait", {"out": "end"})), "lost", "No path leads to this step"),
    (drawn(step("s1", "wait", {"out": "s1"}), END), "s1", "no path ever ends"),
    (drawn(step("s1", "send_email", {"out": "m"}, mail="welcome"), MAIL, END), "m", "within an hour"),
    (
        drawn(
            step("s1", "send_email", {"out": "w"}, mail="welcome"),
            step("w", "wait", {"out": "m"}, amount=9, unit="minutes"),
            MAIL,
            END,
        ),
        "m",
        "within an hour",
    ),
    (drawn(step("s1", "send_email", {"out": "end"}, mail="lone"), END), "s1", "belongs to no topic"),
    (
        drawn(step("s1", "wait_for_outcome", {"done": "end", "timeout": "end"}, of="task"), END),
        "s1",
        "nobody may ever answer",
    ),
    (
        drawn(step("s1", "by_mail", {"clicked": "end", "nothing": "end"}, mail="welcome", outcomes=["clicked"]), END),
        "s1",
        "does not send that mail",
    ),
    (
        drawn(
            step(
                "s1",
                "wait_for_event",
                {"happened": "end", "b": "end", "timeout": "end"},
                others=[{"port": "b", "event": "email_clicked"}],
            ),
            END,
        ),
        "s1",
        "the second is never taken",
    ),
    (
        drawn(
            step(
                "s1",
                "decide",
                {"a1": "end", "a2": "end", "else": "end"},
                arms=[*arms(SCORE), {"port": "a2", "rule": SCORE}],
            ),
            END,
        ),
        "s1",
        "the second is never taken",
    ),
    (
        drawn(
            step(
                "s1",
                "by_field",
                {"a": "end", "b": "end", "else": "end"},
                field="country",
                arms=[{"port": "a", "values": ["CH"]}, {"port": "b", "values": ["de", "ch"]}],
            ),
            END,
        ),
        "s1",
        "“ch” leads to two paths",
    ),
    (
        drawn(
            step(
                "s1",
                "split",
                {"a": "end", "b": "t"},
                shares=[{"port": "a", "percent": 90}, {"port": "b", "percent": 10, "is_holdout": True}],
            ),
            step("t", "add_tag", {"out": "end"}, tag="x"),
            END,
        ),
        "s1",
        "should be left alone",
    ),
]


@pytest.mark.parametrize(("flow", "where", "words"), WARNINGS)
def test_warnings_explain_themselves_and_do_not_stop_publishing(
    session: Session, flow: Any, where: str, words: str
) -> None:
    furnish(session)
    factories.mail(session, "lone", topic_key=None)

    found = checking.problems(session, flow)

    assert [p for p in found if not p.is_warning] == []
    assert any(p.step == where and words in p.sentence for p in found), found


def test_mails_with_a_day_between_them_are_fine(session: Session) -> None:
    furnish(session)
    wait = step("w", "wait", {"out": "m"}, amount=1, unit="days")

    assert (
        checking.problems(session, drawn(step("s1", "send_email", {"out": "w"}, mail="welcome"), wait, MAIL, END)) == []
    )


def test_an_open_beside_another_sign_is_fine(session: Session) -> None:
    both = {"all": [{"rule": "opened"}, SCORE]}

    assert ("s1", True) not in said(
        session, drawn(step("s1", "decide", {"a1": "end", "else": "end"}, arms=arms(both)), END)
    )


def test_what_holds_for_the_whole_campaign_is_checked_too(session: Session) -> None:
    more = {"zone": "Mars/Olympus", "topic": "nope", "exits": [{"rule": {"all": []}, "reason": "customer"}]}

    found = {p.setting: p.sentence for p in checking.problems(session, drawn(END, **more))}

    assert "no time zone" in found["zone"]
    assert "no topic" in found["topic"]
    assert "customer" in found["exits"]
