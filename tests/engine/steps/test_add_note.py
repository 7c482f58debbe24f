"""Notes written by a flow, with fields filled in by the database, whatever they hold."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.db import Database
from app.engine import wording
from app.leads import updating
from app.leads.models import Note
from tests import factories
from tests.conftest import NOW
from tests.engine.steps.world import events, passing


def test_each_lead_gets_its_own_words(database: Database) -> None:
    with database.write() as session:
        factories.field(session, "plan", "text")
        ids = factories.leads(session, 2)
        updating.set_values(session, ids[0], {"plan": "{{7*7}} 'x'", "city": "Bern"}, at=NOW)
    text = "Hi {{ lead.first_name }} of {{lead.city | default(\"nowhere\")}}: {{ lead.plan|default('no plan') }}, {{ lead.score }}"
    passing(database, {"kind": "add_note", "settings": {"text": text}}, ids=ids)
    with database.read() as session:
        notes = session.execute(sa.select(Note.lead_id, Note.text, Note.user_id, Note.id).order_by(Note.lead_id)).all()
    assert [note.text for note in notes] == [
        "Hi Lead 1 of Bern: {{7*7}} 'x', 0",
        "Hi Lead 2 of nowhere: no plan, 0",
    ]
    told = events(database, "note_added")
    assert [(lead, props["note_id"], props["user_id"]) for lead, _, props in told] == [
        (note.lead_id, note.id, None) for note in notes
    ]


@pytest.mark.parametrize(
    "text",
    [
        "{{ owner.email }}",
        "{% if 1 %}",
        "{{ lead.city | upper }}",
        "{{ lead.__class__ }}",
        "{{ 7*7 }}",
        "{# x #}",
        "{{ lead.city",
    ],
)
def test_a_tag_that_cannot_be_filled_in_is_told_when_drawn(text: str) -> None:
    assert "only tags such as" in wording.check("text", "Note", text)[0].sentence


def test_what_is_nobodys_business_is_never_filled_in(database: Database) -> None:
    with database.write() as session:
        ids = factories.leads(session, 1)
    text = "[{{ lead.address_hash }}|{{ lead.canonical_email }}|{{ lead.fields }}]"
    passing(database, {"kind": "add_note", "settings": {"text": text}}, ids=ids)
    with database.read() as session:
        assert session.scalar(sa.select(Note.text)) == "[||]"
