"""Drafts are saved as they are drawn, and nobody overwrites what another drew without being asked."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from app.campaigns import drafting
from app.engine.models import Version
from tests.campaigns.conftest import drawn, step, whole


def test_a_new_campaign_has_a_key_of_its_name_and_an_end(session: Session, now: datetime) -> None:
    first = drafting.create(session, name="Pricing  guide", at=now)
    second = drafting.create(session, name="Pricing guide", at=now)

    assert (first.key, first.name, second.key) == ("pricing-guide", "Pricing guide", "pricing-guide-2")
    assert [s["kind"] for s in drafting.get(session, first.id).flow["steps"]] == ["exit"]


def test_a_name_is_needed(session: Session, now: datetime) -> None:
    with pytest.raises(drafting.BadDraft, match="Name the campaign"):
        drafting.create(session, name="  ", at=now)


def test_saving_names_the_revision_that_was_seen(session: Session, now: datetime) -> None:
    campaign = drafting.create(session, name="X", at=now)

    saved = drafting.save(session, campaign.id, whole(), revision=1, user_id=None, at=now)

    assert saved.revision == 2
    assert [s["id"] for s in saved.flow["steps"]] == ["s1", "s2", "s3", "s4", "s5"]


def test_a_second_hand_is_told_and_nothing_is_overwritten(session: Session, now: datetime) -> None:
    campaign = drafting.create(session, name="X", at=now)
    drafting.save(session, campaign.id, whole(), revision=1, user_id=None, at=now)

    with pytest.raises(drafting.Conflict) as conflict:
        drafting.save(session, campaign.id, drawn(step("mine", "exit")), revision=1, user_id=None, at=now)

    assert conflict.value.draft.revision == 2
    assert drafting.get(session, campaign.id).flow["start"] == "s1"


def test_an_unfinished_flow_is_kept_but_not_something_else(session: Session, now: datetime) -> None:
    campaign = drafting.create(session, name="X", at=now)

    drafting.save(
        session, campaign.id, drawn(step("s1", "send_email", {"out": "s9"})), revision=1, user_id=None, at=now
    )
    with pytest.raises(drafting.BadDraft, match="steps"):
        drafting.save(session, campaign.id, {"steps": 3}, revision=2, user_id=None, at=now)
    with pytest.raises(drafting.BadDraft, match="This is not a flow"):
        drafting.save(session, campaign.id, None, revision=2, user_id=None, at=now)


def test_a_copy_has_the_flow_and_nobody_inside(session: Session, now: datetime) -> None:
    campaign = drafting.create(session, name="X", at=now, flow=whole())

    copied = drafting.duplicate(session, campaign.id, owner_id=None, at=now)

    assert (copied.name, copied.state, copied.version_id) == ("Copy of X", "draft", None)
    assert drafting.get(session, copied.id).flow == drafting.get(session, campaign.id).flow


def test_ids_that_were_published_stay_reserved(session: Session, now: datetime) -> None:
    campaign = drafting.create(session, name="X", at=now)
    flow = drawn(step("s12", "exit"), step("named", "exit"))
    session.add(Version(campaign_id=campaign.id, number=1, flow=flow, published_at=now))
    session.flush()

    assert drafting.reserved(session, campaign.id) == 12
