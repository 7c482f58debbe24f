"""Keeps a campaign that cannot run from stopping the others: it is set aside with its reason, and tried again later."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.engine.models import Campaign

AGAIN_AFTER = timedelta(minutes=5)
MOST_LETTERS = 500
# classes of SQLSTATE that no campaign can help: connection lost, deadlock, out of resources, shutting down
_PASSING = ("08", "40", "53", "57")
_PASSING_ON_SQLITE = ("disk is full", "is locked", "disk I/O error")

log = logging.getLogger("trellis.engine")


def available(now: datetime) -> sa.ColumnElement[bool]:
    """The campaign is live, and either well or due for another try."""
    return sa.and_(Campaign.state == "live", sa.or_(Campaign.trouble.is_(None), Campaign.try_again_at <= now))


def attempt(session: Session, campaign_id: int, work: Callable[[], Any], *, now: datetime, again: bool = True) -> bool:
    """Do the work of one campaign; if it fails, nothing of it stays but the reason on the campaign.

    Another process may just have written the row that we wanted to write: a second try finds it there.
    """
    try:
        with session.begin_nested():
            work()
    except Exception as error:
        if _will_pass(error):
            raise
        if again and isinstance(error, sa.exc.IntegrityError):
            return attempt(session, campaign_id, work, now=now, again=False)
        set_aside(session, campaign_id, error, now=now)
        return False
    return True


def set_aside(session: Session, campaign_id: int, error: Exception, *, now: datetime) -> None:
    """Leave the campaign out for a while, its leads where they are."""
    log.error("Campaign %s cannot run and is set aside.", campaign_id, exc_info=error)
    values = {"trouble": reason(error), "try_again_at": now + AGAIN_AFTER}
    _change(session, Campaign.id == campaign_id, values)


def absolve(session: Session, now: datetime) -> None:
    """Whoever was tried again by `now` and did not fail is well."""
    _change(session, Campaign.try_again_at <= now, {"trouble": None, "try_again_at": None})


def note_missed(session: Session, first: sa.ScalarSelect[Any], now: datetime) -> None:
    """Remember for those that pause or are set aside from which event on they have seen nothing."""
    unseen = sa.or_(Campaign.state == "paused", sa.and_(Campaign.state == "live", Campaign.try_again_at > now))
    _change(session, sa.and_(Campaign.missed_from.is_(None), unseen), {"missed_from": first})
    over = Campaign.state.not_in(["live", "paused"])
    _change(session, sa.and_(Campaign.missed_from.is_not(None), over), {"missed_from": None})


def _change(session: Session, which: sa.ColumnElement[bool], values: dict[str, Any]) -> None:
    session.execute(sa.update(Campaign).where(which).values(values).execution_options(synchronize_session=False))


def _will_pass(error: Exception) -> bool:
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if any(words in str(error.orig) for words in _PASSING_ON_SQLITE):
        return True
    return error.connection_invalidated or str(getattr(error.orig, "sqlstate", "")).startswith(_PASSING)


def reason(error: Exception) -> str:
    """A sentence as our own errors carry it; else the kind of error, for whoever reads the log."""
    text = (str(error).splitlines() or [""])[0][:MOST_LETTERS]
    return text if isinstance(error, ValueError | LookupError) and text else f"{type(error).__name__}: {text}"
