"""The story of a lead says its instants as whoever reads it wants them said."""

from __future__ import annotations

from app.db import Database
from app.engine import explaining
from tests import factories
from tests.engine.test_flows import World

WAIT = {"kind": "wait", "settings": {"amount": 2, "unit": "days"}}


def test_a_page_says_instants_by_its_readers_clock_and_the_command_line_in_utc(database: Database) -> None:
    world = World(database, factories.flow(WAIT), count=1)
    world.enter()
    with database.read() as session:
        lead, campaign = world.leads[0], world.campaign.id
        here = explaining.why(session, lead, campaign, said=lambda instant: "Tuesday")[0].lines[-1].sentence
        plain = explaining.why(session, lead, campaign)[0].lines[-1].sentence
    assert here == "Waits here until Tuesday."
    assert plain.startswith("Waits here until 20") and plain.endswith(" UTC.")
