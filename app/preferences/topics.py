"""The subjects people may choose to hear about: naming them, listing them, finding one by its key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.preferences.models import Subscription, Topic


class BadTopic(ValueError):
    """What is wrong with a topic, as one sentence."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A topic with the number of people who chose it."""

    topic: Topic
    subscribed_count: int
    withdrawn_count: int


def by_key(session: Session, key: str) -> Topic | None:
    return session.scalar(sa.select(Topic).where(Topic.key == key))


def public(session: Session) -> Sequence[Topic]:
    """The topics shown on the preference page, in the marketers' order."""
    return session.scalars(sa.select(Topic).where(Topic.is_public).order_by(Topic.position, Topic.name)).all()


def everything(session: Session) -> Sequence[Topic]:
    return session.scalars(sa.select(Topic).order_by(Topic.position, Topic.name)).all()


def standings(session: Session) -> list[Standing]:
    """Every topic with how many gave and how many withdrew."""
    count = sa.func.count()
    counts = session.execute(
        sa.select(
            Subscription.topic_id,
            count.filter(Subscription.state == "given"),
            count.filter(Subscription.state == "withdrawn"),
        ).group_by(Subscription.topic_id)
    )
    by_topic = {topic_id: (given, withdrawn) for topic_id, given, withdrawn in counts}
    return [Standing(topic, *by_topic.get(topic.id, (0, 0))) for topic in everything(session)]


def ensure(session: Session, key: str, name: str, *, description: str = "", is_public: bool = True) -> Topic:
    """The topic of that key, made if it is new."""
    return by_key(session, key) or create(session, name=name, key=key, description=description, is_public=is_public)


def create(session: Session, *, name: str, key: str = "", description: str = "", is_public: bool = True) -> Topic:
    """A new topic at the end of the list. Raises BadTopic."""
    name = _name(name)
    key = key or slug(name)
    if not key or by_key(session, key):
        raise BadTopic(f"There is a topic called {name} already; choose another name.")
    last = session.scalar(sa.select(sa.func.max(Topic.position))) or 0
    topic = Topic(key=key, name=name, description=description.strip(), is_public=is_public, position=last + 1)
    session.add(topic)
    session.flush()
    return topic


def change(session: Session, topic: Topic, *, name: str, description: str, is_public: bool) -> None:
    """New words for a topic; its key stays, since flows and mails name it. Raises BadTopic."""
    topic.name, topic.description, topic.is_public = _name(name), description.strip(), is_public
    session.flush()


def move(session: Session, topic: Topic, by: int) -> None:
    """Move a topic up (-1) or down (1) on the preference page."""
    ordered = list(everything(session))
    place = ordered.index(topic)
    ordered.insert(max(0, min(place + by, len(ordered) - 1)), ordered.pop(place))
    for position, one in enumerate(ordered, start=1):
        one.position = position
    session.flush()


def slug(text: str) -> str:
    """A key made of a name: lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:80]


def _name(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise BadTopic("Give the topic a name people understand, such as “Product news”.")
    if len(text) > 80:
        raise BadTopic("The topic's name is longer than 80 characters; shorten it.")
    return text
