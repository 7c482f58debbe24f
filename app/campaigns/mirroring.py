"""The live rows as a shadow must see them: as if it, and not the live version, had run since it was started."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from app.campaigns import scratch
from app.campaigns.following import Followed
from app.campaigns.models import Shadow
from app.campaigns.overlaying import Difference
from app.campaigns.scratch import Found
from app.db import EPOCH

# What others asked of the campaign; all else that is told of it since the start is the live version's own doing.
_ASKED = ("campaign_requested", "campaign_exit_requested")
_REACTIONS = ("email_opened", "email_clicked", "email_replied", "email_bounced", "email_complained")
_OWED = ("messages", "handoffs", "tasks")


def found(session: Session, shadow: Shadow, followed: Followed, left: list[Difference], now: datetime) -> Found:
    """The rows to copy: everything of these leads but what the live version did to them since the start."""
    rows = scratch.read(session, followed.leads, now)
    live = {row["id"] for row in rows["enrollments"] if _is_rival(row, shadow)}
    mails = {row["id"]: row for row in rows["messages"] if row["enrollment_id"] in live}
    for name in _OWED:
        rows[name] = [row for row in rows[name] if row["enrollment_id"] not in live]
    rows["enrollments"] = [_at_rest(row, shadow, now) for row in rows["enrollments"] if row["id"] not in live]
    elsewhere = [row for row in rows["enrollments"] if row["campaign_id"] != shadow.campaign_id]
    rows["versions"] = scratch.versions_of(session, elsewhere)
    twins = _Twins(mails, left)
    rows["events"] = [each for row in rows["events"] if (each := _event(row, shadow, twins)) is not None]
    for row in rows["events"]:
        row["is_new"] = row["id"] in followed.seen.ids
    return rows


def _is_rival(row: dict[str, Any], shadow: Shadow) -> bool:
    return bool(row["campaign_id"] == shadow.campaign_id and row["entered_at"] >= shadow.started_at)


def _at_rest(row: dict[str, Any], shadow: Shadow, now: datetime) -> dict[str, Any]:
    """Who came in before the start stays with the live version, and cannot come in here before it is over there."""
    if row["campaign_id"] != shadow.campaign_id or row["state"] != "active":
        return row
    return row | {"state": "exited", "due_at": None, "finished_at": now + timedelta(days=1)}


def _event(row: dict[str, Any], shadow: Shadow, twins: _Twins) -> dict[str, Any] | None:
    """The event as the shadow sees it: what the lead did with a mail of the live version, it did with the shadow's."""
    if row["message_id"] in twins.live:
        twin = twins.of(row) if row["kind"] in _REACTIONS else None
        return None if twin is None else row | {"message_id": twin}
    is_own_doing = row["campaign_id"] == shadow.campaign_id and row["at"] >= shadow.started_at
    return None if is_own_doing and row["kind"] not in _ASKED else row


class _Twins:
    """For mails of the live version: the same mail to the same lead, as the shadow would have sent it."""

    def __init__(self, live: dict[int, dict[str, Any]], left: list[Difference]) -> None:
        self.live = live
        self._ours = [each.change["own"] for each in left if each.name == "messages" and "own" in each.change]

    def of(self, event: dict[str, Any]) -> int | None:
        """The one that had gone by then; nobody reacts to a mail that would not have been there."""
        theirs = self.live[event["message_id"]]
        sent = [
            row["id"]
            for row in self._ours
            if (row["lead_id"], row["mail_id"], row["state"]) == (theirs["lead_id"], theirs["mail_id"], "sent")
            and EPOCH + timedelta(microseconds=row["finished_at"]) <= event["at"]
        ]
        return max(sent, default=None)
