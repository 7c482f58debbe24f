"""New leads, one or very many at a time, each with its identity and its first event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import signing
from app.db import BUCKETS, Instant, rows_of, table
from app.leads import companies, fields, finding, updating
from app.leads.addresses import BadAddress, as_given, canonical
from app.leads.models import Lead
from app.leads.values import BadValue, clean, inferred_zone
from app.tracking import recording
from app.tracking.models import Identity


class AlreadyKnown(BadAddress):
    """Somebody has this address; `lead_id` says who."""

    def __init__(self, email: str, lead_id: int) -> None:
        super().__init__(f"There is a lead with the address {email} already.")
        self.lead_id = lead_id


def create(session: Session, *, email: str | None = None, source: str, at: datetime, **values: Any) -> Lead:
    """One new lead. Raises BadAddress, AlreadyKnown or BadValue; a lead without an address needs a name or a phone."""
    [lead_id] = create_many(session, [{"email": email, **values}], source=source, at=at)
    return session.get_one(Lead, lead_id)


def create_or_complete(
    session: Session, *, email: str, source: str, at: datetime, values: Mapping[str, Any], overwrite: bool
) -> tuple[Lead, bool]:
    """The lead of this address with these values: made, or completed; True when it is new."""
    canonical(email)
    known = finding.by_email(session, email)
    if known is None:
        try:
            with session.begin_nested():  # another request may create it between the look and the insert
                return create(session, email=email, source=source, at=at, **values), True
        except (AlreadyKnown, IntegrityError):
            known = finding.by_email(session, email)
            if known is None:
                raise
    updating.set_values(session, known.id, dict(values), at=at, overwrite=overwrite)
    return known, False


def create_many(session: Session, rows: Sequence[Mapping[str, Any]], *, source: str, at: datetime) -> list[int]:
    """Many new leads in a fixed number of statements; their ids in the order given.

    A row holds field values, and may hold `at` and `source` of its own. Any row that is bad, or known, stops all of them.
    """
    known = fields.declared(session)
    ready = [prepare(row, known) for row in rows]
    taken = existing(session, [r["canonical_email"] for r in ready if r["canonical_email"]])
    seen = set(taken)
    for row in ready:
        if row["canonical_email"] in seen:
            raise AlreadyKnown(row["email"], taken.get(row["canonical_email"], 0))
        if row["canonical_email"]:
            seen.add(row["canonical_email"])
    return insert(session, ready, source=source, at=at)


def prepare(row: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it will be stored, still without an id. Raises BadAddress or BadValue."""
    given = {name: value for name, value in row.items() if name not in {"at", "source"} and value is not None}
    email = as_given(str(given.pop("email", "") or "")) or None
    values = fields.check(given, known)
    if email is None and not any(values.get(n) for n in ("first_name", "last_name", "phone", "company_name")):
        raise BadValue("A lead needs an address, or at least a name or a phone number.")
    unique = canonical(email) if email else None
    ready: dict[str, Any] = {name: values.get(name) or "" for name in fields.CORE if name not in {"email", "zone"}}
    ready |= {
        "email": email,
        "canonical_email": unique,
        "address_hash": signing.address_hash(unique) if unique else None,
        "zone": values.get("zone"),
        "inferred_zone": inferred_zone(ready["country"], ready["phone"]),
        "fields": {name: values[name] for name in known if values.get(name) not in (None, "")},
        "search_text": updating.search_text(email, ready),
        "company": companies.facts_of(values) | {"country": ready["country"]},
        "at": row.get("at"),
        "source": clean(str(row.get("source") or ""))[:200] or None,
    }
    return ready


def insert(session: Session, ready: Sequence[dict[str, Any]], *, source: str, at: datetime) -> list[int]:
    """Write prepared rows: identities first, then leads under the same ids, then the first event of each."""
    if not ready:
        return []
    source = clean(source)[:200]
    new_identity = sa.insert(Identity).returning(Identity.id)
    ids = sorted(session.scalars(new_identity, [{"kind": "lead", "created_at": r["at"] or at} for r in ready]))
    linked = companies.ensure_many(session, [r["company"] for r in ready], at=at)
    leads = [
        {name: value for name, value in row.items() if name not in {"company", "at", "source"}}
        | {"id": lead_id, "bucket": lead_id % BUCKETS, "company_id": company_id, "source": row["source"] or source}
        | {"created_at": row["at"] or at, "updated_at": row["at"] or at}
        for lead_id, company_id, row in zip(ids, linked, ready, strict=True)
    ]
    session.execute(sa.insert(table("leads")), leads)
    born = rows_of(
        [[lead["id"], lead["created_at"], lead["source"]] for lead in leads],
        lead_id=sa.BigInteger(), at=Instant(), source=sa.Text(),
    )  # fmt: skip
    own = sa.update(Identity).where(Identity.id.in_(sa.select(born.c.lead_id))).values(lead_id=Identity.id)
    session.execute(own, execution_options={"synchronize_session": False})
    recording.record_for(session, born, kind="lead_created", subject=born.c.source, at=born.c.at)
    return ids


def existing(session: Session, canonical_emails: Sequence[str]) -> dict[str, int]:
    """Which of these addresses are known: address -> the id of its row, merged ones included."""
    if not canonical_emails:
        return {}
    asked = rows_of([[e] for e in canonical_emails], value=sa.Text())
    rows = session.execute(sa.select(Lead.canonical_email, Lead.id).join(asked, Lead.canonical_email == asked.c.value))
    return {str(email): lead_id for email, lead_id in rows}
