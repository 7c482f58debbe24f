"""Owners given by a flow: a person, whoever is next in turn, nobody; each change is told."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import sqlalchemy as sa

from app.campaigns import drafting
from app.db import Database
from app.engine.models import Decision
from app.leads.models import Company, Lead
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import events, passing, user


def owners(database: Database) -> list[int | None]:
    with database.read() as session:
        return list(session.scalars(sa.select(Lead.owner_id).order_by(Lead.id)))


def step(**settings: Any) -> dict[str, Any]:
    return {"kind": "set_owner", "settings": settings}


def test_in_turn_each_present_rep_gets_a_fair_share(database: Database) -> None:
    with database.write() as session:
        reps = [user(session, f"rep{n}", rep=True).id for n in range(3)]
        own = user(session, "own").id
        ids = factories.leads(session, 10)
        session.execute(sa.update(Lead).where(Lead.id == ids[0]).values(owner_id=own))
    passing(database, step(), ids=ids)
    found = owners(database)
    assert found[0] == own
    assert Counter(found[1:]) == dict.fromkeys(reps, 3)
    assert [subject for _, subject, _ in events(database, "field_changed")] == ["owner_id"] * 9
    passing(database, step(only_without=False), ids=ids, key="again")
    assert owners(database)[0] in reps


def test_a_person_the_accounts_owner_or_nobody(database: Database) -> None:
    with database.write() as session:
        person, account = user(session, "person").id, user(session, "account").id
        rep = user(session, "rep", rep=True).id
        ids = factories.leads(session, 2, company_name="Acme")
        session.execute(sa.update(Lead).where(Lead.id == ids[1]).values(company_id=None))
        session.execute(sa.update(Company).values(owner_id=account))
    passing(database, step(to="person", person="Person@example.com"), ids=ids)
    assert owners(database) == [person, person]
    passing(database, step(to="account_owner", only_without=False), ids=ids, key="account")
    assert owners(database) == [account, rep]
    passing(database, step(to="nobody"), ids=ids, key="nobody")
    assert owners(database) == [None, None]


def test_when_nobody_is_there_the_lead_goes_on_and_the_journal_says_so(database: Database) -> None:
    with database.write() as session:
        user(session, "gone", is_active=False)
        ids = factories.leads(session, 1)
    passing(database, step(), step(to="person", person="gone@example.com"), ids=ids)
    assert owners(database) == [None]
    with database.read() as session:
        said = session.scalars(sa.select(Decision.why).where(Decision.step.in_(["s1", "s2"]))).all()
    assert said == [{"note": "nobody was there to take it"}] * 2


def test_in_the_designer_a_person_is_chosen_and_never_guessed(sign_in: Any, sqlite_database: Database) -> None:
    with sqlite_database.write() as session:
        campaign_id = drafting.create(session, name="Any", at=NOW).id
    data = {"what": "step", "kind": "set_owner", "settings": json.dumps({"to": "person"})}
    page = sign_in("marketer").post(f"/campaigns/{campaign_id}/draft/form", data=data).get_data(as_text=True)
    person = page[page.index('name="person"') :].split("</select>")[0]
    assert person.index('value=""') < person.index("marketer@example.com")
    assert "selected" not in person.split("marketer@example.com")[1]
