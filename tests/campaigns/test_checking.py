"""Everything wrong with a flow is said at its step, and what only deserves a thought does not stop publishing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.campaigns import accepting, checking, drafting
from app.sales.models import Rep
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


def scored(op: str, value: int) -> dict[str, Any]:
    return {"rule": "score", "dimension": "total", "op": op, "value": value}


def country(op: str, *values: str) -> dict[str, Any]:
    return {"rule": "field", "field": "country", "op": op, "value": list(values) if len(values) > 1 else values[0]}


def decided(*rules: Any, first: str = "s1") -> list[dict[str, Any]]:
    """A branch with an arm for each rule, all of which lead to the end."""
    named = [{"port": f"a{n}", "name": f"Arm {n}", "rule": rule} for n, rule in enumerate(rules, 1)]
    return [step(first, "decide", {arm["port"]: "end" for arm in named} | {"else": "end"}, arms=named), END]


def waiting(event: str = "email_clicked", **settings: Any) -> list[dict[str, Any]]:
    return [step("s1", "wait_for_event", {"happened": "end", "timeout": "end"}, event=event, **settings), END]


TWICE = [
    step(
        "s1", "decide", {"a1": "s2", "else": "s3"}, arms=[{"port": "a1", "name": "Yes", "rule": scored("at_least", 50)}]
    ),
    step(
        "s2",
        "decide",
        {"a1": "end", "else": "end"},
        arms=[{"port": "a1", "name": "Warm", "rule": scored("at_least", 30)}],
    ),
    step(
        "s3", "decide", {"a1": "end", "else": "end"}, arms=[{"port": "a1", "name": "Hot", "rule": scored("above", 80)}]
    ),
    END,
]
GOAL = step("g", "goal", rule=scored("at_least", 50))
WARNINGS += [
    (drawn(*decided({"all": [scored("at_least", 50), scored("below", 20)]})), "s1", "Nobody can match “Arm 1”"),
    (drawn(*decided({"all": [{"rule": "visited", "when": "arrival"}]})), "s1", "but is decided on arrival"),
    (drawn(*decided({"all": [country("is", "CH"), country("one_of", "DE", "AT")]})), "s1", "Nobody can match “Arm 1”"),
    (drawn(*decided({"any": [scored("at_least", 50), scored("below", 60)]})), "s1", "Everybody matches “Arm 1”"),
    (drawn(*decided(scored("at_least", 30), scored("at_least", 50))), "s1", "has taken “Arm 1” before"),
    (drawn(*TWICE), "s2", "Everybody who comes here matches “Warm”"),
    (drawn(*TWICE), "s3", "Nobody who comes here matches “Hot”"),
    (
        drawn(
            step("s0", "send_email", {"out": "s1"}, mail="welcome"),
            *decided({"rule": "clicked", "mail": "welcome"}),
        ),
        "s1",
        "only just been sent",
    ),
    (drawn(*waiting(subject="welcome")), "s1", "No step before this one sends the mail"),
    (drawn(*waiting()), "s1", "No mail is sent before this step"),
    (drawn(*waiting("page_viewed", look_back="mail", after="welcome")), "s1", "It counts from the sending"),
    (
        drawn(
            step("s1", "wait_for_outcome", {"accepted": "s2", "rejected": "end", "recycled": "end", "timeout": "end"}),
            step("s2", "handoff", {"out": "end"}),
            END,
        ),
        "s1",
        "before this one, so nobody may ever answer",
    ),
    (
        drawn(step("s1", "wait_until", {"out": "end"}, mode="date", on_date="2020-02-01"), END),
        "s1",
        "1 February 2020 is past, so nobody waits here any more: leads go on at once",
    ),
    (drawn(GOAL), "g", "The goal is the first step"),
    (
        drawn(
            step("s1", "wait", {"out": "g"}),
            GOAL,
            triggers=[{"id": "t1", "kind": "score_reached", "settings": {"points": 60}}],
        ),
        "g",
        "has reached this goal already",
    ),
    (drawn(step("s1", "wait", {"out": "g"}), GOAL, audience=scored("above", 70)), "g", "before they enter"),
    (drawn(END, exits=[{"rule": OPENED, "reason": "reads"}]), None, "Machines open mail too"),
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


def test_mail_that_somebody_had_time_to_react_to_is_fine(session: Session) -> None:
    furnish(session)
    flow = drawn(
        step("s0", "send_email", {"out": "w"}, mail="welcome"),
        step("w", "wait", {"out": "s1"}, amount=2, unit="days"),
        *decided({"rule": "clicked", "mail": "welcome"}),
    )

    assert checking.problems(session, flow) == []


def test_a_branch_is_asked_again_in_vain_only_if_nothing_happened_in_between(session: Session) -> None:
    furnish(session)
    first, second, _, end = TWICE
    first = {**first, "next": {"a1": "w", "else": "end"}}
    for between in (step("w", "wait", {"out": "s2"}), step("w", "change_score", {"out": "s2"}, by=-40)):
        assert ("s2", True) not in said(session, drawn(first, between, second, end))


def test_arms_that_part_the_leads_are_fine(session: Session) -> None:
    furnish(session)
    good = [scored("at_least", 80), scored("at_least", 50), {"all": [country("is", "CH"), scored("below", 50)]}]

    assert checking.problems(session, drawn(*decided(*good))) == []


OR = {"any": [{"rule": "tag", "tag": "hot"}, {"rule": "tag", "tag": "new"}]}
EMPLOYEES = {"rule": "company", "about": "employees"}
NOTHING_FOLLOWS = {
    "an earlier arm that asks for more, too": [{"all": [scored("at_least", 30), OR]}, scored("at_least", 50)],
    "an earlier arm of very many conditions": [
        {"all": [scored("at_least", n) for n in range(12)] + [country("is", "CH")]},
        scored("at_least", 50),
    ],
    "none of both together": [{"all": [{"none": [{"all": [scored("at_least", 50), OR]}]}, scored("at_least", 50)]}],
    "one of these, or not both together": [{"any": [{"all": [{"rule": "tag", "tag": "hot"}, OR]}, {"none": [{"rule": "tag", "tag": "hot"}]}]}],
    "a company nothing is known of": [{"any": [EMPLOYEES | {"op": "at_least", "value": 50}, EMPLOYEES | {"op": "at_most", "value": 90}]}],
    "two things about a company": [{"all": [EMPLOYEES | {"op": "at_least", "value": 50}, {"rule": "company", "about": "name", "value": "42"}]}],
    "a country by its name and by its code": [{"all": [country("is", "CH"), country("is", "Switzerland")]}],
}  # fmt: skip


@pytest.mark.parametrize("rules", NOTHING_FOLLOWS.values(), ids=NOTHING_FOLLOWS)
def test_no_warning_where_nothing_follows_from_the_rules(session: Session, rules: list[Any]) -> None:
    furnish(session)

    assert [p.sentence for p in checking.problems(session, drawn(*decided(*rules))) if p.is_warning] == []


UNREADABLE: list[Any] = [
    {"rule": "score", "op": ["at_least"], "value": 3},
    {"rule": "score", "op": "at_least", "value": {"points": 3}},
    {"rule": "tag", "has": {"has": 1}, "tag": "hot"},
    {"rule": "nothing of the kind", "op": [1]},
    {"all": "hot"},
    {"all": [3]},
    {"any": None},
]


@pytest.mark.parametrize("rule", UNREADABLE, ids=str)
def test_a_condition_that_cannot_be_read_is_an_error_wherever_it_stands(session: Session, rule: Any) -> None:
    furnish(session)
    branch = decided(rule, SCORE, {"all": [rule, rule]}, {"none": [rule]})
    aimed = drawn(step("s1", "wait", {"out": "g"}), step("g", "goal", rule=rule), audience=rule)

    assert ("s1", False) in said(session, drawn(*branch))
    assert ("g", False) in said(session, aimed)


def test_an_empty_field_belongs_to_neither_half(session: Session) -> None:
    furnish(session)
    seats = {"rule": "field", "field": "country", "op": "is_known"}
    halves = {"none": [{"rule": "field", "field": "country", "op": "is", "value": "CH"}]}

    assert checking.problems(session, drawn(*decided({"all": [seats, halves]}))) == []


def test_a_handoff_that_nobody_can_receive_yet(session: Session) -> None:
    assert "Nobody takes leads yet" in said(session, drawn(step("s1", "handoff", {"out": "end"}), END))["s1", True]


def test_everybody_in_the_team_is_away(session: Session) -> None:
    furnish(session)
    for rep in session.query(Rep):
        rep.absent_until = datetime.now(UTC) + timedelta(days=5)
    session.flush()

    assert "is away now" in said(session, whole())["s4", True]


def test_an_accepted_warning_is_kept_apart_and_another_at_its_step_is_not(session: Session) -> None:
    furnish(session)
    flow = drawn(*decided(OPENED, {"all": [scored("at_least", 50), scored("below", 20)]}))
    warned = next(p for p in checking.problems(session, flow) if "Machines" in p.sentence)
    accepted = [{"step": "s1", "warning": warned.sentence, "by": "Mara", "at": "2026-03-02 09:00 UTC"}]

    found = checking.problems(session, {**flow, "accepted": accepted})

    assert [(p.accepted, "Machines" in p.sentence) for p in found] == [
        ("", False),
        ("Mara, 2026-03-02 09:00 UTC", True),
    ]


def test_an_error_cannot_be_accepted(session: Session) -> None:
    flow = drawn(step("s1", "wait", {}), END)
    error = checking.problems(session, flow)[0]

    found = checking.problems(session, {**flow, "accepted": [{"step": "s1", "warning": error.sentence}]})

    assert not found[0].is_warning and not found[0].accepted


def test_who_accepted_a_warning_is_written_by_the_server_and_kept() -> None:
    entry = {"step": "s1", "warning": "Think.", "by": "The boss", "at": "yesterday"}
    first = accepting.stamped(drawn(END, accepted=[entry]), drawn(END), by="Mara", at=factories.NOW)
    again = accepting.stamped(drawn(END, accepted=[entry]), first, by="Noor", at=factories.NOW)

    assert [e["by"] for e in (*first["accepted"], *again["accepted"])] == ["Mara", "Mara"]


def test_what_is_accepted_of_no_step_is_refused_by_the_draft_and_not_before() -> None:
    flow = drawn(END, accepted=[{"step": ["s1"], "warning": {"words": "Think."}}])
    stamped = accepting.stamped(flow, drawn(END), by="Mara", at=factories.NOW)

    with pytest.raises(drafting.BadDraft):
        drafting.written(stamped)
