"""Members follow the rule: by differences, with events, in full only when time alone can change the answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads.models import Lead
from app.segments import refreshing, saving
from app.segments.models import Segment, SegmentMember
from app.tracking.models import Event
from tests.segments import people
from tests.segments.people import NOW

SWISS = {"all": [{"rule": "field", "field": "country", "op": "is", "value": "CH"}]}
VISITED = {"rule": "visited", "path": "/pricing", "when": "within", "days": 7}


def make(session: Session, name: str, rule: dict[str, Any]) -> Segment:
    return saving.save(session, None, name=name, rule=rule, at=NOW)


def members(session: Session, key: str) -> set[str]:
    query = (
        sa.select(Lead.first_name)
        .join(SegmentMember, SegmentMember.lead_id == Lead.id)
        .join(Segment, Segment.id == SegmentMember.segment_id)
        .where(Segment.key == key)
    )
    return set(session.scalars(query))


def told(session: Session) -> list[tuple[str, str, int]]:
    query = sa.select(Event.kind, Event.subject, Event.identity_id).where(Event.kind.startswith("segment_"))
    return sorted(session.execute(query))


def test_a_new_segment_is_built_at_once_and_silently(session: Session) -> None:
    people.lead(session, "Ana", country="CH")
    people.lead(session, "Ben", country="DE")
    swiss = make(session, "Swiss leads", SWISS)
    assert (swiss.key, swiss.members_count, members(session, "swiss-leads")) == ("swiss-leads", 1, {"Ana"})
    assert told(session) == []


def test_who_joins_and_who_leaves_is_told_once(session: Session) -> None:
    ana, ben = people.lead(session, "Ana", country="CH"), people.lead(session, "Ben", country="DE")
    swiss = make(session, "Swiss leads", SWISS)
    session.execute(sa.update(Lead).where(Lead.id == ana).values(country="FR"))
    session.execute(sa.update(Lead).where(Lead.id == ben).values(country="ch"))
    assert refreshing.refresh(session, now=NOW, touched=sa.select(Lead.id)) == 2
    assert refreshing.refresh(session, now=NOW, touched=sa.select(Lead.id)) == 0
    assert told(session) == [("segment_joined", "swiss-leads", ben), ("segment_left", "swiss-leads", ana)]
    assert (members(session, "swiss-leads"), swiss.members_count) == ({"Ben"}, 1)


def test_only_the_touched_are_looked_at(session: Session) -> None:
    ana, ben = people.lead(session, "Ana", country="DE"), people.lead(session, "Ben", country="DE")
    make(session, "Swiss leads", SWISS)
    session.execute(sa.update(Lead).values(country="CH"))
    assert refreshing.refresh(session, now=NOW, touched=sa.select(Lead.id).where(Lead.id == ana)) == 1
    assert members(session, "swiss-leads") == {"Ana"}
    assert refreshing.refresh(session, now=NOW, touched=None) == 1
    assert ben and members(session, "swiss-leads") == {"Ana", "Ben"}


def test_time_alone_moves_people_out_but_at_most_every_quarter_of_an_hour(session: Session) -> None:
    ana = people.lead(session, "Ana")
    people.event(session, ana, "page_viewed", "/pricing", days_ago=7 - 1 / 288)  # leaves in five minutes
    make(session, "Hot", VISITED)
    nobody = sa.select(Lead.id).where(sa.false())
    refreshing.refresh(session, now=NOW + timedelta(minutes=10), touched=nobody)
    assert members(session, "hot") == {"Ana"}
    assert refreshing.refresh_due(session, now=NOW + timedelta(minutes=10)) == 0
    refreshing.refresh(session, now=NOW + timedelta(minutes=16), touched=nobody)
    assert members(session, "hot") == set()


def test_a_segment_of_a_segment_follows_in_the_same_pass_and_drifts_with_it(session: Session) -> None:
    ana = people.lead(session, "Ana")
    make(session, "Hot", VISITED)
    nested = make(session, "Hot ones", {"rule": "in_segment", "segment": "hot"})
    hot = session.scalars(sa.select(Segment).where(Segment.key == "hot")).one()
    assert (hot.drifts, nested.drifts) == (True, True)
    people.event(session, ana, "page_viewed", "/pricing")
    refreshing.refresh(session, now=NOW, touched=sa.select(Lead.id))
    assert members(session, "hot-ones") == {"Ana"}


def test_a_merged_or_erased_lead_is_no_member(session: Session) -> None:
    ana = people.lead(session, "Ana", country="CH")
    make(session, "Swiss leads", SWISS)
    session.execute(sa.update(Lead).where(Lead.id == ana).values(erased_at=NOW))
    refreshing.refresh(session, now=NOW, touched=sa.select(Lead.id))
    assert members(session, "swiss-leads") == set()


def test_a_lead_merged_into_a_touched_one_is_no_member_any_more(session: Session) -> None:
    ana, twin = people.lead(session, "Ana", country="CH"), people.lead(session, "Twin", country="CH")
    make(session, "Swiss leads", SWISS)
    session.execute(sa.update(Lead).where(Lead.id == twin).values(merged_into_id=ana))
    refreshing.refresh(session, now=NOW, touched=sa.select(Lead.id).where(Lead.id == ana))
    assert members(session, "swiss-leads") == {"Ana"}


def test_a_rule_that_cannot_be_read_leaves_its_members_and_stops_nobody_else(session: Session) -> None:
    people.lead(session, "Ana", country="CH")
    swiss = make(session, "Swiss leads", SWISS)
    swiss.rule = {"rule": "gone"}
    make(session, "All", {})
    assert refreshing.refresh(session, now=NOW, touched=None) == 0
    assert members(session, "swiss-leads") == {"Ana"}


def test_a_segment_cannot_ask_about_itself(session: Session) -> None:
    first = make(session, "First", {})
    make(session, "Second", {"rule": "in_segment", "segment": "first"})
    with pytest.raises(saving.BadSegment, match="asks about itself"):
        saving.save(session, first, name="First", rule={"rule": "in_segment", "segment": "second"}, at=NOW)


def test_a_segment_in_use_is_not_deleted(session: Session) -> None:
    first = make(session, "First", {})
    second = make(session, "Second", {"rule": "in_segment", "segment": "first"})
    with pytest.raises(saving.BadSegment, match="used by segment “Second”"):
        saving.delete(session, first)
    saving.delete(session, second)
    saving.delete(session, first)
    assert session.scalars(sa.select(Segment)).all() == []


def test_two_segments_of_one_name_have_two_keys(session: Session) -> None:
    assert [make(session, "Äpfel & Co", {}).key for _ in range(3)] == ["apfel-co", "apfel-co-2", "apfel-co-3"]
