"""The pages of leads do what their buttons say, refuse in a sentence, and print what people typed as text."""

import io
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app.db import Database, table
from app.leads import creating, fields, listing, noting, queries, tagging
from app.leads.models import Company, Import, Lead, LeadField, LeadTag, Note, Tag
from app.outbox import Message
from app.tracking import recording
from app.web import paging
from tests.mail import making

SignIn = Callable[..., FlaskClient]
PARTIAL = {"HX-Request": "true", "HX-Request-Type": "partial"}


def make(database: Database, now: datetime, **values: str) -> int:
    with database.write() as session:
        given = {"email": "maria@x.example", "first_name": "Maria", "last_name": "Keller", **values}
        return creating.create(session, source="Test", at=now, **given).id


def test_an_empty_list_says_what_to_do(sign_in: SignIn) -> None:
    page = sign_in("marketer").get("/leads").text
    assert "No leads yet" in page
    assert "Import a file" in page


def test_a_lead_is_added_and_a_known_address_leads_to_it(sign_in: SignIn, sqlite_database: Database) -> None:
    client = sign_in("sales")
    answer = client.post("/leads", data={"email": "Ana@x.example", "first_name": "Ana", "country": "CH"})
    assert answer.status_code == 303
    assert "Ana" in client.get(answer.location).text
    again = client.post("/leads", data={"email": "ANA@x.example", "first_name": "Kept <b>"})
    assert again.status_code == 422
    assert "already" in again.text
    assert "Kept &lt;b&gt;" in again.text
    assert client.post("/leads", data={"email": "no", "first_name": "x"}).status_code == 422


def test_search_filters_and_order(sign_in: SignIn, sqlite_database: Database, now: datetime) -> None:
    with sqlite_database.write() as session:
        rows = [
            {
                "email": "maria@nord.example",
                "first_name": "Maria",
                "last_name": "Keller",
                "company_name": "Nordhafen AG",
            },
            {"email": "bo@sued.example", "first_name": "Bo", "last_name": "Ärmel", "company_name": "100% Süd_AG"},
            {"email": "cy@ost.example", "first_name": "Cy", "last_name": "Zorn"},
        ]
        ids = creating.create_many(session, rows, source="Test", at=now)
        tagging.add(session, sa.select(Lead.id).where(Lead.id == ids[0]), "vip", at=now)
        session.execute(sa.update(Lead).where(Lead.id == ids[2]).values(stage="mql", temperature="hot", score=70))
        segments = table("segments")
        new = {
            "key": "s",
            "name": "S",
            "rule": {},
            "created_at": now,
            "updated_at": now,
            "description": "",
            "drifts": False,
            "members_count": 1,
        }
        segment = session.execute(sa.insert(segments).values(new).returning(segments.c.id)).scalar_one()
        session.execute(sa.insert(table("segment_members")).values(segment_id=segment, lead_id=ids[1], joined_at=now))
    client = sign_in("viewer")

    def names(query: str) -> list[str]:
        page = client.get(f"/leads?{query}").text.partition("<tbody")[2]  # a token above it may hold any two letters
        return sorted((n for n in ("Maria", "Bo Ä", "Cy") if n in page), key=page.index)

    assert names("q=keller+NORD") == ["Maria"]
    assert names("q=100%25") == ["Bo Ä"]
    assert names("q=ärmel") == ["Bo Ä"]
    assert names("q=nobody") == []
    assert names("tag=vip") == ["Maria"]
    assert names("stage=mql") == ["Cy"]
    assert names("temperature=hot") == ["Cy"]
    assert names("segment=s") == ["Bo Ä"]
    assert names("segment=unknown") == []
    assert names("sort=-score")[0] == "Cy"
    assert names("sort=name")[0] == "Maria"
    assert names("sort=nonsense&stage=nonsense&owner=none") == names("")


@pytest.mark.parametrize("sort", ["-created", "name", "-score", "seen", "-seen"])
def test_every_lead_is_on_exactly_one_page(database: Database, now: datetime, sort: str) -> None:
    with database.write() as session:
        rows = [
            {"email": f"l{i}@x.example", "last_name": f"N{i % 7}", "at": now - timedelta(hours=i % 5)}
            for i in range(120)
        ]
        ids = creating.create_many(session, rows, source="T", at=now)
        session.execute(sa.update(Lead).where(Lead.id % 3 == 0).values(last_seen_at=now))
    wanted = listing.Wanted(sort=sort)
    seen: list[int] = []
    cursor = None
    with database.read() as session:
        for _ in range(20):
            keys = [paging.Key(column, is_descending) for column, is_descending in listing.order(wanted)]
            page = paging.fetch(session, listing.query(session, wanted), keys, cursor, size=25)
            seen += [row[0].id for row in page.rows]
            cursor = page.next
            if cursor is None:
                break
    assert sorted(seen) == sorted(ids)


def test_the_list_seeks_its_page_by_index(sqlite_database: Database, now: datetime) -> None:
    """No sort order may read the whole table: at a million leads that is a second, not a millisecond."""
    with sqlite_database.read() as session:
        for sort in ("-created", "name", "-score", "-seen"):
            wanted = listing.Wanted(sort=sort)
            keys = [paging.Key(column, is_descending) for column, is_descending in listing.order(wanted)]
            query = listing.query(session, wanted).order_by(
                *(k.column.desc() if k.is_descending else k.column for k in keys)
            )
            text = query.limit(50).compile(session.connection(), compile_kwargs={"literal_binds": True})
            plan = " ".join(str(row) for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))
            assert "TEMP B-TREE" not in plan, (sort, plan)


def test_the_profile_is_edited_in_place(sign_in: SignIn, sqlite_database: Database, now: datetime) -> None:
    with sqlite_database.write() as session:
        fields.declare(session, label="Trial", kind="switch")
        fields.declare(session, label="Seats", kind="number")
    lead_id = make(sqlite_database, now)
    client = sign_in("marketer")
    assert 'value="Maria"' in client.get(f"/leads/{lead_id}/profile/form", headers=PARTIAL).text
    data = {"first_name": "Mary", "seats": "12", "trial_shown": "1", "trial": "yes", "owner_id": str(client.user_id)}
    answer = client.post(f"/leads/{lead_id}/profile", data=data, headers=PARTIAL)
    assert answer.status_code == 200
    assert 'id="lead-profile-' in answer.text
    with sqlite_database.read() as session:
        lead = session.get_one(Lead, lead_id)
        assert (lead.first_name, lead.last_name, lead.owner_id) == ("Mary", "Keller", client.user_id)
        assert lead.fields == {"seats": 12, "trial": True}
    bad = client.post(f"/leads/{lead_id}/profile", data={"seats": "many", "first_name": "Kept"}, headers=PARTIAL)
    assert bad.status_code == 422
    assert "not a number" in bad.text
    assert 'value="Kept"' in bad.text
    assert client.get(f"/leads/{lead_id}").text.count("Name changed") == 0
    assert "First name changed from Maria to Mary" in client.get(f"/leads/{lead_id}").text


def test_tags_and_notes_come_and_go(sign_in: SignIn, sqlite_database: Database, now: datetime) -> None:
    lead_id = make(sqlite_database, now)
    client = sign_in("sales")
    assert "VIP" in client.post(f"/leads/{lead_id}/tags", data={"tag": "VIP"}, headers=PARTIAL).text
    assert client.post(f"/leads/{lead_id}/tags", data={"tag": "!!"}, headers=PARTIAL).status_code == 422
    assert "tag-remove" not in client.delete(f"/leads/{lead_id}/tags/vip", headers=PARTIAL).text
    client.post(f"/leads/{lead_id}/notes", data={"text": "Call <back>\nsoon"}, headers=PARTIAL)
    page = client.get(f"/leads/{lead_id}?tab=notes").text
    assert "Call &lt;back&gt;\nsoon" in page
    with sqlite_database.read() as session:
        note = session.scalars(sa.select(Note)).one()
    removed = client.delete(f"/leads/{lead_id}/notes/{note.id}?tab=notes", headers=PARTIAL)
    assert "Undo" in removed.text
    client.post(
        f"/leads/{lead_id}/notes/{note.id}", data={"text": note.text, "at": note.at.isoformat()}, headers=PARTIAL
    )
    with sqlite_database.read() as session:
        back = session.scalars(sa.select(Note)).one()
        assert (back.id, back.text, back.at) == (note.id, note.text, note.at)
    assert client.post(f"/leads/{lead_id}/notes", data={"text": " "}, headers=PARTIAL).status_code == 422


def test_the_story_tells_what_happened_with_points_and_visits_together(
    sign_in: SignIn, sqlite_database: Database, now: datetime
) -> None:
    lead_id = make(sqlite_database, now)
    with sqlite_database.write() as session:
        for minute, path in enumerate(["/pricing", "/contact"]):
            at = now + timedelta(minutes=minute)
            recording.record(session, kind="page_viewed", identity_id=lead_id, subject=path, at=at)
            recording.record(
                session, kind="time_spent", identity_id=lead_id, subject=path, at=at, props={"seconds": 130}
            )
        clicked = recording.record(
            session,
            kind="email_clicked",
            identity_id=lead_id,
            subject="welcome",
            at=now + timedelta(hours=2),
            props={"label": "Read <more>"},
        )
        new = {
            "key": "welcome",
            "name": "Welcome: your guide",
            "draft": {},
            "created_at": now,
            "updated_at": now,
            "purpose": "marketing",
        }
        session.execute(sa.insert(table("mails")).values(new))
        entry = {
            "lead_id": lead_id,
            "dimension": "interest",
            "points": 15,
            "reason": "Clicked",
            "event_id": clicked,
            "rule_key": "c",
            "at": now,
        }
        session.execute(sa.insert(table("score_entries")).values(entry))
        noting.add(session, lead_id, None, "Nice", at=now + timedelta(hours=3))
    page = sign_in("viewer").get(f"/leads/{lead_id}").text
    assert "Viewed 2 pages" in page
    assert "2 min 10 s" in page
    assert "Clicked in “Welcome: your guide”" in page
    assert "+15" in page
    assert "Read &lt;more&gt;" in page
    assert (
        page.index("Note by a campaign")
        < page.index("Clicked in")
        < page.index("Viewed 2 pages")
        < page.index("Became known")
    )


def test_a_long_story_goes_on(sign_in: SignIn, sqlite_database: Database, now: datetime) -> None:
    lead_id = make(sqlite_database, now)
    with sqlite_database.write() as session:
        for day in range(150):
            recording.record(
                session, kind="custom", identity_id=lead_id, subject=f"thing_{day:03}", at=now - timedelta(days=day)
            )
    client = sign_in("viewer")
    text = page = client.get(f"/leads/{lead_id}").text
    for _ in range(5):
        if 'hx-get="/leads/' not in page or "before=" not in page:
            break
        link = page.split('id="timeline-more"')[1].split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
        page = client.get(link, headers=PARTIAL).text
        text += page
    assert all(f"Thing {day:03}" in text for day in range(150))


def test_companies_fields_and_tags_have_their_pages(sign_in: SignIn, sqlite_database: Database, now: datetime) -> None:
    lead_id = make(sqlite_database, now, company_name="Nordhafen AG", company_size="220")
    client = sign_in("administrator")
    assert "Nordhafen AG" in client.get("/companies?q=nord").text
    with sqlite_database.read() as session:
        company = session.scalars(sa.select(Company)).one()
    assert "Maria Keller" in client.get(f"/companies/{company.id}").text
    assert client.post(f"/companies/{company.id}", data={"name": "", "size": "x"}).status_code == 422
    assert (
        client.post(
            f"/companies/{company.id}", data={"name": "Nordhafen SE", "domain": "nordhafen.example", "size": "300"}
        ).status_code
        == 303
    )
    assert client.post("/companies", data={"name": "Other", "domain": "https://nordhafen.example/"}).status_code == 422
    assert (
        client.post("/leads/fields", data={"label": "Plan", "kind": "choice", "choices": "Basic\nPro"}).status_code
        == 303
    )
    assert client.post("/leads/fields", data={"label": "Plan", "kind": "text"}).status_code == 422
    assert client.post("/leads/fields", data={"label": "Email", "kind": "text"}).status_code == 422
    with sqlite_database.read() as session:
        field = session.scalars(sa.select(LeadField)).one()
    client.post(f"/leads/fields/{field.id}/archive")
    assert "Archived" in client.get("/leads/fields").text
    client.post("/leads/tags/new", data={"name": "Fair"})
    client.post("/leads/tags", data={"tag": "Fair", "lead": [str(lead_id)]})
    assert "Fair" in client.get("/leads/tags").text
    with sqlite_database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(LeadTag)) == 1
        assert session.scalars(sa.select(Tag.key)).all() == ["fair"]
    assert client.post("/leads/tags", data={"tag": "Fair"}).status_code == 422


def test_the_export_is_defused(sign_in: SignIn, sqlite_database: Database, now: datetime) -> None:
    make(sqlite_database, now, first_name="=cmd|' /C calc'!A0", job_title="-5", last_name="+SUM(A1)")
    text = sign_in("viewer").get("/leads/export.csv").text
    assert "'=cmd" in text
    assert "'+SUM" in text
    assert ",-5," in text


@pytest.mark.parametrize(
    "path",
    ["/leads/99999999999999999999", "/leads/999", "/companies/99999999999999999999", "/leads/imports/9", "/leads?owner=²",
     "/leads?after=nonsense&sort=name", "/leads?company=99999999999999999999999", "/leads/1?before=x~y", "/leads?q=%00"],
)  # fmt: skip
def test_addresses_that_make_no_sense_end_in_a_page(sign_in: SignIn, path: str) -> None:
    assert sign_in("administrator").get(path).status_code in {200, 404}


def wait(client: FlaskClient, path: str) -> str:
    for _ in range(100):
        page = client.get(path).text
        if "every 1s" not in page:
            return page
        time.sleep(0.1)
    raise AssertionError("The import never ended.")


def test_a_file_is_uploaded_matched_and_brought_in(sign_in: SignIn, sqlite_database: Database) -> None:
    client = sign_in("marketer")
    content = b"E-Mail;Vorname\nana@x.example;Ana\nbad;Bo\nANA@x.example;Ana\n"
    answer = client.post("/leads/imports", data={"file": (io.BytesIO(content), "../../<fair>.csv")})
    page = client.get(answer.location).text
    assert "&lt;fair&gt;.csv" in page
    assert "1 new lead" in page and "1 row repeats" in page and "As row 2" in page
    assert "not a mail address" in page
    form = {
        "column": ["E-Mail", "Vorname"],
        "field-0": "email",
        "field-1": "last_name",
        "tags": "Fair",
        "has_header": "yes",
    }
    assert "selected" in client.post(answer.location + "/preview", data=form, headers=PARTIAL).text
    without_proof = client.post(answer.location + "/run", data={**form, "topic": "news"})
    assert without_proof.status_code == 422
    assert "consent without proof" in without_proof.text
    client.post(answer.location + "/run", data=form)
    page = wait(client, answer.location)
    assert "Refused rows" in page and "1 row repeats a lead of the same file" in page
    assert 'href="/leads?tag=fair"' in page
    assert "not a mail address" in client.get(answer.location + "/refused.csv").text
    with sqlite_database.read() as session:
        assert session.scalars(sa.select(Lead.last_name)).all() == ["Ana"]
        row = session.scalars(sa.select(Import)).one()
        assert (row.state, row.done_count, row.created_count, row.refused_count, row.repeated_count) == (
            "done",
            3,
            1,
            1,
            1,
        )
    assert "fair" in client.get("/leads/imports").text


def test_a_file_that_is_none_is_refused_and_not_kept(sign_in: SignIn, app: object) -> None:
    client = sign_in("marketer")
    refused = client.post("/leads/imports", data={"file": (io.BytesIO(b""), "empty.csv")})
    assert refused.status_code == 422
    assert "empty" in refused.text
    folder = app.extensions["trellis"].config.data / "uploads"  # type: ignore[attr-defined]
    assert list(folder.iterdir()) == []
    assert client.post("/leads/imports", data={}).status_code == 422
    assert sign_in("sales").get("/leads/imports").status_code == 403


def test_mails_show_the_subject_that_was_read_and_only_sent_ones_count(
    sign_in: SignIn, sqlite_database: Database, now: datetime
) -> None:
    lead_id = make(sqlite_database, now)
    subject = '{{ lead.first_name | default("Hello") }}, good to meet you'
    with sqlite_database.write() as session:
        mail = making.make_mail(session, now, subject=subject)
        shared = {"lead_id": lead_id, "mail_id": mail.id, "mail_version_id": mail.version_id}
        shared |= {"created_at": now, "not_before": now}
        values = {"values": {"lead": {"first_name": "Grace"}}}
        session.add(Message(key="1", state="sent", inputs=values, **shared))
        session.add(Message(key="2", state="not_sent", reason="no_consent", **shared))
    page = sign_in("viewer").get(f"/leads/{lead_id}?tab=emails").text
    assert "Grace, good to meet you" in page and "{{" not in page
    assert 'Emails <span class="tab-count">1</span>' in page


def test_a_score_changes_by_what_its_caps_leave_of_the_points(database: Database, now: datetime) -> None:
    entries = table("score_entries")
    with database.write() as session:
        [lead_id] = creating.create_many(session, [{"email": "ana@x.example"}], source="Test", at=now)
        given = [("fit", 50, 20), ("fit", -25, 1), ("interest", 55, 20), ("interest", 30, 1)]  # caps are 40 and 60
        lines = [
            {"lead_id": lead_id, "dimension": part, "points": points, "reason": "-", "at": now - timedelta(days=days)}
            for part, points, days in given
        ]
        session.execute(sa.insert(entries), lines)
        told = queries.score(session, session.get_one(Lead, lead_id), now)
    assert told.this_week == (25 - 40) + (60 - 55)
