"""A task always finds somebody who sees it: the lead's owner, the account's, or whoever is next."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.db import Database
from app.leads import updating
from app.leads.models import Company, Lead
from app.sales.models import Task
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import passing, user


def owners(database: Database) -> list[int | None]:
    with database.read() as session:
        return list(session.scalars(sa.select(Task.owner_id).order_by(Task.lead_id, Task.id)))


def task(**settings: Any) -> dict[str, Any]:
    return {"kind": "create_task", "settings": {"title": "Call", **settings}}


def test_a_task_goes_to_the_owner_else_to_the_accounts_owner_else_in_turn(database: Database) -> None:
    with database.write() as session:
        own, account = user(session, "own").id, user(session, "account").id
        first, second = user(session, "first", rep=True).id, user(session, "second", rep=True).id
        gone = user(session, "gone", is_active=False).id
        ids = factories.leads(session, 5, company_name="Acme")
        session.execute(sa.update(Company).values(owner_id=account))
        session.execute(sa.update(Lead).where(Lead.id.in_(ids[2:])).values(company_id=None))
        session.execute(sa.update(Lead).where(Lead.id == ids[0]).values(owner_id=own))
        session.execute(sa.update(Lead).where(Lead.id == ids[4]).values(owner_id=gone))
    passing(database, task(), ids=ids)
    found = owners(database)
    assert found[:2] == [own, account]
    assert sorted(found[2:], key=lambda x: x or 0) in ([first, first, second], [first, second, second])


def test_a_task_for_a_person_who_has_left_goes_to_whoever_is_next(database: Database) -> None:
    with database.write() as session:
        user(session, "gone", is_active=False)
        rep = user(session, "rep", rep=True).id
        ids = factories.leads(session, 2)
    passing(database, task(owner="gone@example.com", otherwise="round_robin"), ids=ids)
    passing(database, task(owner="rep@example.com"), ids=ids, key="again")
    assert owners(database) == [rep] * 4


def test_a_task_for_nobody_stays_one_and_is_made_once(database: Database) -> None:
    with database.write() as session:
        user(session, "rep", rep=True)
        ids = factories.leads(session, 2)
    passing(database, task(otherwise="nobody"), ids=ids)
    assert owners(database) == [None, None]


def test_without_anybody_in_sales_the_task_waits_for_somebody(database: Database) -> None:
    with database.write() as session:
        ids = factories.leads(session, 2)
    passing(database, task(), ids=ids)
    assert owners(database) == [None, None]


def test_title_and_note_name_the_lead_and_an_older_text_stands_as_it_is(database: Database) -> None:
    with database.write() as session:
        user(session, "rosa", rep=True)
        ids = factories.leads(session, 2)
        updating.set_values(session, ids[1], {"first_name": ""}, at=NOW)
    title = 'Call {{ lead.first_name | default("them") }}'
    passing(database, {"kind": "create_task", "settings": {"title": title, "note": "{% old %}"}}, ids=ids)
    with database.read() as session:
        told = session.execute(sa.select(Task.title, Task.note).order_by(Task.lead_id)).all()
    assert [tuple(row) for row in told] == [("Call Lead 1", "{% old %}"), ("Call them", "{% old %}")]
