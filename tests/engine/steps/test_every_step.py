"""What every kind of step must keep to: it declares itself, and acts on any number of leads in the same few statements."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.db import Database
from app.engine import claiming, graph, leaving, running
from app.engine.batch import prepare
from app.engine.catalog import STEPS
from app.engine.entering import enter
from app.engine.models import Decision, Enrollment
from app.engine.versions import get
from app.kinds import parse
from tests import factories
from tests.conftest import NOW

EXAMPLES: dict[str, dict[str, Any]] = {kind: step.example for kind, step in STEPS.load().items()}


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_a_step_declares_itself(kind: str) -> None:
    step = STEPS.load()[kind]
    settings, complaints = parse(step.settings, EXAMPLES[kind])
    assert complaints == []
    assert step.check(settings) == []
    assert step.describe(settings, {})
    assert step.category in {"Actions", "Timing", "Logic", "End"}
    assert set(step.settings.widgets()) == set(step.settings.model_fields), "each setting needs a widget"
    assert step.run is not None or step.due is not None


def _flow(kind: str) -> dict[str, Any]:
    settings, _ = parse(STEPS.load()[kind].settings, EXAMPLES[kind])
    ports = STEPS.load()[kind].ports(settings)
    step = {"id": "s1", "kind": kind, "settings": EXAMPLES[kind], "next": {p.name: "end" for p in ports}}
    flow = factories.flow(step)
    flow["steps"] = [step] if kind == "exit" else flow["steps"]
    return flow


def _ready(session: Session, count: int) -> list[int]:
    factories.topic(session)
    factories.mail(session)
    return factories.leads(session, count, topic="news")


def _run(session: Session, kind: str, ids: list[int]) -> list[str]:
    """The statements that one batch of these leads takes."""
    campaign = factories.campaign(session, _flow(kind))
    version = get(session, campaign.version_id or 0)
    given = sa.select(sa.column("id")).select_from(factories.rows(ids)).subquery()
    matching = sa.select(given.c.id.label("lead_id"), sa.literal(NOW, Enrollment.entered_at.type).label("at"))
    enter(session, version, matching.add_columns(sa.literal("test").label("occasion")).subquery(), now=NOW)
    session.flush()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text("ANALYZE enrollments"))  # as the server does by itself before long
    prepare(session)
    claiming.claim(session, now=NOW, limit=10_000)
    seen: list[str] = []
    listener = lambda conn, cursor, statement, *rest: seen.append(statement)  # noqa: E731
    engine = session.get_bind()
    sa.event.listen(engine, "before_cursor_execute", listener)
    try:
        running.run(session, now=NOW)
        claiming.put_back(session, now=NOW)
        leaving.record(session, NOW)
    finally:
        sa.event.remove(engine, "before_cursor_execute", listener)
    return seen


@pytest.mark.timeout(600)
def test_a_step_takes_the_same_statements_for_ten_leads_and_for_thousands(database: Database) -> None:
    with database.write() as session:
        ids = _ready(session, 2_000)
    with database.write() as session:
        session.execute(sa.text("ANALYZE"))
    for kind in sorted(EXAMPLES):
        counts = {number: _count(database, kind, ids[:number]) for number in (0, 10, 2_000)}
        assert counts[10] == counts[2_000], kind
        assert counts[0] <= counts[10], kind


def _count(database: Database, kind: str, ids: list[int]) -> int:
    """How many statements a batch of these leads takes; nothing of it stays."""
    with Session(database.writer) as session:
        count = len(_run(session, kind, ids))
        assert session.scalar(sa.select(sa.func.count()).select_from(Enrollment)) == len(ids)
        session.rollback()
    return count


@pytest.mark.parametrize("kind", sorted(k for k, s in STEPS.load().items() if not (s.waits or s.rests)))
def test_a_step_that_acts_lets_every_lead_leave(database: Database, kind: str) -> None:
    with database.write() as session:
        _run(session, kind, _ready(session, 20))
        left = sa.select(sa.func.count()).select_from(Decision).where(Decision.step == "s1")
        assert session.scalar(left) == 20


def test_a_flow_of_each_kind_can_be_published() -> None:
    for kind in EXAMPLES:
        flow, problems = graph.read(_flow(kind))
        assert flow is not None, (kind, problems)


def test_running_a_step_twice_writes_its_effect_once(database: Database) -> None:
    from app.mail import queueing
    from app.outbox import Message

    with database.write() as session:
        _run(session, "send_email", _ready(session, 5))
        again = sa.select(
            Message.enrollment_id, Message.visit, Message.campaign_id, Message.step, Message.lead_id
        ).subquery()
        queueing.queue_for(session, again, mail_key="welcome", at=NOW + timedelta(hours=1))
        assert session.scalar(sa.select(sa.func.count()).select_from(Message)) == 5
