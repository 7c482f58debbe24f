"""The tables that stand beside the copy of a rehearsal: what is still to happen, how people reacted, what was noticed."""

from __future__ import annotations

import sqlalchemy as sa

from app.db import Instant, Json, table

# What comes to be, or changes, within the period: each row takes this form at `due`.
FED = (
    "leads", "enrollments", "messages", "handoffs", "score_entries", "suppressions", "opt_outs", "subscriptions", "events",
)  # fmt: skip
BESIDE = sa.MetaData()


def _later(name: str) -> sa.Table:
    sought = ("lead_id", "identity_id", "address_hash")
    columns = [sa.Column(column.name, column.type, index=column.name in sought) for column in table(name).columns]
    return sa.Table(f"later_{name}", BESIDE, *columns, sa.Column("due", Instant, nullable=False, index=True))


def later(name: str) -> sa.Table:
    """What is still to come of a table."""
    found = BESIDE.tables.get(f"later_{name}")
    return _later(name) if found is None else found


def _made(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(name, BESIDE, *columns)


def _number(name: str, *, index: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, index=index)


# whose identity belongs to whom once the lead exists
owners = _made(
    "later_owners", _number("identity_id", index=True), _number("lead_id"), sa.Column("due", Instant, index=True)
)
consents = _made(
    "past_consents",
    _number("lead_id", index=True), _number("topic_id"), sa.Column("state", sa.Text), sa.Column("at", Instant),
)  # fmt: skip
# the first change of each kind told of a lead within the period: it says what there was before
firsts = _made(
    "firsts",
    _number("lead_id"), sa.Column("what", sa.Text), sa.Column("subject", sa.Text), sa.Column("kind", sa.Text),
    sa.Column("before", sa.Text), sa.Column("json", sa.Text), sa.Index("ix_firsts", "what", "subject", "lead_id"),
)  # fmt: skip
# what the campaign itself did to a lead in earnest, when, by the kind of the event that tells it
doings = _made("doings", _number("lead_id", index=True), sa.Column("at", Instant), sa.Column("kind", sa.Text))
# what the campaign sent in earnest, and what became of it
recorded = _made(
    "recorded",
    _number("message_id", index=True), _number("lead_id", index=True), _number("mail_id"), _number("place"),
    sa.Column("sent_at", Instant),
)  # fmt: skip
answers = _made(
    "answers",
    _number("message_id", index=True), sa.Column("kind", sa.Text), sa.Column("subject", sa.Text),
    sa.Column("props", Json), sa.Column("agent", sa.Text), _number("delay"),
)  # fmt: skip
# how often people reacted in the past, in ten thousandths, and what they did after how long
rates = _made(
    "past_rates", _number("mail_id", index=True), sa.Column("kind", sa.Text), _number("rate"), _number("samples"),
)  # fmt: skip
samples = _made(
    "past_samples",
    _number("mail_id", index=True), sa.Column("kind", sa.Text), _number("place"), sa.Column("props", Json), _number("delay"),
)  # fmt: skip
# what the leads of the rehearsal will do with mail that has left
reactions = _made(
    "reactions",
    _number("lead_id"), _number("message_id"), _number("campaign_id"), sa.Column("kind", sa.Text),
    sa.Column("subject", sa.Text), sa.Column("props", Json), sa.Column("agent", sa.Text),
    sa.Column("due", Instant, index=True),
)  # fmt: skip
collisions = _made(
    "collisions",
    sa.Column("message_id", sa.BigInteger, primary_key=True, autoincrement=False), _number("winner_campaign_id"), sa.Column("at", Instant),
)  # fmt: skip


def owner() -> sa.ColumnElement[int]:
    """Whose an event is, or will be once the lead exists."""
    traces = table("identities")
    born = sa.select(owners.c.lead_id).where(owners.c.identity_id == traces.c.id).correlate(traces).scalar_subquery()
    return sa.func.coalesce(traces.c.lead_id, born)


def create(connection: sa.Connection) -> None:
    """All of them, empty."""
    for name in FED:
        later(name)
    BESIDE.create_all(connection)
