"""Puts the leads of a copy back to what they were before a rehearsal: each change that the log tells says from what."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.campaigns.sidelines import firsts, later, owner
from app.db import table
from app.engine.rewinding import GRADES, SCORES
from app.leads.models import Lead
from app.tracking.models import Identity

TRACES: sa.Table = Identity.__table__
LEADS: sa.Table = Lead.__table__
AHEAD = later("events")
TAGGED = ("tag_added", "tag_removed")
NOT_TAKEN_BACK = ("email", "company_name")  # what hangs on them is not in the log


def restore(session: Session) -> None:
    """Fields, tags, stage, points and grades as they were before the first change that is still to come."""
    _note_firsts(session)
    _values(session)
    _tags(session)


def _note_firsts(session: Session) -> None:
    whose = owner()
    what = sa.case((AHEAD.c.kind.in_(TAGGED), "tag"), else_=AHEAD.c.kind)
    subject = sa.case((AHEAD.c.kind == "stage_changed", ""), else_=AHEAD.c.subject)
    place = sa.func.row_number().over(partition_by=(whose, what, subject), order_by=(AHEAD.c.at, AHEAD.c.id))
    before, raw = sa.func.json_extract(AHEAD.c.props, "$.from"), AHEAD.c.props.op("->")("$.from")
    columns = (whose, what, subject, AHEAD.c.kind, before, raw, place)
    named = [column.label(name) for name, column in zip((*firsts.c.keys(), "place"), columns, strict=True)]
    joined = AHEAD.join(TRACES, TRACES.c.id == AHEAD.c.identity_id)
    kinds = (*TAGGED, "field_changed", "stage_changed", "score_changed", "grade_changed")
    every = sa.select(*named).select_from(joined).where(AHEAD.c.kind.in_(kinds)).subquery("every")
    names = [column.name for column in firsts.columns]
    chosen = sa.select(*(every.c[name] for name in names)).where(every.c.place == 1)
    session.execute(sa.insert(firsts).from_select(names, chosen))


def _values(session: Session) -> None:
    """Fields, stage, points and grades as they were: each change in the log says from what."""
    for subject, column in SCORES.items():
        _restore(session, "score_changed", subject, column)
    for subject, column in GRADES.items():
        _restore(session, "grade_changed", subject, column)
    _restore(session, "stage_changed", "", "stage")
    changed = sa.select(firsts.c.subject).where(firsts.c.what == "field_changed").distinct()
    for name in session.scalars(changed).all():
        if name in LEADS.c and name not in NOT_TAKEN_BACK:
            _restore(session, "field_changed", name, name)
        elif name not in LEADS.c:
            _restore_custom(session, name)


def _restore(session: Session, what: str, subject: str, column: str) -> None:
    of_it = sa.and_(firsts.c.what == what, firsts.c.subject == subject)
    for people in (LEADS, later("leads")):
        before = sa.select(firsts.c.before).where(of_it, firsts.c.lead_id == people.c.id).correlate(people)
        value: Any = before.scalar_subquery()
        if not LEADS.c[column].nullable:
            value = sa.func.coalesce(value, "" if column != "stage" else people.c.stage)
        chosen = people.c.id.in_(sa.select(firsts.c.lead_id).where(of_it))
        session.execute(sa.update(people).where(chosen).values({column: sa.type_coerce(value, people.c[column].type)}))


def _restore_custom(session: Session, name: str) -> None:
    of_it, path = sa.and_(firsts.c.what == "field_changed", firsts.c.subject == name), f'$."{name}"'
    for people in (LEADS, later("leads")):
        before = sa.select(firsts.c.json).where(of_it, firsts.c.lead_id == people.c.id).correlate(people)
        value: Any = sa.func.coalesce(before.scalar_subquery(), "null")
        kept = sa.case(
            (value == "null", sa.func.json_remove(people.c.fields, path)),
            else_=sa.func.json_set(people.c.fields, path, sa.func.json(value)),
        )
        chosen = people.c.id.in_(sa.select(firsts.c.lead_id).where(of_it))
        session.execute(sa.update(people).where(chosen).values(fields=sa.type_coerce(kept, people.c.fields.type)))


def _tags(session: Session) -> None:
    """A tag that is given first within the period was not there before; one that is taken away was."""
    tags, has = table("tags"), table("lead_tags")
    of_it = sa.and_(firsts.c.what == "tag", firsts.c.subject == tags.c.key)
    changed = (
        sa.select(firsts.c.lead_id, tags.c.id.label("tag_id"), firsts.c.kind).join(tags, of_it).subquery("changed")
    )
    pair = sa.tuple_(has.c.lead_id, has.c.tag_id)
    session.execute(sa.delete(has).where(pair.in_(sa.select(changed.c.lead_id, changed.c.tag_id))))
    had = sa.select(changed.c.lead_id, changed.c.tag_id, sa.literal(0)).where(changed.c.kind == "tag_removed")
    session.execute(sa.insert(has).from_select(["lead_id", "tag_id", "at"], had))
