"""SEMANTICS 12: a file of leads may bring them into a campaign."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.db import Database
from app.engine.models import Enrollment
from app.engine.ticking import tick
from app.leads import importing, planning
from app.leads.models import Lead
from app.leads.planning import Options
from app.leads.values import BadValue
from tests import factories
from tests.conftest import NOW

SWISS = {"rule": "field", "field": "country", "op": "is", "value": "CH"}


def bring(database: Database, path: Path, text: str, campaign: str) -> None:
    path.write_text(text)
    options = Options(campaign=campaign)
    known = planning.open_file(path, options)
    with database.write() as session:
        importing.check_campaign(session, options)
        mapping = planning.guess(session, known)
        row = importing.start(session, path.name, "x", rows=known.count(), user_id=None, at=NOW)
        importing.begin(session, row.id, known.columns, mapping, options)
    importing.run(database, row.id, path, at=NOW)
    tick(database, NOW)


def test_rule_12_the_leads_of_a_file_new_and_known_enter_the_campaign_that_was_chosen(
    database: Database, tmp_path: Path
) -> None:
    with database.write() as session:
        factories.leads(session, 2, country="CH")
        factories.campaign(session, factories.flow({"kind": "wait"}) | {"audience": SWISS})
    text = "email,country\nlead1@example.com,CH\nnew@example.com,CH\nabroad@example.com,DE\n"
    for _ in range(2):  # brought again, nobody comes in a second time
        bring(database, tmp_path / "fair.csv", text, "nurture")
    with database.read() as session:
        inside = sa.select(Lead.email).join(Enrollment, Enrollment.lead_id == Lead.id).order_by(Lead.id)
        assert list(session.scalars(inside)) == ["lead1@example.com", "new@example.com"]


def test_a_campaign_that_takes_nobody_by_hand_is_refused_before_a_row_is_read(
    database: Database, tmp_path: Path
) -> None:
    with database.write() as session:
        closed = factories.flow({"kind": "wait"}) | {"triggers": [{"id": "t1", "kind": "custom_event"}]}
        factories.campaign(session, closed)
    with pytest.raises(BadValue, match="takes no leads from a file; publish it with the trigger “Added by hand”"):
        bring(database, tmp_path / "fair.csv", "email\na@example.com\n", "nurture")
    with database.read() as session:
        assert session.scalars(sa.select(Lead.id)).all() == []
