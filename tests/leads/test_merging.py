"""Two records of one person become one and can be taken apart; an erased person leaves only counts (SEMANTICS 27, 28)."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from sqlalchemy.orm import Session

from app import layers, signing
from app.db import Base, Database, table
from app.leads import creating, erasing, fields, finding, merging, noting, tagging
from app.leads.models import Lead, LeadTag, Note
from app.preferences import consenting
from app.preferences.models import OptOut, Subscription, Topic
from app.tracking import queries, recording, visitors
from app.tracking.models import Event, Identity


def people(session: Session, now: datetime) -> tuple[Lead, Lead]:
    fields.declare(session, label="Seats", kind="number")
    kept = creating.create(
        session, email="maria@x.example", source="Form", at=now, first_name="Maria", last_name="Keller"
    )
    gone = creating.create(
        session, email="m.keller@y.example", source="Form", at=now, first_name="M", city="Bern", seats="4"
    )
    return kept, gone


def one(lead: Lead) -> Any:
    return sa.select(Lead.id).where(Lead.id == lead.id)


def state(session: Session) -> Any:
    """Everything a merge may touch, to compare before and after an undo."""
    rows: dict[str, Any] = {}
    for name in ("identities", "notes", "lead_tags", "subscriptions", "opt_outs", "score_entries", "messages"):
        columns = [c for c in table(name).c if c.name not in {"at"}]
        rows[name] = sorted(map(str, session.execute(sa.select(*columns))))
    leads = table("leads").c
    kept = [
        leads.id,
        leads.first_name,
        leads.city,
        leads.fields,
        leads.owner_id,
        leads.merged_into_id,
        leads.search_text,
    ]
    rows["leads"] = sorted(map(str, session.execute(sa.select(*kept))))
    return rows


def test_rule_27_the_survivor_keeps_both_histories_and_is_found_by_both_addresses(
    session: Session, now: datetime
) -> None:
    kept, gone = people(session, now)
    visitor = visitors.identify(session, None)
    visitors.join(session, visitor.id, gone.id)
    recording.record(session, kind="page_viewed", identity_id=visitor.id, subject="/pricing", at=now)
    noting.add(session, gone.id, None, "From the fair", at=now)
    tagging.add(session, one(gone), "fair", at=now)
    merging.merge(session, kept.id, gone.id, user_id=None, at=now)
    found = finding.by_email(session, "M.Keller@y.example")
    assert found is not None and found.id == kept.id
    subjects = {event.kind for event in queries.timeline(session, kept.id)}
    assert {"page_viewed", "note_added", "tag_added", "merged", "lead_created"} <= subjects
    assert queries.timeline(session, gone.id) == []
    session.refresh(kept)
    assert (kept.first_name, kept.city, kept.fields) == ("Maria", "Bern", {"seats": 4})
    assert session.scalars(sa.select(Note.lead_id)).all() == [kept.id]
    assert kept.id in session.scalars(sa.select(LeadTag.lead_id)).all()


def test_rule_27_the_strictest_consent_wins(session: Session, now: datetime) -> None:
    kept, gone = people(session, now)
    session.add_all([Topic(key="news", name="News"), Topic(key="offers", name="Offers")])
    session.flush()
    consenting.give(session, one(kept), "news", source="Form", at=now)
    consenting.withdraw(session, one(gone), "news", source="Page", at=now)
    consenting.give(session, one(gone), "offers", source="Form", at=now)
    merging.merge(session, kept.id, gone.id, user_id=None, at=now)
    rows = session.execute(
        sa.select(Subscription.topic_id, Subscription.state)
        .where(Subscription.lead_id == kept.id)
        .order_by(Subscription.topic_id)
    )
    assert [row.state for row in rows] == ["withdrawn", "given"]


def test_rule_27_who_wanted_no_mail_wants_none_after_the_merge(session: Session, now: datetime) -> None:
    kept, gone = people(session, now)
    consenting.withdraw(session, one(gone), None, source="Page", at=now)
    merging.merge(session, kept.id, gone.id, user_id=None, at=now)
    assert kept.id in session.scalars(sa.select(OptOut.lead_id)).all()


def test_rule_27_a_merge_is_undone_without_a_trace(session: Session, now: datetime) -> None:
    kept, gone = people(session, now)
    session.add(Topic(key="news", name="News"))
    session.flush()
    consenting.give(session, one(kept), "news", source="Form", at=now)
    consenting.withdraw(session, one(gone), None, source="Page", at=now)
    noting.add(session, gone.id, None, "From the fair", at=now)
    tagging.add(session, one(gone), "fair", at=now)
    session.flush()
    before = state(session)
    done = merging.merge(session, kept.id, gone.id, user_id=None, at=now)
    assert state(session) != before
    merging.unmerge(session, done.id, at=now)
    session.flush()
    assert state(session) == before
    with pytest.raises(merging.BadMerge):
        merging.unmerge(session, done.id, at=now)


def test_what_cannot_be_merged_is_refused_in_a_sentence(session: Session, now: datetime) -> None:
    kept, gone = people(session, now)
    with pytest.raises(merging.BadMerge, match="itself"):
        merging.merge(session, kept.id, kept.id, user_id=None, at=now)
    merging.merge(session, kept.id, gone.id, user_id=None, at=now)
    with pytest.raises(merging.BadMerge, match="gone"):
        merging.merge(session, kept.id, gone.id, user_id=None, at=now)
    with pytest.raises(merging.BadMerge):
        merging.merge(session, gone.id, kept.id, user_id=None, at=now)


SECRETS = ("maria", "keller", "zurich-secret", "+41446681800", "our-note", "private answer")


def test_rule_28_erasing_removes_the_person_everywhere_and_keeps_the_counts(session: Session, now: datetime) -> None:
    kept, gone = people(session, now)
    other = creating.create(session, email="other@x.example", source="Form", at=now, first_name="Other")
    merging.merge(session, kept.id, gone.id, user_id=None, at=now)
    noting.add(session, kept.id, None, "our-note Maria", at=now)
    recording.record(
        session,
        kind="form_submitted",
        identity_id=kept.id,
        subject="f",
        at=now,
        props={"answers": {"x": "private answer"}},
        evidence={"browser": "Maria's"},
    )
    recording.record(
        session,
        kind="field_changed",
        identity_id=gone.id,
        subject="city",
        at=now,
        props={"from": "", "to": "zurich-secret"},
    )
    message = {
        "kind": "mail",
        "purpose": "marketing",
        "priority": 5,
        "lead_id": kept.id,
        "bucket": 0,
        "created_at": now,
        "not_before": now,
        "attempt": 0,
    }
    for number, name in enumerate(("ready", "sent")):
        session.execute(
            sa.insert(table("messages")).values(
                **message, state=name, key=f"k{number}", inputs={"subject": "Dear Maria"}, reply="ok maria@x.example"
            )
        )
    form = session.execute(
        sa.insert(table("forms"))
        .values(key="f", public_id="p", name="F", fields=[], created_at=now, updated_at=now, settings={})
        .returning(table("forms").c.id)
    ).scalar_one()
    session.execute(
        sa.insert(table("submissions")).values(
            form_id=form, lead_id=kept.id, state="accepted", answers={"x": "private answer"}, at=now
        )
    )
    session.execute(
        sa.insert(table("imports")).values(
            file_name="f",
            stored_name="s",
            state="done",
            mapping={},
            options={},
            rows_count=1,
            done_count=1,
            created_count=0,
            updated_count=0,
            refused_count=1,
            error="",
            created_at=now,
        )
    )
    session.execute(
        sa.insert(table("import_refusals")).values(
            import_id=1, row_number=2, reason="bad", row=["Maria@X.example", "oops"]
        )
    )
    session.flush()
    events = session.scalar(sa.select(sa.func.count()).select_from(Event))
    assert erasing.erase(session, kept.id, at=now + timedelta(days=1)) == 2
    left = "\n".join(
        f"{name}: {row}" for name, rows in Base.metadata.tables.items() for row in session.execute(sa.select(rows))
    ).casefold()
    assert [secret for secret in SECRETS if secret in left] == []
    assert "other@x.example" in left
    assert session.scalar(sa.select(sa.func.count()).select_from(Event)) == events
    states = session.scalars(sa.select(table("messages").c.state).order_by(table("messages").c.key)).all()
    assert list(states) == ["cancelled", "sent"]
    hashes = set(session.scalars(sa.select(table("suppressions").c.address_hash)))
    assert hashes == {signing.address_hash("maria@x.example"), signing.address_hash("m.keller@y.example")}
    assert finding.by_email(session, "maria@x.example") is None
    assert finding.by_id(session, kept.id) is None
    assert (finding.by_id(session, other.id) or kept).id == other.id
    assert session.get_one(Identity, kept.id).lead_id == kept.id


def test_rule_28_an_erased_address_that_comes_back_stays_suppressed(session: Session, now: datetime) -> None:
    lead = creating.create(session, email="maria@x.example", source="Form", at=now)
    erasing.erase(session, lead.id, at=now)
    again = creating.create(session, email="Maria@x.example", source="Import", at=now)
    assert again.id != lead.id
    reason = session.scalar(
        sa.select(table("suppressions").c.reason).where(table("suppressions").c.address_hash == again.address_hash)
    )
    assert reason == "erased"


def test_every_table_with_leads_is_known_to_erasing_and_merging() -> None:
    """A new table with a person in it must say what erasing does to it."""
    layers.load_models()
    with_leads = {
        name
        for name, rows in Base.metadata.tables.items()
        if any(key.target_fullname == "leads.id" for key in rows.foreign_keys)
    }
    assert with_leads - {"leads"} == (erasing.BLANKED.keys() | set(erasing.DELETED))
    moved = {name for name in with_leads if "id" in table(name).c and "lead_id" in table(name).c}
    assert moved - {"leads", "enrollments"} == set(merging.ATTACHED)


@pytest.fixture
def run(app: Flask) -> Any:
    def call(*words: str) -> Result:
        return app.test_cli_runner().invoke(args=["leads", *words])

    return call


def test_the_command_line_does_the_same(run: Any, sqlite_database: Database, tmp_path: Any) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("email,first name,city\nana@x.example,Ana,Bern\nbo@x.example,Bo,\nbad,X,\n")
    dry = json.loads(run("import", str(file), "--dry-run", "--json").output)
    assert (dry["created"], dry["refused"], dry["mapping"]["email"]) == (2, 1, "email")
    refused = tmp_path / "refused.csv"
    real = json.loads(
        run(
            "import", str(file), "--tag", "Fair", "--refused", str(refused), "--at", "2026-03-01T09:00Z", "--json"
        ).output
    )
    assert (real["created"], real["refused"]) == (2, 1)
    assert "not a mail address" in refused.read_text("utf-8")
    again = json.loads(run("import", str(file), "--mapping", '{"email": "email", "city": "city"}', "--json").output)
    assert (again["created"], again["updated"]) == (0, 0)
    shown = json.loads(run("show", "ANA@x.example", "--json").output)
    assert (shown["first_name"], shown["city"], shown["tags"], shown["created_at"]) == (
        "Ana",
        "Bern",
        ["fair"],
        "2026-03-01T09:00:00Z",
    )
    assert [row["email"] for row in json.loads(run("list", "--tag", "fair", "--json").output)] == [
        "ana@x.example",
        "bo@x.example",
    ]
    assert json.loads(run("tag", "bo@x.example", "VIP", "--json").output) == {"tag": "vip", "changed": 1}
    merged = json.loads(run("merge", "ana@x.example", "bo@x.example", "--json").output)
    assert json.loads(run("show", "bo@x.example", "--json").output)["id"] == merged["survivor"]
    assert run("unmerge", "ana@x.example").exit_code == 0
    assert json.loads(run("erase", "bo@x.example", "--yes", "--json").output)["records"] == 1
    missing = run("show", "bo@x.example")
    assert (missing.exit_code, "no lead" in missing.output + missing.stderr) == (1, True)
    assert run("import", str(file), "--mapping", "nonsense").exit_code == 1
    assert run("import", str(tmp_path / "none.csv")).exit_code == 2
