"""`flask topics` and `flask consent`: what people may hear about, and what one person agreed to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
import sqlalchemy as sa

from app import clock
from app.cli import database, instant, json_option, refuse, say
from app.leads.finding import by_email
from app.leads.models import Lead
from app.preferences import consenting, queries, topics


@click.group("topics")
def topics_group() -> None:
    """The topics people may choose to hear about."""


@topics_group.command("list")
@json_option
def list_topics(as_json: bool) -> None:
    """Every topic with the number of people who chose it."""
    with database().read() as session:
        found = topics.standings(session)
    data = [{"key": s.topic.key, "name": s.topic.name, "subscribed": s.subscribed_count} for s in found]
    say(data, as_json, "\n".join(f"{d['key']:<30} {d['subscribed']:>8,}  {d['name']}" for d in data))


@topics_group.command("create")
@click.argument("name")
@click.option("--key", default="", help="Its key in flows and files; else made of the name.")
@json_option
def create_topic(name: str, key: str, as_json: bool) -> None:
    """A new topic called NAME; one that exists by this key stays as it is."""
    try:
        with database().write() as session:
            found = topics.by_key(session, key or topics.slug(name)) or topics.create(session, name=name, key=key)
            data = {"key": found.key, "name": found.name}
    except topics.BadTopic as error:
        refuse(str(error))
    say(data, as_json, f"The topic {data['name']} has the key {data['key']}.")


@click.group()
def consent() -> None:
    """What one person agreed to hear."""


@consent.command("show")
@click.argument("email")
@json_option
def show_consent(email: str, as_json: bool) -> None:
    """Where a lead stands with every topic."""
    with database().read() as session:
        lead = _lead(session, email)
        data = queries.standing(session, lead.id, clock.now()).plain()
    lines = [f"{topic['name']}: {topic['state'] or 'never asked'}" for topic in data["topics"]]
    say(data, as_json, "\n".join(["Wants no mail at all."] * data["is_out"] + lines))


@consent.command("give")
@click.argument("email")
@click.argument("topic")
@click.option("--source", default="Command line", help="Where the consent was given.")
@click.option("--at", type=instant, default=None)
def give(email: str, topic: str, source: str, at: datetime | None) -> None:
    """Record that EMAIL agreed to TOPIC."""
    _change(email, topic, source, at, is_given=True)


@consent.command("withdraw")
@click.argument("email")
@click.argument("topic", required=False)
@click.option("--source", default="Command line", help="How it was withdrawn.")
@click.option("--at", type=instant, default=None)
def withdraw(email: str, topic: str | None, source: str, at: datetime | None) -> None:
    """Record that EMAIL wants no more mail of TOPIC, or none at all."""
    _change(email, topic, source, at, is_given=False)


def _change(email: str, topic: str | None, source: str, at: datetime | None, *, is_given: bool) -> None:
    try:
        with database().write() as session:
            who = sa.select(Lead.id).where(Lead.id == _lead(session, email).id)
            if is_given:
                consenting.give(session, who, topic, source=source, at=at or clock.now(), renew=True)
            else:
                consenting.withdraw(session, who, topic, source=source, at=at or clock.now())
    except consenting.UnknownTopic as error:
        refuse(str(error))
    click.echo("Recorded.")


def _lead(session: Any, email: str) -> Lead:
    lead = by_email(session, email)
    if lead is None:
        refuse(f"There is no lead with the address {email}.")
    return lead


commands = (topics_group, consent)
