"""Brings a file of leads in: row by row checked, in batches of a thousand, each kept or undone whole, stoppable at any time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import clock
from app.accounts.models import User
from app.db import Database, rows_of, table
from app.leads import creating, fields, finding, guessing, reading, tagging, updating
from app.leads.addresses import canonical
from app.leads.models import Import, ImportRefusal, Lead
from app.leads.values import BadValue

BATCH = 1000
ABANDONED = timedelta(days=1)
MOST_TAGS = 20
RUNNING, DONE, CANCELLED, FAILED = "running", "done", "cancelled", "failed"

Row = tuple[int, list[str]]
_consent: list[Callable[..., int]] = []


def consent_by(give: Callable[..., int]) -> None:
    """Who keeps the consent that comes with a file: the room of preferences, which stands above this one."""
    _consent[:] = [give]


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for the whole file."""

    overwrite: bool = True
    tags: tuple[str, ...] = ()
    topic: str = ""
    consent_source: str = ""
    wording: str = ""
    encoding: str = ""
    has_header: bool | None = None

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Options:
        known = {name: given[name] for name in cls.__dataclass_fields__ if name in given}
        return cls(**{**known, "tags": tuple(known.get("tags", ()))})

    def stored(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"tags": list(self.tags)}


@dataclass(slots=True)
class Plan:
    """What a batch of rows would do."""

    creates: dict[str, dict[str, Any]] = field(default_factory=dict)  # canonical address -> row as given
    ready: dict[str, dict[str, Any]] = field(default_factory=dict)  # the same as it will be stored
    updates: dict[int, dict[str, Any]] = field(default_factory=dict)
    refusals: list[tuple[int, str, list[str]]] = field(default_factory=list)
    tags: dict[str, list[str]] = field(default_factory=dict)  # tag -> addresses
    owners: dict[int, list[str]] = field(default_factory=dict)  # user -> addresses
    known: dict[str, int] = field(default_factory=dict)  # address -> living lead
    rows: list[tuple[int, str]] = field(default_factory=list)  # (row number, new | known | refused: …)


@dataclass(slots=True)
class Report:
    """What an import did, or in a dry run would do."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    refused: int = 0
    refusals: list[dict[str, Any]] = field(default_factory=list)


def open_file(path: Path, options: Options) -> reading.Table:
    return reading.understand(path, encoding=options.encoding, has_header=options.has_header)


def guess(session: Session, table: reading.Table) -> dict[str, str]:
    """Which column is which field."""
    samples = [cells for _, cells in islice(table.rows(), 50)]
    return guessing.mapping(table.columns, samples, fields.declared(session))


def check_mapping(session: Session, table: reading.Table, mapping: Mapping[str, str]) -> None:
    """Refuse a mapping that cannot work. Raises BadValue."""
    known = {*fields.CORE, *guessing.EXTRA, *fields.declared(session)}
    chosen = [name for name in mapping.values() if name]
    for column, name in mapping.items():
        if column not in table.columns:
            raise BadValue(f"The file has no column “{column}”; its columns are {', '.join(table.columns[:20])}.")
        if name and name not in known:
            raise BadValue(f"There is no field called {name!r}; declare it first, or leave the column out.")
    twice = next((name for name in chosen if chosen.count(name) > 1), None)
    if twice:
        raise BadValue(f"Two columns are mapped to “{label(session, twice)}”; keep one of them.")
    if "email" not in chosen:
        raise BadValue(
            "No column is mapped to Email; choose the one that holds the address, so that nobody comes in twice."
        )


def label(session: Session, name: str) -> str:
    return guessing.EXTRA.get(name) or fields.labels(session).get(name, (name, ""))[0]


def plan(
    session: Session, table: reading.Table, mapping: Mapping[str, str], rows: Sequence[Row], options: Options
) -> Plan:
    """Check a batch of rows against the fields and the leads there are; nothing is written."""
    made = Plan()
    declared = fields.declared(session)
    users = _users(session) if "owner" in mapping.values() else {}
    places = [(table.columns.index(column), name) for column, name in mapping.items() if name]
    good: list[tuple[int, str, dict[str, Any]]] = []
    prepared: dict[int, dict[str, Any]] = {}
    for number, cells in rows:
        try:
            given = _given(cells, places, len(table.columns))
            extra = {name: given.pop(name, "") for name in ("tags", "owner")}
            owner = _owner(users, extra["owner"])
            ready = creating.prepare(given, declared)
            address = ready["canonical_email"]
            if address is None:
                raise BadValue("The row has no address.")
        except BadValue as problem:
            made.refusals.append((number, problem.sentence, cells))
            made.rows.append((number, problem.sentence))
            continue
        good.append((number, address, given))
        prepared[number] = ready
        for tag in _tags(extra["tags"]):
            made.tags.setdefault(tag, []).append(address)
        if owner is not None:
            made.owners.setdefault(owner, []).append(address)
    made.known = living(session, [address for _, address, _ in good])
    for number, address, given in good:
        _place(made, address, given, options.overwrite)
        if made.creates.get(address) is given:
            made.ready[address] = prepared[number]
        made.rows.append((number, "known" if address in made.known else "new"))
    made.rows.sort()
    return made


def living(session: Session, addresses: Sequence[str]) -> dict[str, int]:
    """address -> the living lead that has it, or has taken over who had it."""
    found = creating.existing(session, addresses)
    if not found:
        return {}
    asked = rows_of([[i] for i in found.values()], lead_id=sa.BigInteger())
    moved = set(
        session.scalars(
            sa.select(Lead.id).join(asked, asked.c.lead_id == Lead.id).where(Lead.merged_into_id.is_not(None))
        )
    )
    for address, lead_id in found.items():
        if lead_id in moved:
            survivor = finding.by_id(session, lead_id)
            found[address] = survivor.id if survivor else lead_id
    return found


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
    return len(ids), len(changed)


def dry_run(
    session: Session, table: reading.Table, mapping: Mapping[str, str], options: Options, most: int = 100
) -> Report:
    """What an import of this file would do, without doing it."""
    report, seen = Report(), set[str]()
    for batch in _batches(table.rows()):
        made = plan(session, table, mapping, batch, options)
        report.rows += len(batch)
        report.created += len(made.creates.keys() - seen)
        seen |= made.creates.keys()
        report.updated += len(made.updates)
        report.refused += len(made.refusals)
        _note_refusals(report, made, most)
        session.expunge_all()
    return report


def run(database: Database, import_id: int, path: Path, *, at: datetime | None = None) -> Report:
    """Bring the file in from where it stands, a batch a transaction, until it ends or somebody cancels it."""
    with database.read() as session:
        row = session.get_one(Import, import_id)
        mapping, options, done = row.mapping, Options.read(row.options), row.done_count
        source = f"Import: {row.file_name}"
    report = Report()
    try:
        table = open_file(path, options)
        for batch in _batches(islice(table.rows(), done, None)):
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
        found = session.scalars(query.order_by(ImportRefusal.row_number).limit(BATCH)).all()
        width = len(row.options.get("columns", row.mapping))
        for refusal in found:
            cells = [str(cell) for cell in refusal.row]
            yield [*(cells + [""] * width)[: max(width, len(cells))], refusal.row_number, refusal.reason]
        if len(found) < BATCH:
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
                made = plan(session, table, mapping, batch, options)
                created, updated = carry_out(session, made, options, source=source, at=at)
                _keep_refusals(session, import_id, made)
                if not _advance(session, import_id, done, len(batch), created, updated, len(made.refusals)):
                    session.rollback()
                    return False
            break
        except IntegrityError:  # somebody took an address between our look and our insert: look again
            if attempt == 2:
                raise
    report.rows, report.created = report.rows + len(batch), report.created + created
    report.updated, report.refused = report.updated + updated, report.refused + len(made.refusals)
    _note_refusals(report, made, 100)
    return True


def _advance(session: Session, import_id: int, done: int, count: int, created: int, updated: int, refused: int) -> bool:
    here = sa.and_(Import.id == import_id, Import.state == RUNNING, Import.done_count == done)
    statement = (
        sa.update(Import)
        .where(here)
        .values(
            done_count=done + count,
            created_count=Import.created_count + created,
            updated_count=Import.updated_count + updated,
            refused_count=Import.refused_count + refused,
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


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _note_refusals(report: Report, made: Plan, most: int) -> None:
    room = most - len(report.refusals)
    report.refusals += [{"row": n, "reason": why} for n, why, _ in made.refusals[: max(0, room)]]


def _given(cells: Sequence[str], places: Sequence[tuple[int, str]], width: int) -> dict[str, Any]:
    if len(cells) > width and any(cell.strip() for cell in cells[width:]):
        raise BadValue(
            f"The row has {len(cells)} cells, but there are {width} columns; quote cells that hold the separator."
        )
    given = {name: cells[place].strip() for place, name in places if place < len(cells) and cells[place].strip()}
    if "\ufffd" in "".join(given.values()):
        raise BadValue("Some characters cannot be read; save the file as UTF-8, or choose its encoding.")
    full = given.pop("full_name", "")
    if full:
        first, _, last = full.strip().rpartition(" ")
        if "," in full:
            last, _, first = (part.strip() for part in full.partition(","))
        given.setdefault("first_name", first or last)
        given.setdefault("last_name", last if first else "")
    return given


def _place(made: Plan, address: str, given: dict[str, Any], overwrite: bool) -> None:
    """Put a row with the leads to make or to change; a second row of the same address joins the first."""
    lead_id = made.known.get(address)
    before = made.creates.get(address) if lead_id is None else made.updates.get(lead_id)
    merged = given if before is None else {**before, **given} if overwrite else {**given, **before}
    if lead_id is None:
        made.creates[address] = merged
        made.ready.pop(address, None)
    else:
        made.updates[lead_id] = merged


def _tags(text: str) -> list[str]:
    return [tag.strip()[:60] for tag in re.split(r"[,;|]", text) if tag.strip() and fields.slug(tag)][:MOST_TAGS]


def _users(session: Session) -> dict[str, int]:
    return dict(session.execute(sa.select(User.email, User.id).where(User.is_active)))


def _owner(users: Mapping[str, int], text: str) -> int | None:
    if not text:
        return None
    found = users.get(canonical(text))
    if found is None:
        raise BadValue(f"The owner {text[:60]} is not a user here.")
    return found


def _without_address(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "email"}


def _without_owner(session: Session, ids: Sequence[int], overwrite: bool) -> Sequence[int]:
    if overwrite or not ids:
        return ids
    return session.scalars(sa.select(Lead.id).where(Lead.id.in_(ids), Lead.owner_id.is_(None))).all()


def _set(ids: Sequence[int]) -> sa.Select[Any]:
    return sa.select(rows_of([[i] for i in ids], lead_id=sa.BigInteger()).c.lead_id)
