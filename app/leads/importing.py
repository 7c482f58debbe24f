"""Brings a file of leads in: in batches of a thousand, each kept or undone whole, stoppable at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import clock
from app.db import Database, rows_of, table
from app.leads import creating, fields, planning, reading, tagging, updating
from app.leads.models import Import, ImportRefusal, Lead
from app.leads.planning import Options, Plan, Report, Row
from app.leads.values import BadValue
from app.tracking import recording

ABANDONED = timedelta(days=1)
RUNNING, DONE, CANCELLED, FAILED = "running", "done", "cancelled", "failed"

_consent: list[Callable[..., int]] = []
_campaigns: list[Callable[[Session], dict[str, str]]] = []


def consent_by(give: Callable[..., int]) -> None:
    """Who keeps the consent that comes with a file: the room of preferences, which stands above this one."""
    _consent[:] = [give]


def campaigns_by(listed: Callable[[Session], dict[str, str]]) -> None:
    """Who knows which campaigns take the leads of a file, key -> name: the engine, which stands above this room, too."""
    _campaigns[:] = [listed]


def campaigns(session: Session) -> dict[str, str]:
    """The campaigns that the leads of a file can enter: key -> name."""
    return _campaigns[0](session)


def check_campaign(session: Session, options: Options) -> None:
    """Refuse a campaign that would let nobody in. Raises BadValue."""
    if options.campaign and options.campaign not in campaigns(session):
        raise BadValue(
            f"The campaign {options.campaign} takes no leads from a file; publish it with the trigger “Added by hand”."
        )


def carry_out(session: Session, made: Plan, options: Options, *, source: str, at: datetime) -> tuple[int, int]:
    """Write what a plan says; how many leads it made, and how many it changed."""
    declared = fields.declared(session)
    ready = [made.ready.get(address) or creating.prepare(given, declared) for address, given in made.creates.items()]
    ids = creating.insert(session, ready, source=source, at=at)
    made.known |= dict(zip(made.creates, ids, strict=True))
    checked = {lead_id: fields.check(_without_address(given), declared) for lead_id, given in made.updates.items()}
    changed = updating.set_many(session, checked, at=at, overwrite=options.overwrite) if checked else {}
    everybody = _set([*ids, *made.updates])
    for tag in options.tags:
        tagging.add(session, everybody, tag, at=at)
    for tag, addresses in made.tags.items():
        tagging.add(session, _set([made.known[a] for a in addresses]), tagging.ensure(session, tag).key, at=at)
    for owner, addresses in made.owners.items():
        updating.set_owner(
            session, _set(_without_owner(session, [made.known[a] for a in addresses], options.overwrite)), owner, at=at
        )
    if options.topic:
        _consent[0](
            session, everybody, options.topic, source=options.consent_source or source, at=at, wording=options.wording
        )
    if options.campaign:
        entrants = everybody.subquery()
        said = {"reason": source.replace("Import: ", "file ", 1)}
        recording.record_for(session, entrants, kind="campaign_requested", subject=options.campaign, at=at, props=said)
    return len(ids), len(changed)


def run(database: Database, import_id: int, path: Path, *, at: datetime | None = None) -> Report:
    """Bring the file in from where it stands, a batch a transaction, until it ends or somebody cancels it."""
    with database.read() as session:
        row = session.get_one(Import, import_id)
        mapping, options, done = row.mapping, Options.read(row.options), row.done_count
        source = f"Import: {row.file_name}"
    report = Report()
    try:
        table = planning.open_file(path, options)
        for batch in planning.batches(islice(table.rows(), done, None)):
            if not _run_batch(
                database, import_id, table, mapping, options, batch, done, source, at or clock.now(), report
            ):
                return report
            done += len(batch)
        _finish(database, import_id, DONE, at or clock.now())
    except (reading.BadFile, BadValue, OSError) as problem:
        _finish(database, import_id, FAILED, at or clock.now(), str(problem))
    except Exception:
        _finish(
            database,
            import_id,
            FAILED,
            at or clock.now(),
            "Something went wrong on our side; what was done so far is kept. Go on, or tell your administrator.",
        )
        raise
    return report


def start(
    session: Session, file_name: str, stored_name: str, *, rows: int, user_id: int | None, at: datetime
) -> Import:
    """Remember a file that was brought."""
    row = Import(
        file_name=file_name[:200], stored_name=stored_name, state="uploaded", rows_count=rows, user_id=user_id, created_at=at
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def begin(
    session: Session, import_id: int, columns: Sequence[str], mapping: Mapping[str, str], options: Options
) -> bool:
    """Let the import run; False when it runs already or is over."""
    ready = sa.and_(Import.id == import_id, Import.state.in_(("uploaded", FAILED)))
    kept = options.stored() | {"columns": list(columns)}
    statement = (
        sa.update(Import)
        .where(ready)
        .values(state=RUNNING, mapping=dict(mapping), options=kept, error="", finished_at=None)
    )
    return bool(session.connection().execute(statement).rowcount)


def cancel(session: Session, import_id: int, *, at: datetime) -> bool:
    """Stop a running import after its present batch; what it did stays."""
    running = sa.and_(Import.id == import_id, Import.state.in_((RUNNING, "uploaded", FAILED)))
    statement = sa.update(Import).where(running).values(state=CANCELLED, finished_at=at)
    return bool(session.connection().execute(statement).rowcount)


def forget_abandoned(session: Session, now: datetime) -> list[str]:
    """Drop uploads that nobody matched within a day; the stored names of files to delete."""
    old = sa.and_(Import.state == "uploaded", Import.created_at < now - ABANDONED)
    statement = sa.update(Import).where(old).values(state=CANCELLED, finished_at=now).returning(Import.stored_name)
    return [name for name in session.scalars(statement, execution_options={"synchronize_session": False}) if name]


def refused_rows(session: Session, import_id: int) -> Iterator[list[Any]]:
    """The refused rows with their reasons, ready for a CSV that can be corrected and brought again."""
    row = session.get_one(Import, import_id)
    yield [*row.options.get("columns", list(row.mapping)), "Row", "Why it was refused"]
    last = 0
    while True:
        query = sa.select(ImportRefusal).where(ImportRefusal.import_id == import_id, ImportRefusal.row_number > last)
        found = session.scalars(query.order_by(ImportRefusal.row_number).limit(planning.BATCH)).all()
        width = len(row.options.get("columns", row.mapping))
        for refusal in found:
            cells = [str(cell) for cell in refusal.row]
            yield [*(cells + [""] * width)[: max(width, len(cells))], refusal.row_number, refusal.reason]
        if len(found) < planning.BATCH:
            return
        last = found[-1].row_number
        session.expunge_all()


def _run_batch(
    database: Database, import_id: int, table: reading.Table, mapping: Mapping[str, str], options: Options,
    batch: Sequence[Row], done: int, source: str, at: datetime, report: Report,
) -> bool:  # fmt: skip
    """One batch in one transaction; False when the import was cancelled, or somebody else has done this batch."""
    for attempt in (1, 2):
        try:
            with database.write() as session:
                made = planning.plan(session, table, mapping, batch, options)
                created, updated = carry_out(session, made, options, source=source, at=at)
                _keep_refusals(session, import_id, made)
                if not _advance(session, import_id, done, len(batch), created, updated, made):
                    session.rollback()
                    return False
            break
        except IntegrityError:  # somebody took an address between our look and our insert: look again
            if attempt == 2:
                raise
    report.rows, report.created = report.rows + len(batch), report.created + created
    report.updated, report.refused = report.updated + updated, report.refused + len(made.refusals)
    report.repeated += len(made.repeats)
    planning.note_refusals(report, made, 100)
    return True


def _advance(session: Session, import_id: int, done: int, count: int, created: int, updated: int, made: Plan) -> bool:
    here = sa.and_(Import.id == import_id, Import.state == RUNNING, Import.done_count == done)
    statement = (
        sa.update(Import)
        .where(here)
        .values(
            done_count=done + count,
            created_count=Import.created_count + created,
            updated_count=Import.updated_count + updated,
            refused_count=Import.refused_count + len(made.refusals),
            repeated_count=Import.repeated_count + len(made.repeats),
        )
    )
    return bool(session.connection().execute(statement).rowcount)


def _keep_refusals(session: Session, import_id: int, made: Plan) -> None:
    rows = [
        {"import_id": import_id, "row_number": n, "reason": why, "row": _keepable(cells)}
        for n, why, cells in made.refusals
    ]
    if rows:
        session.execute(sa.insert(table("import_refusals")), rows)


def _keepable(cells: Sequence[str]) -> list[str]:
    """Cells as a database can store them: no NUL, no half characters, no novel."""
    return [cell.replace("\0", "").encode("utf-8", "replace").decode()[:2000] for cell in cells[:250]]


def _finish(database: Database, import_id: int, state: str, at: datetime, error: str = "") -> None:
    with database.write() as session:
        running = sa.and_(Import.id == import_id, Import.state == RUNNING)
        session.execute(sa.update(Import).where(running).values(state=state, error=error, finished_at=at))


def _without_address(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "email"}


def _without_owner(session: Session, ids: Sequence[int], overwrite: bool) -> Sequence[int]:
    if overwrite or not ids:
        return ids
    return session.scalars(sa.select(Lead.id).where(Lead.id.in_(ids), Lead.owner_id.is_(None))).all()


def _set(ids: Sequence[int]) -> sa.Select[Any]:
    return sa.select(rows_of([[i] for i in ids], lead_id=sa.BigInteger()).c.lead_id)
