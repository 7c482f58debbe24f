"""Campaigns come to be, get names and drafts; a draft is saved as it is drawn and never overwrites what somebody else drew."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.campaigns.models import Draft
from app.engine.graph import FlowSpec
from app.engine.models import Campaign, Version
from app.preferences.topics import slug

MOST_STEPS = 1000


class BadDraft(ValueError):
    """A draft that cannot be kept, in one sentence."""


class Conflict(Exception):
    """Somebody else saved this draft since it was opened; `draft` is theirs."""

    def __init__(self, draft: Draft) -> None:
        super().__init__("The draft was changed elsewhere.")
        self.draft = draft


def blank() -> dict[str, Any]:
    """A flow with nothing in it but its end."""
    return written({"start": "s1", "steps": [{"id": "s1", "kind": "exit"}]})


def written(flow: Any) -> dict[str, Any]:
    """A flow of the right shape with every member written out; raises BadDraft. It may well be unfinished."""
    try:
        found: dict[str, Any] = FlowSpec.model_validate(flow).model_dump(mode="json")
    except ValidationError as error:
        item = error.errors()[0]
        place = ".".join(str(part) for part in item["loc"]) or "the flow"
        raise BadDraft(f"This is not a flow: {place}: {item['msg']}.") from None
    return found


def create(
    session: Session,
    *,
    name: str,
    at: datetime,
    owner_id: int | None = None,
    flow: Any = None,
    key: str | None = None,
    description: str = "",
) -> Campaign:
    """A new campaign with its draft; the key is made of the name unless one is given."""
    name = _name(name)
    wanted = key or slug(name) or "campaign"
    if key and _is_taken(session, key):
        raise BadDraft(f"There is a campaign with the key {key} already; choose another.")
    campaign = Campaign(
        key=wanted if key else _free_key(session, wanted),
        name=name,
        description=description,
        owner_id=owner_id,
        created_at=at,
        updated_at=at,
    )
    session.add(campaign)
    session.flush()
    flow = blank() if flow is None else written(flow)
    session.add(Draft(campaign_id=campaign.id, flow=flow, updated_at=at, updated_by=owner_id))
    session.flush()
    return campaign


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name:
        raise BadDraft("Name the campaign.")
    if len(name) > 200:
        raise BadDraft("The name is longer than 200 characters; shorten it.")
    return name


def namesakes(session: Session, name: str, *, but: int | None = None) -> list[str]:
    """The keys of the campaigns, the archived aside, that people would mistake for one with this name."""
    same = sa.func.lower(Campaign.name) == " ".join(name.split()).lower()
    found = sa.select(Campaign.key).where(same, Campaign.state != "ended", Campaign.id != (but or 0))
    return list(session.scalars(found.order_by(Campaign.id)))


def _is_taken(session: Session, key: str) -> bool:
    return session.scalar(sa.select(Campaign.id).where(Campaign.key == key)) is not None


def _free_key(session: Session, wanted: str) -> str:
    like = session.scalars(sa.select(Campaign.key).where(Campaign.key.startswith(wanted, autoescape=True)))
    taken = set(like)
    number = 1
    key = wanted
    while key in taken:
        number += 1
        key = f"{wanted}-{number}"
    return key


def get(session: Session, campaign_id: int) -> Draft:
    """The draft of a campaign; one that was published by other means gets the published flow as its draft."""
    draft = session.get(Draft, campaign_id)
    if draft is not None:
        return draft
    campaign = session.get_one(Campaign, campaign_id)
    version = session.get(Version, campaign.version_id) if campaign.version_id else None
    given = {"flow": version.flow if version else blank(), "scenarios": version.scenarios if version else []}
    return Draft(campaign_id=campaign_id, **given, revision=0, updated_at=campaign.updated_at, updated_by=None)


def save(session: Session, campaign_id: int, flow: Any, *, revision: int, user_id: int | None, at: datetime) -> Draft:
    """Replace the draft if it still is the revision that was seen; raises Conflict with the newer one otherwise."""
    values = {
        "flow": written(flow),
        "revision": revision + 1,
        "updated_at": at,
        "updated_by": user_id,
        "replaced": None,
    }
    seen = sa.update(Draft).where(Draft.campaign_id == campaign_id, Draft.revision == revision).values(**values)
    if not session.execute(seen.execution_options(synchronize_session=False)).rowcount:  # type: ignore[attr-defined]
        theirs = session.get(Draft, campaign_id)
        if theirs is not None:
            raise Conflict(theirs)
        session.add(Draft(campaign_id=campaign_id, **values))
    session.execute(sa.update(Campaign).where(Campaign.id == campaign_id).values(updated_at=at))
    session.flush()
    session.expire_all()
    return session.get_one(Draft, campaign_id)


def replace(
    session: Session, campaign_id: int, flow: Any, *, user_id: int | None, at: datetime, words: str = "Draft replaced"
) -> Draft:
    """Replace the draft whatever its revision: an import or a restored version, asked for by name.

    What there was before is kept until the next change, so that the designer can undo it.
    """
    before = get(session, campaign_id)
    kept, revision = before.flow, before.revision
    draft = save(session, campaign_id, flow, revision=revision, user_id=user_id, at=at)
    if draft.flow != kept:
        draft.replaced = {"flow": kept, "words": words, "revision": draft.revision}
        session.flush()
    return draft


def rename(session: Session, campaign_id: int, name: str, *, at: datetime) -> None:
    campaign = session.get_one(Campaign, campaign_id)
    campaign.name, campaign.updated_at = _name(name), at


def duplicate(session: Session, campaign_id: int, *, owner_id: int | None, at: datetime) -> Campaign:
    """A copy of the draft under a new name, with nobody inside."""
    source = session.get_one(Campaign, campaign_id)
    draft = get(session, campaign_id)
    name = f"Copy of {source.name}"[:200]
    made = create(session, name=name, at=at, owner_id=owner_id, flow=draft.flow, description=source.description)
    session.get_one(Draft, made.id).scenarios = list(draft.scenarios or [])
    return made


def reserved(session: Session, campaign_id: int) -> int:
    """The highest number any published step or trigger of the campaign has had, so that ids are never used twice."""
    flows = session.scalars(sa.select(Version.flow).where(Version.campaign_id == campaign_id))
    ids = (str(item["id"]) for flow in flows for item in (*flow.get("steps", []), *flow.get("triggers", [])))
    return max((int(found[1]) for text in ids if (found := re.fullmatch(r"[a-z](\d{1,9})", text))), default=0)
