"""Opens, clicks, sendings, submissions, downloads and custom events are found by what they are about."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from tests.segments import people
from tests.segments.people import who


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ({"rule": "opened", "mail": "welcome"}, "email_opened"),
        ({"rule": "clicked", "mail": "welcome"}, "email_clicked"),
        ({"rule": "received", "mail": "welcome"}, "email_sent"),
        ({"rule": "submitted", "form": "welcome"}, "form_submitted"),
        ({"rule": "downloaded", "path": "/welcome"}, "file_downloaded"),
        ({"rule": "custom_event", "event": "welcome"}, "custom"),
    ],
)
def test_the_thing_named_and_no_other(session: Session, rule: dict[str, object], kind: str) -> None:
    prefix = "/" if rule["rule"] == "downloaded" else ""
    for name, subject, agent, days in (
        ("Ana", "welcome", "human", 1),
        ("Ben", "other", "human", 1),
        ("Cleo", "welcome", "machine", 1),
        ("Dora", "welcome", "human", 30),
    ):
        people.event(session, people.lead(session, name), kind, prefix + subject, agent=agent, days_ago=days)
    assert who(session, rule) == {"Ana", "Dora"}
    assert who(session, rule | {"when": "within", "days": 7}) == {"Ana"}
    assert who(session, rule | {"did": "has_not", "when": "within", "days": 7}) == {"Ben", "Cleo", "Dora"}
    if rule["rule"] != "custom_event":
        anything = {name: "" if name in ("mail", "form", "path") else value for name, value in rule.items()}
        assert who(session, anything) == {"Ana", "Ben", "Dora"}


def test_who_clicked_has_opened_too(session: Session) -> None:
    people.event(session, people.lead(session, "Ana"), "email_clicked", "welcome")
    assert who(session, {"rule": "opened", "mail": "welcome"}) == {"Ana"}


def test_a_click_is_found_by_where_it_leads(session: Session) -> None:
    url = "https://example.com/Pricing?utm_source=mail"
    people.event(session, people.lead(session, "Ana"), "email_clicked", "welcome", props={"url": url})
    people.event(session, people.lead(session, "Ben"), "email_clicked", "welcome", props={})
    assert who(session, {"rule": "clicked", "link": "/pricing"}) == {"Ana"}
    assert who(session, {"rule": "clicked", "link": "/blog"}) == set()


def test_a_custom_event_is_found_by_its_properties(session: Session) -> None:
    for name, props in (
        ("Ana", {"plan": "Pro", "seats": 12}),
        ("Ben", {"plan": "pro", "seats": 3}),
        ("Cleo", {"seats": "12"}),
    ):
        people.event(session, people.lead(session, name), "custom", "trial", props=props)
    rule = {"rule": "custom_event", "event": "trial"}
    assert who(session, rule | {"where": ["plan is pro"]}) == {"Ana", "Ben"}
    assert who(session, rule | {"where": ["plan is pro", "seats at least 10"]}) == {"Ana"}
    assert who(session, rule | {"where": ["plan is not pro"]}) == {"Cleo"}
    assert who(session, rule | {"where": ["plan is known"]}) == {"Ana", "Ben"}


def test_a_condition_on_a_property_that_cannot_be_read_is_said(session: Session) -> None:
    from app.segments import ruling

    rule = {"rule": "custom_event", "event": "trial", "where": ["seats more than 3"]}
    sentence = ruling.check(rule, ruling.known(session))[0].sentence
    assert sentence.startswith("Custom event: Only where: write “seats more than 3” as")
