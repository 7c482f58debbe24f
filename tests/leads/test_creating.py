"""New leads get an identity of their own number, a first event, and a company; bad values are refused."""

from datetime import datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.leads import creating, fields, finding, tagging, updating
from app.leads.addresses import BadAddress
from app.leads.models import Company, Lead, LeadTag
from app.leads.values import BadValue
from app.tracking.models import Event, Identity
from app.tracking.queries import lead_events


def events_of(session: Session, lead_id: int, kind: str) -> list[tuple[str, dict[str, object]]]:
    found = lead_events().subquery()
    query = sa.select(found.c.subject, found.c.props).where(found.c.lead_id == lead_id, found.c.kind == kind)
    return [(row.subject, row.props) for row in session.execute(query.order_by(found.c.id))]


def test_a_new_lead_has_its_own_identity_and_a_first_event(session: Session, now: datetime) -> None:
    lead = creating.create(session, email="Maria@Nordhafen.example", source="By hand", at=now, first_name="Maria")
    identity = session.get_one(Identity, lead.id)
    assert (identity.kind, identity.lead_id) == ("lead", lead.id)
    assert (lead.email, lead.canonical_email) == ("Maria@Nordhafen.example", "maria@nordhafen.example")
    assert lead.bucket == lead.id % 64
    assert lead.search_text == "maria maria@nordhafen.example"
    assert events_of(session, lead.id, "lead_created") == [("By hand", {})]


def test_many_leads_are_made_in_the_same_number_of_statements_as_two(session: Session, now: datetime) -> None:
    counts = []
    for size in (2, 900):
        statements: list[str] = []
        sa.event.listen(session.connection(), "before_cursor_execute", lambda *a, seen=statements: seen.append(a[2]))
        rows = [{"email": f"l{i}@{size}.example", "company_name": f"Company {i % 7}"} for i in range(size)]
        ids = creating.create_many(session, rows, source="Test", at=now)
        assert len(ids) == size
        assert [session.get_one(Lead, i).email for i in ids[:2]] == [r["email"] for r in rows[:2]]
        counts.append(len(statements))
    assert counts[1] <= counts[0] + 4


def test_the_same_address_is_one_lead(session: Session, now: datetime) -> None:
    first = creating.create(session, email="a@x.example", source="Test", at=now)
    with pytest.raises(creating.AlreadyKnown) as caught:
        creating.create(session, email="A@X.Example", source="Test", at=now)
    assert caught.value.lead_id == first.id
    again, is_new = creating.create_or_complete(
        session, email="A@x.example", source="Form", at=now, values={"city": "Bern"}, overwrite=False
    )
    assert (again.id, is_new, again.city) == (first.id, False, "Bern")


def test_completing_without_overwriting_fills_only_what_is_empty(session: Session, now: datetime) -> None:
    lead = creating.create(session, email="a@x.example", source="Test", at=now, first_name="Ana")
    values = {"first_name": "Anna", "last_name": "Mota"}
    creating.create_or_complete(session, email="a@x.example", source="F", at=now, values=values, overwrite=False)
    assert (lead.first_name, lead.last_name) == ("Ana", "Mota")
    creating.create_or_complete(session, email="a@x.example", source="F", at=now, values=values, overwrite=True)
    assert lead.first_name == "Anna"
    assert [e[0] for e in events_of(session, lead.id, "field_changed")] == ["last_name", "first_name"]


@pytest.mark.parametrize(
    ("values", "stored"),
    [
        ({"country": "Switzerland"}, {"country": "CH", "inferred_zone": "Europe/Zurich"}),
        ({"country": "ch"}, {"country": "CH"}),
        ({"country": "Schweiz"}, {"country": "CH"}),
        ({"phone": "044 668 18 00", "country": "CH"}, {"phone": "+41446681800"}),
        ({"phone": "+41 44 668 18 00"}, {"phone": "+41446681800"}),
        ({"phone": "ext. 12"}, BadValue),
        ({"country": "Atlantis"}, BadValue),
        ({"zone": "europe/zurich"}, {"zone": "Europe/Zurich"}),
        ({"zone": "CET-1"}, BadValue),
        ({"first_name": "x" * 201}, BadValue),
        ({"first_name": "A\x00n\u202ea\r\nBcc: x"}, {"first_name": "Ana Bcc: x"}),
        ({"first_name": "<script>alert(1)</script>"}, {"first_name": "<script>alert(1)</script>"}),
        ({"height": 3}, BadValue),
        ({"seats": "1'250,5"}, BadValue),
        ({"seats": "1.250,5"}, {"fields": {"seats": 1250.5}}),
        ({"seats": "1e400"}, BadValue),
        ({"renewal": "31.12.2026"}, {"fields": {"renewal": "2026-12-31"}}),
        ({"renewal": "31.2.2026"}, BadValue),
        ({"plan": "PRO"}, {"fields": {"plan": "Pro"}}),
        ({"plan": "Gold"}, BadValue),
        ({"trial": "ja"}, {"fields": {"trial": True}}),
        ({"trial": "perhaps"}, BadValue),
    ],
)
def test_values_are_checked_by_their_declared_type(
    session: Session, now: datetime, values: dict[str, object], stored: object
) -> None:
    fields.declare(session, label="Seats", kind="number")
    fields.declare(session, label="Renewal", kind="date")
    fields.declare(session, label="Plan", kind="choice", choices=["Basic", "Pro"])
    fields.declare(session, label="Trial", kind="switch")
    if stored is BadValue and values != {"seats": "1'250,5"}:
        with pytest.raises(BadValue):
            creating.create(session, email="a@x.example", source="Test", at=now, **values)
        return
    lead = creating.create(session, email="a@x.example", source="Test", at=now, **values)
    for name, value in (stored if isinstance(stored, dict) else {}).items():
        assert getattr(lead, name) == value


def test_an_address_cannot_be_taken_from_another_lead(session: Session, now: datetime) -> None:
    creating.create(session, email="a@x.example", source="Test", at=now)
    other = creating.create(session, email="b@x.example", source="Test", at=now)
    with pytest.raises(BadAddress):
        updating.set_values(session, other.id, {"email": "A@x.example"}, at=now)
    assert updating.set_values(session, other.id, {"email": "c@x.example"}, at=now) == ["email"]
    assert (finding.by_email(session, "C@x.example") or other).id == other.id
    assert finding.by_email(session, "b@x.example") is None


@pytest.mark.parametrize(
    ("name", "value", "again"),
    [("city", "Bern", "Bern"), ("company_name", "Nordhafen AG", "Nordhafen AG"), ("seats", "12", 12), ("trial", True, True),
     ("plan", "pro", "Pro"), ("country", "Germany", "DE")],
)  # fmt: skip
def test_one_field_is_set_for_a_set_of_leads(
    session: Session, now: datetime, name: str, value: object, again: object
) -> None:
    fields.declare(session, label="Seats", kind="number")
    fields.declare(session, label="Trial", kind="switch")
    fields.declare(session, label="Plan", kind="choice", choices=["Pro"])
    ids = creating.create_many(session, [{"email": f"{i}@x.example"} for i in range(3)], source="T", at=now)
    some = sa.select(Lead.id).where(Lead.id.in_(ids[:2]))
    assert updating.set_field_for(session, some, name, value, at=now) == 2
    assert updating.set_field_for(session, some, name, value, at=now) == 0
    lead = session.get_one(Lead, ids[0])
    assert (getattr(lead, name, None) or lead.fields.get(name)) == again
    kind = fields.labels(session)[name][1]
    assert session.scalar(sa.select(sa.func.count()).where(fields.column(name, kind) == again)) == 2
    assert events_of(session, ids[0], "field_changed")[0] == (
        name,
        {"from": None if name in {"seats", "trial", "plan"} else "", "to": again},
    )
    assert events_of(session, ids[2], "field_changed") == []
    assert updating.set_field_for(session, some, name, None, at=now) == 2
    assert not (getattr(session.get_one(Lead, ids[0]), name, None) or session.get_one(Lead, ids[0]).fields.get(name))


def test_companies_are_found_by_domain_or_name_and_made_once(session: Session, now: datetime) -> None:
    rows = [
        {"email": "a@x.example", "company_name": "Nordhafen AG", "company_domain": "https://www.nordhafen.example/x"},
        {"email": "b@x.example", "company_name": "NORDHAFEN AG"},
        {"email": "c@x.example", "company_domain": "nordhafen.example"},
        {"email": "d@x.example"},
    ]
    ids = creating.create_many(session, rows, source="Test", at=now)
    assert session.scalar(sa.select(sa.func.count()).select_from(Company)) == 1
    assert [session.get_one(Lead, i).company_id is not None for i in ids] == [True, True, True, False]
    assert (
        session.scalar(sa.select(fields.column("company_domain", "text")).where(Lead.id == ids[1]))
        == "nordhafen.example"
    )


def test_tags_are_added_and_removed_for_sets_once(session: Session, now: datetime) -> None:
    ids = creating.create_many(session, [{"email": f"{i}@x.example"} for i in range(3)], source="T", at=now)
    everybody = sa.select(Lead.id)
    tag = tagging.ensure(session, "Fair 2026")
    assert tag.key == "fair-2026"
    assert tagging.add(session, everybody, "fair-2026", at=now) == 3
    assert tagging.add(session, everybody, "fair-2026", at=now) == 0
    assert tagging.remove(session, sa.select(Lead.id).where(Lead.id == ids[0]), "fair-2026", at=now) == 1
    assert session.scalar(sa.select(sa.func.count()).select_from(LeadTag)) == 2
    assert len(session.scalars(sa.select(Event).where(Event.kind == "tag_added")).all()) == 3
    assert tagging.remove(session, everybody, "unknown", at=now) == 0


def test_a_field_without_a_name_gets_a_free_one_from_its_label(session: Session) -> None:
    assert fields.declare(session, label="Interest", kind="text").name == "interest_2"
    assert fields.declare(session, label="Interest!", kind="text").name == "interest_3"
    assert fields.declare(session, label="2nd plan", kind="text").name == "field_2nd_plan"
    assert fields.declare(session, label="プラン", kind="text").name == "field"


@pytest.mark.parametrize(
    ("label", "name"), [("Interest", "interest"), ("email", ""), ("Seats", "seats_2"), ("New", "seats")]
)
def test_a_label_or_a_name_that_is_taken_is_refused(session: Session, label: str, name: str) -> None:
    fields.declare(session, label="Seats", kind="number")
    with pytest.raises(BadValue):
        fields.declare(session, label=label, name=name, kind="text")
