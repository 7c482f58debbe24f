"""Every ready programme is complete, begins as a draft in any house, and takes a lead where it says."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from app.campaigns import checking, drafting, starting
from app.db import Database
from tests.campaigns.conftest import furnish
from tests.conftest import NOW

NAMES = [each.name for each in starting.programmes()]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_wrong_with_it_where_somebody_takes_leads(database: Database, name: str) -> None:
    with database.write() as session:
        furnish(session)
        made = starting.start(session, name, user_id=None, at=NOW)
        assert [p.sentence for p in checking.problems(session, drafting.get(session, made.id).flow)] == []
