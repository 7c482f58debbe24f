"""Takes a publication back, with everybody it moved, while nothing has been sent because of it (SEMANTICS 23)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import db
from app.campaigns.models import KeptMail, Move, Moved
from app.engine import retrying, timing, versions
from app.engine.models import Campaign, Decision, Enrollment, Turn, Version, WebhookCall
from app.outbox import Message
from app.tracking import recording

MOVED, HERE, DECIDED = Moved.__table__, Enrollment.__table__, Decision.__table__
OVER = ("completed", "converted", "failed")


class CannotUndo(ValueError):
    """Why a publication cannot be taken back any more, in one sentence."""


def latest(session: Session, campaign_id: int) -> Move | None:
    """The publication that made the current version current; None when there was none before it, or it was undone."""
    current = sa.select(Campaign.version_id).where(Campaign.id == campaign_id).scalar_subquery()
    found = sa.select(Move).where(Move.campaign_id == campaign_id).order_by(Move.id.desc()).limit(1)
    move = session.scalar(found)
    is_current = move is not None and move.undone_at is None and session.scalar(sa.select(current)) == move.version_id
    return move if is_current else None


def undoable(session: Session, campaign_id: int) -> Move | None:
    """The publication that can be undone now, if any."""
    move = latest(session, campaign_id)
    if move is None or session.scalar(sa.select(_gone_on(move))):
        return None
    return move


def undo(session: Session, campaign_id: int, *, at: datetime) -> Move:
    """Make the version before current again, and put everybody back as they were. Raises CannotUndo."""
    move = latest(session, campaign_id)
    if move is None:
        raise CannotUndo("There is no publication to undo: the last one was the first, or it was undone already.")
    if session.get_one(Campaign, campaign_id).state not in ("live", "paused"):
        raise CannotUndo("The campaign has ended, and nobody can come back into it; publish it again first.")
    with session.begin_nested():
        _restore(session, move)
        if session.scalar(sa.select(_gone_on(move, is_restored=True))):
            raise CannotUndo(
                "Leads have gone on in the new version already, so it cannot be undone; publish a corrected one instead."
            )
        _come_back(session, campaign_id, move, at)
        _give_mails_back(session, move)
        _forget_turns(session, move)
        undone = session.get_one(Version, move.version_id)
        timing.begin(session, versions.get(session, move.before_id), at=move.at, before=undone)
        move.undone_at = at
        campaign = session.get_one(Campaign, campaign_id)
        campaign.version_id, campaign.updated_at = move.before_id, at
        session.flush()
    return move


def _gone_on(move: Move, *, is_restored: bool = False) -> sa.Exists:
    """Whether one of the moved has done a step since: something may have been sent because of the publication."""
    visit = MOVED.c.visit + sa.case((MOVED.c.fate == "goes", 1), else_=0)
    further = sa.or_(
        HERE.c.visit > visit,
        sa.and_(HERE.c.state.in_(OVER), HERE.c.visit == visit),
        sa.exists().where(DECIDED.c.enrollment_id == HERE.c.id, DECIDED.c.visit < 0, DECIDED.c.at >= move.at),
        _is_called(),
    )
    if is_restored:  # who was put back does not count as gone on
        further = sa.and_(further, HERE.c.version_id == move.version_id)
    return sa.exists(
        sa.select(sa.literal(1))
        .select_from(MOVED.join(HERE, HERE.c.id == MOVED.c.enrollment_id))
        .where(MOVED.c.move_id == move.id, further)
    )


def _is_called() -> sa.ColumnElement[bool]:
    """It was put at a step that owes a call and rests there: the call is out, or will be, under this very visit."""
    called = sa.and_(WebhookCall.enrollment_id == HERE.c.id, WebhookCall.visit == MOVED.c.visit + 1)
    return sa.and_(MOVED.c.fate == "goes", sa.exists().where(called).correlate(HERE, MOVED))


def _restore(session: Session, move: Move) -> None:
    """Everybody who stands where the publication put them stands again where they stood, due as then.

    If their clock stood still since, it did so there, too.
    """
    goes = MOVED.c.fate == "goes"
    stood = sa.case((goes, HERE.c.held), else_=HERE.c.held - MOVED.c.held)
    taken_out = sa.and_(HERE.c.state == "exited", HERE.c.finished_at == move.at, _may_come_back())
    inside = sa.and_(HERE.c.state == "active", HERE.c.version_id == move.version_id)
    visit = MOVED.c.visit + sa.case((goes, 1), else_=0)
    as_put = sa.and_(sa.or_(taken_out, inside), HERE.c.visit == visit, ~_is_called())
    due = sa.type_coerce(sa.type_coerce(MOVED.c.due_at, sa.BigInteger) + stood, db.Instant)
    values: dict[str, Any] = {
        "version_id": MOVED.c.version_id,
        "step": MOVED.c.step,
        "visit": MOVED.c.visit,
        "arrived_at": MOVED.c.arrived_at,
        "due_at": due,
        "held": MOVED.c.held + stood,
        "tries": MOVED.c.tries,
        "state": "active",
        "paused_at": sa.case((HERE.c.state == "exited", MOVED.c.paused_at), else_=HERE.c.paused_at),
        "finished_at": None,
        "reason": None,
    }
    session.execute(
        sa.update(HERE)
        .where(HERE.c.id == MOVED.c.enrollment_id, MOVED.c.move_id == move.id, as_put)
        .values(values)
        .execution_options(synchronize_session=False)
    )


def _may_come_back() -> sa.ColumnElement[bool]:
    """The lead is still somebody, and not inside again for the same thing."""
    leads = db.table("leads")
    is_gone = sa.exists().where(leads.c.id == HERE.c.lead_id, leads.c.erased_at.is_not(None)).correlate(HERE)
    return sa.and_(~is_gone, ~retrying.has_another())


def _come_back(session: Session, campaign_id: int, move: Move, at: datetime) -> None:
    """The journal forgets the going that is undone; the event log, which only grows, says that those taken out are back."""
    undone = sa.and_(DECIDED.c.at == move.at, DECIDED.c.visit >= MOVED.c.visit, _is_back(move))
    gone = (
        sa.select(DECIDED.c.enrollment_id, DECIDED.c.visit, DECIDED.c.port, HERE.c.lead_id)
        .join(MOVED, MOVED.c.enrollment_id == DECIDED.c.enrollment_id)
        .join(HERE, HERE.c.id == DECIDED.c.enrollment_id)
        .where(undone)
        .subquery()
    )
    back = sa.select(gone.c.lead_id).where(gone.c.port == "end")
    key = session.scalar(sa.select(Campaign.key).where(Campaign.id == campaign_id)) or ""
    props = {"reason": "the publication was undone"}
    recording.record_for(
        session, back.subquery(), kind="campaign_entered", subject=key, at=at, props=props, campaign_id=campaign_id
    )
    pair = sa.tuple_(DECIDED.c.enrollment_id, DECIDED.c.visit)
    session.execute(sa.delete(DECIDED).where(pair.in_(sa.select(gone.c.enrollment_id, gone.c.visit))))


def _is_back(move: Move) -> sa.ColumnElement[bool]:
    """Of a passage and what it was before: it stands there again."""
    same = sa.and_(HERE.c.version_id == MOVED.c.version_id, HERE.c.visit == MOVED.c.visit)
    return sa.and_(MOVED.c.move_id == move.id, MOVED.c.enrollment_id == HERE.c.id, HERE.c.state == "active", same)


def _give_mails_back(session: Session, move: Move) -> None:
    """Mail that was withdrawn from those who are back is owed again, as it was."""
    kept, mails = KeptMail.__table__, Message.__table__
    of_them = sa.exists().where(HERE.c.id == mails.c.enrollment_id, _is_back(move)).correlate(mails)
    withdrawn = sa.and_(mails.c.state == "cancelled", mails.c.finished_at == move.at, of_them)
    session.execute(
        sa.update(mails)
        .where(mails.c.id == kept.c.message_id, kept.c.move_id == move.id, withdrawn)
        .values(state=kept.c.state, reason=kept.c.reason, finished_at=None)
    )


def _forget_turns(session: Session, move: Move) -> None:
    """The turns they were given at a throttle the publication put them at: nobody else waits behind them."""
    turns = Turn.__table__
    put = sa.and_(turns.c.enrollment_id == HERE.c.id, turns.c.visit > MOVED.c.visit)
    session.execute(sa.delete(turns).where(sa.exists().where(put, _is_back(move)).correlate(turns)))
