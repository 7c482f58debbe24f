"""The demonstration is a consistent year of a company, made by the product's own engine, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.db import Database
from app.demo import filling
from app.engine.models import Campaign, Enrollment
from app.leads.models import Lead
from app.mail import valuing
from app.mail.mailboxes import Mailbox
from app.mail.models import Mail, MailVersion
from app.mail.rendering import render
from app.outbox import Message
from app.preferences.models import Consent
from app.sales.models import Handoff
from app.segments.models import Segment, SegmentMember
from app.tracking.models import Event
from tests.conftest import migrate

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
BASE = "http://127.0.0.1:8000"
pytestmark = pytest.mark.timeout(600)  # one filling for all of them; a busy machine is slow, not wrong


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, data: Path) -> Iterator[Database]:
    """A small Nordhafen, filled once for all tests of this file."""
    database = _database(request, data)
    folder = data / request.param
    filling.fill(database, data=folder, base_url=BASE, leads=150, now=NOW, days_a_beat=4, say=lambda text: None)
    yield database
    database.dispose()


def _database(request: pytest.FixtureRequest, data: Path) -> Database:
    if request.param == "sqlite":
        made = Database(f"sqlite:///{data / 'trellis.sqlite'}")
    else:
        server = request.getfixturevalue("postgres_url")
        with sa.create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(sa.text("DROP DATABASE IF EXISTS nordhafen"))
            connection.execute(sa.text("CREATE DATABASE nordhafen"))
        made = Database(sa.make_url(server).set(database="nordhafen").render_as_string(hide_password=False))
    migrate(made)
    return made


def test_three_campaigns_are_live_with_leads_at_different_steps(filled: Database) -> None:
    with filled.read() as session:
        live = sa.select(Campaign.key).where(Campaign.state == "live")
        assert set(session.scalars(live)) == {"pricing-guide-nurture", "welcome", "win-back"}
        here = sa.select(Campaign.key, Enrollment.step).join(Enrollment, Enrollment.campaign_id == Campaign.id)
        inside = session.execute(here.where(Enrollment.state == "active").distinct()).all()
    assert {key for key, _ in inside} == {"pricing-guide-nurture", "welcome", "win-back"}
    assert len(inside) > 5


def test_nobody_failed_and_every_passage_has_one_state(filled: Database) -> None:
    with filled.read() as session:
        states = dict(session.execute(sa.select(Enrollment.state, sa.func.count()).group_by(Enrollment.state)).all())
        entered = session.scalar(sa.select(sa.func.count()).where(Event.kind == "campaign_entered").select_from(Event))
        left = session.scalar(sa.select(sa.func.count()).where(Event.kind == "campaign_left").select_from(Event))
    assert set(states) <= {"active", "completed", "converted", "exited"}
    assert sum(states.values()) == entered
    assert sum(n for state, n in states.items() if state != "active") == left


def test_segments_count_their_members(filled: Database) -> None:
    with filled.read() as session:
        counted = sa.select(SegmentMember.segment_id, sa.func.count()).group_by(SegmentMember.segment_id)
        members = dict(session.execute(counted).all())
        assert {s.id: s.members_count for s in session.scalars(sa.select(Segment)) if s.members_count} == members


def test_a_stage_is_where_the_last_change_led(filled: Database) -> None:
    with filled.read() as session:
        moves = sa.select(Event.identity_id, Event.subject).where(Event.kind == "stage_changed").order_by(Event.id)
        last = dict(session.execute(moves).all())
        assert {lead.id: lead.stage for lead in session.scalars(sa.select(Lead)) if lead.stage != "subscriber"} == last


def test_no_marketing_mail_follows_an_unsubscribe(filled: Database) -> None:
    with filled.read() as session:
        late = (
            sa.select(Message.id)
            .join(Consent, Consent.lead_id == Message.lead_id)
            .where(Consent.state == "withdrawn", Message.purpose == "marketing", Message.state == "sent")
            .where(sa.or_(Consent.topic_id.is_(None), Consent.topic_id == Message.topic_id))
            .where(Message.finished_at > Consent.at)
        )
        assert session.scalars(late).all() == []


def test_nothing_happened_in_the_future_or_waits_to_be_sent(filled: Database) -> None:
    with filled.read() as session:
        assert session.scalar(sa.select(sa.func.max(Event.at))) <= NOW
        states = set(session.scalars(sa.select(Message.state).distinct()))
    assert states <= {"sent", "not_sent", "failed", "cancelled"}


def test_every_mail_can_be_rendered(filled: Database) -> None:
    with filled.read() as session:
        values = valuing.sample(session)
        pages = dict.fromkeys(("click_base", "open_url", "unsubscribe_url", "preferences_url", "view_url", "why_url"), f"{BASE}/x")  # fmt: skip
        current = session.scalars(sa.select(MailVersion).join(Mail, Mail.version_id == MailVersion.id)).all()
        assert len(current) == session.scalar(sa.select(sa.func.count()).select_from(Mail))
        for version in current:
            words = render(version, values | pages)
            assert words.subject
            assert "{{" not in words.html + words.text


def test_the_mailbox_holds_mails_of_the_real_sender(filled: Database, data: Path) -> None:
    mailbox = Mailbox(data / ("sqlite" if filled.is_sqlite else "postgresql"))
    assert mailbox.count() > 0
    mailbox.close()


def test_sales_has_answered_some_leads(filled: Database) -> None:
    with filled.read() as session:
        states = set(session.scalars(sa.select(Handoff.state).distinct()))
    assert "accepted" in states


def test_a_second_filling_is_refused(filled: Database, data: Path) -> None:
    with pytest.raises(filling.NotEmpty, match="empty database"):
        filling.fill(filled, data=data, base_url=BASE, leads=20, now=NOW, say=lambda text: None)
