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
from app.preferences import consenting, limiting, queries, topics
from app.zones import DAYS


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


@click.group("preferences")
def preferences_group() -> None:
    """How much marketing mail a lead may get, and when."""


@preferences_group.group("caps")
def caps_group() -> None:
    """At most so much marketing mail to one lead."""


@caps_group.command("list")
@json_option
def list_caps(as_json: bool) -> None:
    """Every frequency cap."""
    with database().read() as session:
        _tell(limiting.caps(session), as_json, "There is no cap.")


@caps_group.command("set")
@click.argument("most", type=int)
@click.option("--days", type=int, help="Within the last so many days.")
@click.option("--per", type=click.Choice(["day", "week", "month"]), help="Per calendar period where the lead lives.")
@click.option("--topic", default="", help="Only mail of this topic, by its key; else all marketing mail together.")
@json_option
def set_cap(most: int, days: int | None, per: str | None, topic: str, as_json: bool) -> None:
    """At most MOST mails to one lead, --days N or --per day|week|month."""
    if (days is None) == (per is None):
        refuse("Say the period: either --days 7, or --per day, week or month.")
    try:
        with database().write() as session:
            made = limiting.add_cap(
                session,
                most=most,
                period=per or "days",
                days=1 if days is None else days,
                topic_key=topic or None,
                at=clock.now(),
            )
            found = [cap for cap in limiting.caps(session) if cap.id == made.id]
    except limiting.BadLimit as error:
        refuse(str(error))
    _tell(found, as_json, "")


@caps_group.command("lift")
@click.argument("number", type=int)
def lift_cap(number: int) -> None:
    """Lift the cap of that NUMBER in the list."""
    _lift(limiting.remove_cap, number, "cap", "caps")


@preferences_group.group("hours")
def hours_group() -> None:
    """The hours in which marketing mail may leave, on the lead's own clock."""


@hours_group.command("list")
@json_option
def list_hours(as_json: bool) -> None:
    """All sending hours."""
    with database().read() as session:
        _tell(limiting.windows(session), as_json, "Mail leaves at all hours.")


@hours_group.command("set")
@click.argument("opens")
@click.argument("closes")
@click.option("--on", "days", default="mon,tue,wed,thu,fri", help="Days such as mon,tue; or all.")
@json_option
def set_hours(opens: str, closes: str, days: str, as_json: bool) -> None:
    """Let mail leave from OPENS to CLOSES, such as 08:00 18:00."""
    known = [day[:3].lower() for day in DAYS]
    named = known if days.strip() == "all" else [day.strip().lower()[:3] for day in days.split(",") if day.strip()]
    if not set(named) <= set(known):
        refuse(f"“{days}” are not days; write them like mon,tue,wed.")
    try:
        with database().write() as session:
            chosen = [known.index(day) for day in named]
            made = limiting.add_window(session, weekdays=chosen, opens=opens, closes=closes, at=clock.now())
            found = [window for window in limiting.windows(session) if window.id == made.id]
    except limiting.BadLimit as error:
        refuse(str(error))
    _tell(found, as_json, "")


@hours_group.command("remove")
@click.argument("number", type=int)
def remove_hours(number: int) -> None:
    """Take away the hours of that NUMBER in the list."""
    _lift(limiting.remove_window, number, "stretch of sending hours", "hours")


def _tell(found: list[limiting.Limit], as_json: bool, nothing: str) -> None:
    say([limit.plain() for limit in found], as_json, "\n".join(f"{x.id:>4}  {x.sentence}" for x in found) or nothing)


def _lift(remove: Any, number: int, what: str, group: str) -> None:
    with database().write() as session:
        is_gone = remove(session, number, at=clock.now())
    if not is_gone:
        refuse(f"There is no {what} number {number}; flask preferences {group} list shows all.")
    click.echo("Done.")


commands = (topics_group, consent, preferences_group)
