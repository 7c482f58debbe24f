"""The gallery of ready programmes: what there is, what each brings and asks for, and a campaign begun from one of them.

Each programme is one file of gallery/, a campaign file that also says in `gallery:` for whom it is and what it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts import organisation
from app.accounts.models import User
from app.campaigns import parts, text
from app.campaigns.text import Text
from app.engine.models import Campaign
from app.mail.models import Mail
from app.preferences import topics
from app.preferences.models import Topic
from app.sales.models import Rep

FOLDER = Path(__file__).parent / "gallery"
MADE_UP = "https://www.example.com"  # where the links of the mails lead until the organisation's website is known
CALLED = {"fields": "field", "tags": "tag", "topics": "topic", "segments": "segment", "forms": "form", "mails": "mail"}


class NoProgramme(ValueError):
    """There is no such programme, or it cannot be begun so; one sentence."""


@dataclass(frozen=True, slots=True)
class Programme:
    """One programme of the gallery."""

    name: str
    title: str
    use: str
    about: str
    icon: str
    order: int
    asks: tuple[str, ...]
    text: Text

    @property
    def topic(self) -> str:
        """The key of the topic that its marketing mails belong to."""
        return str(self.text.flow.get("topic") or "")


@dataclass(frozen=True, slots=True)
class Part:
    """Something a programme works with: made when it is begun, unless this house has it already."""

    kind: str
    key: str
    name: str
    is_there: bool


@cache
def programmes() -> tuple[Programme, ...]:
    """Every programme, in the order of the gallery."""
    return tuple(sorted((_read(file) for file in FOLDER.glob("*.yaml")), key=lambda each: each.order))


def programme(name: str) -> Programme:
    found = next((each for each in programmes() if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in programmes())
        raise NoProgramme(f"There is no programme called {name}; there are {known}.")
    return found


def _read(file: Path) -> Programme:
    given = text.read(file.read_text(encoding="utf-8"))
    told = given.gallery
    return Programme(
        file.stem,
        given.name,
        use=str(told["use"]),
        about=given.description,
        icon=str(told["icon"]),
        order=told["order"],
        asks=tuple(told["asks"]),
        text=given,
    )


def brings(session: Session, chosen: Programme) -> list[Part]:
    """Everything the programme works with, and what of it is there already and stays as it is."""
    found = []
    for kind, items in chosen.text.parts.items():
        there = parts.existing(session, kind, [item["key"] for item in items])
        found += [Part(CALLED[kind], item["key"], item["name"], item["key"] in there) for item in items]
    return found


def usual_topic(session: Session, chosen: Programme) -> str:
    """The topic its mails have here already, which they keep; else its own."""
    keys = [item["key"] for item in chosen.text.parts["mails"] if item.get("topic")]
    here = sa.select(Topic.key).join(Mail, Mail.topic_id == Topic.id).where(Mail.key.in_(keys))
    return session.scalar(here.order_by(Mail.id).limit(1)) or chosen.topic


def missing(session: Session, chosen: Programme) -> list[str]:
    """What this house lacks for the programme to do its work, each with where to mend it."""
    ours, found = organisation.get(session), []
    kinds = {step["kind"] for step in chosen.text.flow["steps"]}
    taking = sa.select(Rep.user_id).join(User, User.id == Rep.user_id).where(User.is_active)
    if "handoff" in kinds and session.scalar(taking.limit(1)) is None:
        found.append("It hands leads to sales: name the people who take them under Sales handoff.")
    if "send_email" in kinds and not ours.website:
        found.append("Its mails link to your website: name it under Settings, and the links will lead there.")
    return found


def start(
    session: Session, name: str, *, user_id: int | None, at: datetime, called: str = "", topic: str = ""
) -> Campaign:
    """A draft campaign from a programme, with what this house lacks of its mails, forms and the like; nothing runs yet.

    `topic` is the key of a topic of this house that its mails shall belong to instead of the programme's own.
    """
    chosen = programme(name)
    flow, included, promised = chosen.text.flow, chosen.text.parts, chosen.text.scenarios
    if topic and topic != chosen.topic:
        if topics.by_key(session, topic) is None:
            raise NoProgramme(f"There is no topic called {topic}; choose another.")
        flow, included, promised = (_under(part, chosen.topic, topic) for part in (flow, included, promised))
        included = included | {"topics": [item for item in included["topics"] if item["key"] != chosen.topic]}
    website = organisation.get(session).website.rstrip("/")
    brought = _at(included, website) if website else included
    given = replace(chosen.text, name=chosen.title, flow=flow, parts=brought, scenarios=promised)
    return text.create(session, given, user_id=user_id, at=at, name=called)


def _under(part: Any, old: str, new: str) -> Any:
    """The same with another topic wherever the old one is named."""
    if isinstance(part, Mapping):
        named = {"topic": old, "consent": [old]}
        instead = {"topic": new, "consent": [new]}
        return {
            n: instead[n] if n in named and each == named[n] else _under(each, old, new) for n, each in part.items()
        }
    return [_under(each, old, new) for each in part] if isinstance(part, list) else part


def _at(part: Any, website: str) -> Any:
    """The same with every link leading to the organisation's own website."""
    if isinstance(part, Mapping):
        return {name: _at(each, website) for name, each in part.items()}
    if isinstance(part, list):
        return [_at(each, website) for each in part]
    return part.replace(MADE_UP, website) if isinstance(part, str) else part
