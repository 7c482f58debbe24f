"""Looks at a file of leads before anything is written: which column is what, and what each row would do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import User
from app.db import rows_of
from app.leads import creating, fields, finding, guessing, reading
from app.leads.addresses import canonical
from app.leads.models import Lead
from app.leads.values import BadValue

BATCH = 1000
MOST_TAGS = 20

Row = tuple[int, list[str]]


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
    campaign: str = ""

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
    rows: list[tuple[int, str]] = field(default_factory=list)  # (row number, new | known | repeats N | why refused)
    repeats: dict[int, int] = field(default_factory=dict)  # row -> the earlier row of the same person


@dataclass(slots=True)
class Report:
    """What an import did, or in a dry run would do."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    refused: int = 0
    repeated: int = 0
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
    first: dict[str | int, int] = {}
    for number, address, given in good:
        earlier = first.setdefault(made.known.get(address, address), number)
        if earlier != number:
            made.repeats[number] = earlier
        _place(made, address, given, options.overwrite)
        if made.creates.get(address) is given:
            made.ready[address] = prepared[number]
        fresh = f"repeats {earlier}" if earlier != number else "new"
        made.rows.append((number, "known" if address in made.known and earlier == number else fresh))
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


def dry_run(
    session: Session, table: reading.Table, mapping: Mapping[str, str], options: Options, most: int = 100
) -> Report:
    """What an import of this file would do, without doing it."""
    report, seen = Report(), set[str]()
    for batch in batches(table.rows()):
        made = plan(session, table, mapping, batch, options)
        report.rows += len(batch)
        report.created += len(made.creates.keys() - seen)
        seen |= made.creates.keys()
        report.updated += len(made.updates)
        report.refused += len(made.refusals)
        report.repeated += len(made.repeats)
        note_refusals(report, made, most)
        session.expunge_all()
    return report


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def note_refusals(report: Report, made: Plan, most: int) -> None:
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
