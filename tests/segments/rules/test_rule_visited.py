"""Visits are counted per path and period, without machines, for every browser of the lead."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from tests.segments import people
from tests.segments.people import NOW, who


def visited(path: str = "/pricing", **settings: object) -> dict[str, object]:
    return {"rule": "visited", "path": path, **settings}


def test_the_path_is_exact_or_has_stars_and_letters_count(session: Session) -> None:
    for name, path in (("Ana", "/pricing"), ("Ben", "/pricing/"), ("Cleo", "/pricing/teams"), ("Dora", "/Pricing")):
        people.event(session, people.lead(session, name), "page_viewed", path)
    assert who(session, visited("/pricing")) == {"Ana", "Ben"}
    assert who(session, visited("https://www.example.com/pricing?utm_source=x")) == {"Ana", "Ben"}
    assert who(session, visited("pricing*")) == {"Ana", "Ben", "Cleo"}
    assert who(session, visited("*/teams")) == {"Cleo"}
    assert who(session, visited("")) == {"Ana", "Ben", "Cleo", "Dora"}


@pytest.mark.parametrize("path", ["/a_b", "/a%b", "/a[1]", "/a?b", "/a\\b"])
def test_signs_that_databases_read_as_wildcards_are_letters_here(session: Session, path: str) -> None:
    people.event(session, people.lead(session, "Ana"), "page_viewed", path + "/x")
    people.event(session, people.lead(session, "Ben"), "page_viewed", "/axb/x")
    people.event(session, people.lead(session, "Cleo"), "page_viewed", "/a1/x")
    assert who(session, visited(path + "*")) == {"Ana"}


def test_at_least_so_often_within_so_many_days(session: Session) -> None:
    ana, ben = people.lead(session, "Ana"), people.lead(session, "Ben")
    for days in (1, 2):
        people.event(session, ana, "page_viewed", "/pricing", days_ago=days)
    for days in (1, 20):
        people.event(session, ben, "page_viewed", "/pricing", days_ago=days)
    rule = visited(times=2, when="within", days=7)
    assert who(session, rule) == {"Ana"}
    assert who(session, rule | {"did": "has_not"}) == {"Ben"}
    assert people.seen(session, rule, ben) == {"visits of /pricing": 1}


def test_machines_do_not_count_and_browsers_joined_later_do(session: Session) -> None:
    ana, ben = people.lead(session, "Ana"), people.lead(session, "Ben")
    people.event(session, ana, "page_viewed", "/pricing", agent="machine")
    people.event(session, people.visitor(session, ben), "page_viewed", "/pricing", agent="unknown")
    people.event(session, people.visitor(session, None), "page_viewed", "/pricing")
    assert who(session, visited()) == {"Ben"}
    assert who(session, visited(did="has_not")) == {"Ana"}


def test_since_arrival_counts_from_each_leads_own_moment(session: Session) -> None:
    from app import db
    from app.leads.models import Lead
    from app.segments import ruling

    ana, ben = people.lead(session, "Ana"), people.lead(session, "Ben")
    for lead_id in (ana, ben):
        people.event(session, lead_id, "page_viewed", "/pricing", days_ago=3)
    arrivals = [(ana, NOW - timedelta(days=4)), (ben, NOW - timedelta(days=2))]
    here = db.rows_of(arrivals, lead_id=sa.BigInteger(), arrived_at=db.Instant())
    ctx = ruling.context(session, NOW, since={"arrival": here.c.arrived_at})
    for settings, expected in (({}, {"Ana"}), ({"times": 2}, set()), ({"did": "has_not"}, {"Ben"})):
        rule = visited(when="arrival", **settings)
        query = sa.select(Lead.first_name).join(here, here.c.lead_id == Lead.id).where(ruling.predicate(rule, ctx))
        assert set(session.scalars(query)) == expected


def test_since_arrival_matches_nobody_where_nobody_arrives_and_is_refused_there(session: Session) -> None:
    from app.segments import ruling

    people.event(session, people.lead(session, "Ana"), "page_viewed", "/pricing")
    assert who(session, visited(when="arrival")) == set()
    assert "Only inside a campaign" in ruling.check(visited(when="arrival"), ruling.known(session))[0].sentence
    assert ruling.check(visited(when="arrival"), ruling.known(session, ("arrival",))) == []
    assert who(session, visited(when="arrival"), since={"arrival": NOW - timedelta(days=1)}) == {"Ana"}


def test_since_a_mail_was_sent(session: Session) -> None:
    ana, ben = people.lead(session, "Ana"), people.lead(session, "Ben")
    people.event(session, ana, "email_sent", "welcome", days_ago=5)
    people.event(session, ben, "email_sent", "welcome", days_ago=2)
    for lead_id in (ana, ben):
        people.event(session, lead_id, "page_viewed", "/pricing", days_ago=3)
    assert who(session, visited(when="mail", after="welcome")) == {"Ana"}
    assert who(session, visited(when="mail", after="welcome", did="has_not")) == {"Ben"}
