"""Scenarios of a flow: whom it is given, what that lead does, and what is to come of it; kept with the draft and each version."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from sqlalchemy.orm import Session

from app.campaigns import drafting, expecting, moments, notation, reactions
from app.campaigns.models import Draft
from app.campaigns.moments import Moment
from app.campaigns.notation import BadText, Places
from app.campaigns.reactions import Reaction
from app.leads.models import STAGES
from app.leads.values import zones
from app.mail.models import Mail
from app.preferences.models import Topic

STARTS = "2026-03-02 09:00"  # a Monday that is no holiday anywhere; the same every time, so that the answer is, too
MOST = 50
Moved = tuple[Moment | None, Reaction]


def _listed(given: Any) -> Any:
    """One word is a list of one."""
    return [] if given is None else [given] if isinstance(given, str) else given


def _lines(given: Any) -> Any:
    """`- day 3: clicks welcome` is the line it looks like, and so is `- passes Tag: cold`."""
    items = _listed(given)
    return [_line(item) for item in items] if isinstance(items, list) else items


def _line(item: Any) -> Any:
    if isinstance(item, Mapping) and len(item) == 1:
        [(moment, words)] = item.items()
        item = f"{moment} {words}" if moments.read(moment.strip()) else f"{moment}: {words}"
    return " ".join(item.split()) if isinstance(item, str) else item


Words = Annotated[list[str], BeforeValidator(_listed), Field(max_length=50)]
Lines = Annotated[list[str], BeforeValidator(_lines), Field(max_length=50)]
Points = Annotated[int, Field(ge=-1000, le=1000)]


class Score(BaseModel):
    model_config = ConfigDict(extra="forbid")

    fit: Points = 0
    interest: Points = 0


class Given(BaseModel):
    """The made-up lead, and when and how it comes in."""

    model_config = ConfigDict(extra="forbid")

    fields: dict[str, Any] = Field(default_factory=dict, description="Fields by name: {job_title: CTO, city: Zurich}.")
    tags: Words = Field(default_factory=list, description="Tags the lead has.")
    score: Points | Score | None = Field(None, description="Points in all, or {fit: 20, interest: 30}.")
    stage: str | None = Field(None, description="Its stage.")
    zone: str | None = Field(None, description="Its time zone, such as Europe/Zurich; by default by its country.")
    consent: Words = Field(default_factory=list, description="Topics it agreed to.")
    starts: str = Field(STARTS, description="When it comes in, by its own clock.")
    enters: str = Field("at once", pattern="^(at once|by trigger)$", description="`by trigger`: by what it does below.")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in zones():
            raise ValueError(f"there is no time zone {zone}; write one such as Europe/Zurich")
        return zone

    @field_validator("stage")
    @classmethod
    def _known_stage(cls, stage: str | None) -> str | None:
        if stage is not None and stage not in STAGES:
            raise ValueError(f"there is no stage {stage}; write one of {', '.join(STAGES)}")
        return stage

    @field_validator("starts")
    @classmethod
    def _readable(cls, starts: str) -> str:
        try:
            datetime.strptime(starts, "%Y-%m-%d %H:%M")  # noqa: DTZ007  (of the lead's own clock, whose zone is not known yet)
        except ValueError:
            raise ValueError(f"“{starts}” is no day and hour; write it as {STARTS}") from None
        return starts


class Scenario(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200)
    given: Given = Field(default_factory=lambda: Given.model_validate({}))
    when: Lines = Field(default_factory=list, description="What the lead, and others, do; see below.")
    expect: Lines = Field(min_length=1, description="What is to come of it; see below.")

    @field_validator("when")
    @classmethod
    def _happens(cls, lines: list[str]) -> list[str]:
        for line in lines:
            reaction(line)
        return lines

    @field_validator("expect")
    @classmethod
    def _expected(cls, lines: list[str]) -> list[str]:
        for line in lines:
            expecting.read(line)
        return lines

    @property
    def happens(self) -> list[Moved]:
        return [reaction(line) for line in self.when]

    @property
    def plain(self) -> dict[str, Any]:
        """As it is kept: what is as usual is left out."""
        found: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        return found


def reaction(line: str) -> Moved:
    """When something happens, if that is said, and what. Raises BadReaction, which says how to write it."""
    timed = re.fullmatch(rf"(?:on )?({moments.PATTERN}):? (.+)", line)
    moment = moments.read(timed[1]) if timed else None
    words = timed[2] if timed and moment else line
    found = reactions.read([words])
    if not found:
        raise reactions.BadReaction(f"“{line}”: leave out what does not happen.")
    return moment, replace(found[0], text=line)


# --- as text


def check(items: Iterable[Mapping[str, Any]], places: Places) -> list[dict[str, Any]]:
    """Scenarios as they are kept. Raises BadText with the place and one sentence."""
    found: list[Scenario] = []
    for item in items:
        try:
            scenario = Scenario.model_validate(item)
        except ValidationError as error:
            raise BadText(f"{places.of(item)}{_sentence(item, error)}") from None
        if scenario.name in {other.name for other in found}:
            raise BadText(f"{places.of(item)}two scenarios are called “{scenario.name}”; give one another name.")
        found.append(scenario)
    if len(found) > MOST:
        raise BadText(f"A campaign can have at most {MOST} scenarios; make some of them one.")
    return [scenario.plain for scenario in found]


def _sentence(item: Mapping[str, Any], error: ValidationError) -> str:
    first = error.errors()[0]
    name = f"scenario “{item['name']}”: " if isinstance(item.get("name"), str) else ""
    place = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    if first["type"] == "extra_forbidden":
        return f"{name}“{place}” is not a part of a scenario; write name, given, when and expect."
    if first["type"] == "missing":
        return f"{name}{place} is missing; a scenario has a name and says what to expect."
    return f"{name}{place}: {message[:1].lower()}{message[1:]}."


def ordered(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As they are written: every member in its place, a line for each thing that happens or is expected."""
    plain = [Scenario.model_validate(item).plain for item in items]
    lists = ("when", "expect")
    return [{name: notation.Rows(v) if name in lists else v for name, v in one.items()} for one in plain]


def write(items: Iterable[Mapping[str, Any]]) -> str:
    """Scenarios alone, as the page shows them."""
    shown = ordered(items)
    text = notation.dump({"scenarios": shown}).removeprefix("scenarios:\n") if shown else ""
    return textwrap.dedent(text)


def typed(content: str) -> list[dict[str, Any]]:
    """The scenarios of a text typed on the page, with or without “scenarios:” above. Raises BadText."""
    data, places = notation.load(content)
    if isinstance(data, dict) and set(data) == {"scenarios"}:
        data = data["scenarios"]
    data = data or []
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise BadText("Line 1: scenarios are a list, each beginning with “- name:”.")
    return check(data, places)


# --- with the draft


def of(session: Session, campaign_id: int) -> list[dict[str, Any]]:
    """Those of the draft."""
    return list(drafting.get(session, campaign_id).scenarios or [])


def read(items: Iterable[Mapping[str, Any]]) -> list[Scenario]:
    """As they were kept."""
    return [Scenario.model_validate(item) for item in items]


def example(session: Session, flow: Mapping[str, Any]) -> dict[str, Any]:
    """One to begin with, about the first mail the flow sends."""
    sent = [step["settings"].get("mail") for step in flow["steps"] if step["kind"] == "send_email"]
    mail = session.scalar(sa.select(Mail).where(Mail.key == sent[0])) if sent else None
    topic = session.get(Topic, mail.topic_id) if mail and mail.topic_id else None
    is_handed = any(step["kind"] == "handoff" for step in flow["steps"])
    given: dict[str, Any] = {"fields": {"job_title": "CTO", "city": "Zurich", "country": "CH"}, "score": 40}
    then = [f"mail {mail.key} by day 7"] if mail else []
    return {
        "name": "A CTO in Zurich who clicks" if mail else "A CTO in Zurich",
        "given": given | ({"consent": [topic.key]} if topic else {}),
        "when": [f"day 3 clicks {mail.key}"] if mail else [],
        "expect": [*then, "handoff by day 14" if is_handed else "left by end"],
    }


def mark(items: list[dict[str, Any]]) -> str:
    """What somebody saw, so that nobody overwrites what another has written since."""
    return hashlib.sha256(write(items).encode()).hexdigest()[:16]


def keep(session: Session, campaign_id: int, items: list[dict[str, Any]], *, user_id: int | None, at: datetime) -> None:
    """With the draft; its flow and its revision stay as they are."""
    draft = session.get(Draft, campaign_id)
    if draft is None:
        flow = drafting.get(session, campaign_id).flow
        draft = drafting.save(session, campaign_id, flow, revision=0, user_id=user_id, at=at)
    draft.scenarios = items
    session.flush()
