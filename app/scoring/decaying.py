"""Lets interest fade when a lead is not seen any more, day by day, as lines in the ledger like any other."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock, db
from app.accounts import auditing
from app.accounts.models import Audit
from app.leads.models import Lead
from app.scoring import grading, model
from app.scoring.model import DECAY, Thresholds
from app.scoring.models import ScoreEntry
from app.scoring.scoring import COLUMNS
from app.segments import ruling
from app.tracking.models import Identity

LEDGER: sa.Table = ScoreEntry.__table__
LEADS: sa.Table = Lead.__table__
IDENTITIES: sa.Table = Identity.__table__
DAY = timedelta(days=1) // timedelta(microseconds=1)
MILLION = 1_000_000
FADING = db.temporary(
    "fading",
    sa.Column("lead_id", db.Key, primary_key=True, autoincrement=False),
    sa.Column("points", sa.Integer, nullable=False),
    sa.Column("idle_days", sa.Integer, nullable=False),
)


FADED = "let interest fade"


def run_once(session: Session, now: datetime) -> int:
    """Let interest fade if it has not been done within a day: looking at every idle lead is too much for each tick."""
    found = model.active(session)
    if found is None:
        return 0
    of_model = sa.and_(Audit.subject_kind == "score_model", Audit.subject_id == str(found[0].id))
    lately = sa.and_(Audit.at > now - timedelta(hours=23), Audit.at <= now)
    if session.scalar(sa.select(Audit.id).where(of_model, Audit.action == FADED, lately).limit(1)):
        return 0
    count = fade(session, now)
    with clock.at(now):
        auditing.note(session, None, FADED, "score_model", found[0].id, {"leads": count})
    return count


def fade(session: Session, now: datetime) -> int:
    """Bring the interest of idle leads to what is left of it; run twice, the second run finds nothing to do."""
    found = model.active(session)
    if found is None:
        return 0
    db.scratch(session, FADING)
    lines = _lines(found[1].thresholds, now)
    count = (
        session.connection().execute(sa.insert(FADING).from_select(["lead_id", "points", "idle_days"], lines)).rowcount
    )
    if count:
        session.execute(sa.insert(LEDGER).from_select(COLUMNS, _entries(now)))
        grading.regrade(session, sa.select(FADING.c.lead_id), now=now)
    return count


def _lines(thresholds: Thresholds, now: datetime) -> sa.Select[Any]:
    """What is left is a share of the (capped) points there were when the lead was last seen, by the days since."""
    decay = thresholds.decay
    seen = sa.func.coalesce(LEADS.c.last_seen_at, LEADS.c.created_at)
    faded = sa.and_(LEDGER.c.rule_key == DECAY, LEDGER.c.at > seen)
    base = sa.func.sum(sa.case((sa.func.coalesce(faded, sa.false()), 0), else_=LEDGER.c.points)).cast(sa.BigInteger)
    idle = (
        sa.select(
            LEADS.c.id,
            ((db.micros(now) - sa.type_coerce(seen, sa.BigInteger)) // DAY).label("days"),
            sa.func.sum(LEDGER.c.points).cast(sa.BigInteger).label("raw"),
            base.label("base"),
        )
        .select_from(
            LEADS.join(IDENTITIES, IDENTITIES.c.lead_id == LEADS.c.id).join(LEDGER, LEDGER.c.lead_id == IDENTITIES.c.id)
        )
        .where(LEDGER.c.dimension == "interest", LEADS.c.interest > 0, ruling.living())
        .where(seen < now - timedelta(days=decay.after_days))
        .group_by(LEADS.c.id, LEADS.c.last_seen_at, LEADS.c.created_at)
        .subquery("idle")
    )
    shares = _shares(decay.half_life_days)
    last = decay.half_life_days * 12
    over = idle.c.days - decay.after_days
    capped = sa.case((idle.c.base > thresholds.caps.interest, thresholds.caps.interest), else_=idle.c.base)
    left = (capped * shares.c.share + MILLION // 2) // MILLION
    joined = idle.join(shares, shares.c.days == sa.case((over > last, last), else_=over))
    return sa.select(idle.c.id, left - idle.c.raw, idle.c.days).select_from(joined).where(left != idle.c.raw)


def _shares(half_life_days: int) -> sa.Subquery:
    # a table, because not every SQLite has pow(); after twelve half lives nothing is left of 1,000 points
    rows = [(day, int(MILLION * 0.5 ** (day / half_life_days))) for day in range(half_life_days * 12)]
    return db.rows_of([*rows, (half_life_days * 12, 0)], days=sa.BigInteger(), share=sa.BigInteger())


def _entries(now: datetime) -> sa.Select[Any]:
    reason = sa.literal("Not seen for ", sa.String) + sa.cast(FADING.c.idle_days, sa.String) + " days"
    values: dict[str, Any] = {
        "lead_id": FADING.c.lead_id,
        "dimension": sa.literal("interest", sa.String),
        "points": FADING.c.points,
        "reason": reason,
        "rule_key": sa.literal(DECAY, sa.String),
        "event_id": sa.literal(None, db.Key),
        "at": sa.literal(now, db.Instant),
    }
    return sa.select(*(values[name] for name in COLUMNS))
