"""Scores, grades, stages, tags, owners, companies: what is known of the lead itself."""

from __future__ import annotations

from sqlalchemy.orm import Session

from app.accounts.models import User
from app.leads.models import Company, LeadTag, Tag
from tests.segments import people
from tests.segments.people import NOW, who


def test_score(session: Session) -> None:
    people.lead(session, "Ana", score=60, fit=40, interest=20)
    people.lead(session, "Ben", score=50, fit=0, interest=50)
    assert who(session, {"rule": "score", "dimension": "total", "op": "at_least", "value": 50}) == {"Ana", "Ben"}
    assert who(session, {"rule": "score", "dimension": "fit", "op": "above", "value": 39}) == {"Ana"}
    assert who(session, {"rule": "score", "dimension": "interest", "op": "at_most", "value": 20}) == {"Ana"}


def test_grade(session: Session) -> None:
    people.lead(session, "Ana", fit_grade="A", interest_grade=2, temperature="hot")
    people.lead(session, "Ben", fit_grade="C", interest_grade=4, temperature="cold")
    grade = {"rule": "grade"}
    assert who(session, grade | {"of": "fit", "op": "at_least", "grade": "B"}) == {"Ana"}
    assert who(session, grade | {"of": "fit", "op": "below", "grade": "B"}) == {"Ben"}
    assert who(session, grade | {"of": "interest", "op": "at_least", "grade": "4"}) == {"Ana", "Ben"}
    assert who(session, grade | {"of": "temperature", "op": "is_not", "grade": "hot"}) == {"Ben"}
    assert who(session, grade | {"of": "fit", "op": "is", "grade": "hot"}) == set()


def test_stage(session: Session) -> None:
    people.lead(session, "Ana", stage="mql")
    people.lead(session, "Ben", stage="customer")
    people.lead(session, "Cleo")
    assert who(session, {"rule": "stage", "op": "is", "stage": "mql"}) == {"Ana"}
    assert who(session, {"rule": "stage", "op": "at_least", "stage": "mql"}) == {"Ana", "Ben"}
    assert who(session, {"rule": "stage", "op": "below", "stage": "mql"}) == {"Cleo"}
    assert who(session, {"rule": "stage", "op": "is_not", "stage": "mql"}) == {"Ben", "Cleo"}


def test_tag(session: Session) -> None:
    ana, _ = people.lead(session, "Ana"), people.lead(session, "Ben")
    session.add(Tag(id=1, key="fair", name="Fair"))
    session.flush()
    session.add(LeadTag(lead_id=ana, tag_id=1, at=NOW))
    session.flush()
    assert who(session, {"rule": "tag", "tag": "fair"}) == {"Ana"}
    assert who(session, {"rule": "tag", "tag": "fair", "has": "has_not"}) == {"Ben"}
    assert people.seen(session, {"rule": "tag", "tag": "fair"}, ana) == {"tag fair": True}


def test_owner(session: Session) -> None:
    owner = {"role": "sales", "password_hash": "-", "created_at": NOW}
    session.add_all([User(id=1, email="a@x.test", name="A", **owner), User(id=2, email="b@x.test", name="B", **owner)])
    session.flush()
    for name, owner_id in (("Ana", 1), ("Ben", 2), ("Cleo", None)):
        people.lead(session, name, owner_id=owner_id)
    assert who(session, {"rule": "owner", "op": "is", "user": "a@x.test"}) == {"Ana"}
    assert who(session, {"rule": "owner", "op": "is_not", "user": "a@x.test"}) == {"Ben", "Cleo"}
    assert who(session, {"rule": "owner", "op": "anybody"}) == {"Ana", "Ben"}
    assert who(session, {"rule": "owner", "op": "nobody"}) == {"Cleo"}


def test_company(session: Session) -> None:
    session.add(
        Company(id=1, name="Nordhafen AG", domain="n.test", industry="Logistics", employees_count=220, created_at=NOW)
    )
    session.flush()
    people.lead(session, "Ana", company_id=1)
    people.lead(session, "Ben", company_name="nordhafen ag")
    people.lead(session, "Cleo")
    company = {"rule": "company"}
    assert who(session, company | {"about": "name", "op": "is", "value": "Nordhafen AG"}) == {"Ana", "Ben"}
    assert who(session, company | {"about": "name", "op": "is_empty"}) == {"Cleo"}
    assert who(session, company | {"about": "employees", "op": "at_least", "value": 200}) == {"Ana"}
    assert who(session, company | {"about": "industry", "op": "one_of", "value": ["logistics"]}) == {"Ana"}
    assert who(session, company | {"about": "industry", "op": "is_not", "value": "logistics"}) == {"Ben", "Cleo"}
    assert who(session, company | {"about": "employees", "op": "at_least", "value": "many"}) == set()
