"""Files come in whatever people bring; what is good comes in once, what is bad comes back with its reason."""

import csv
import io
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.db import Database, table
from app.leads import creating, fields, finding, importing, merging, planning, reading
from app.leads.exporting import csv_lines
from app.leads.models import Import, ImportRefusal, Lead, LeadTag, Tag
from app.leads.planning import Options, Report
from app.leads.values import BadValue
from app.preferences import consenting
from app.preferences.models import Topic

Bring = Callable[..., Report]

HEADER = "E-Mail;Vorname;Nachname;Firma;Land"
ROWS = ["maria@x.example;Maria;Müller;Nordhafen AG;Schweiz", "jürg@y.example;Jürg;Weiß;Alpenblick;DE"]


@pytest.fixture
def bring(database: Database, tmp_path: Path, now: datetime) -> Bring:
    """Import the given bytes or text with guessed columns."""

    def run(
        content: str | bytes, mapping: dict[str, str] | None = None, name: str = "fair.csv", **options: object
    ) -> Report:
        path = tmp_path / "upload"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        chosen = Options.read(options)
        known = planning.open_file(path, chosen)
        with database.write() as session:
            guessed = mapping or planning.guess(session, known)
            planning.check_mapping(session, known, guessed)
            row = importing.start(session, name, "x", rows=known.count(), user_id=None, at=now)
            assert importing.begin(session, row.id, known.columns, guessed, chosen)
        return importing.run(database, row.id, path, at=now)

    return run


def leads(database: Database) -> dict[str, Lead]:
    with database.read() as session:
        return {lead.canonical_email or "": lead for lead in session.scalars(sa.select(Lead).order_by(Lead.id))}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1", "mac_roman"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_encodings_and_separators_are_found_out(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "f"
    rows = [HEADER, *ROWS, *(f"l{i}@z.example;Zoë;Größe;Café Größenwahn;Österreich" for i in range(20))]
    path.write_bytes("\r\n".join(rows).replace(";", delimiter).encode(encoding))
    found = reading.understand(path)
    assert found.columns == ("E-Mail", "Vorname", "Nachname", "Firma", "Land")
    assert found.delimiter == delimiter
    if encoding != "mac_roman":  # too rare to be told from cp1252 for sure; the page lets people choose
        assert next(iter(found.rows())) == (2, ["maria@x.example", "Maria", "Müller", "Nordhafen AG", "Schweiz"])


def test_columns_are_guessed_and_leads_made(bring: Bring, database: Database) -> None:
    report = bring("\n".join([HEADER, *ROWS]))
    assert (report.created, report.updated, report.refused) == (2, 0, 0)
    maria = leads(database)["maria@x.example"]
    assert (maria.first_name, maria.last_name, maria.company_name, maria.country) == (
        "Maria",
        "Müller",
        "Nordhafen AG",
        "CH",
    )
    assert maria.company_id is not None
    assert maria.source == "Import: fair.csv"


def test_a_file_without_column_names_is_understood(bring: Bring, database: Database) -> None:
    report = bring("a@x.example,Ana\nb@x.example,Bo\n")
    assert report.created == 2
    assert set(leads(database)) == {"a@x.example", "b@x.example"}


def test_columns_of_the_same_name_stay_apart(tmp_path: Path, bring: Bring, database: Database) -> None:
    path = tmp_path / "f"
    path.write_text("Email,Name,Email,,NAME\na@x.example,Ana,b@x.example,1,Mota\n")
    assert reading.understand(path).columns == ("Email", "Name", "Email (2)", "Column 4", "NAME (2)")
    mapping = {"Email": "", "Name": "first_name", "Email (2)": "email", "NAME (2)": "last_name"}
    bring(path.read_text(), mapping)
    assert leads(database)["b@x.example"].last_name == "Mota"


def test_quotes_line_ends_in_cells_and_ragged_rows(bring: Bring, database: Database) -> None:
    text = 'email,first name,city\na@x.example,"An""a, the ""1st""","Zürich\nWest"\nb@x.example,Bo\nc@x.example,Cy,Bern,extra\nd@x.example,Di,Bern,\n\n'
    report = bring(text)
    found = leads(database)
    assert (found["a@x.example"].first_name, found["a@x.example"].city) == ('An"a, the "1st"', "Zürich West")
    assert set(found) == {"a@x.example", "b@x.example", "d@x.example"}
    assert report.refusals == [
        {"row": 4, "reason": "The row has 4 cells, but there are 3 columns; quote cells that hold the separator."}
    ]


def test_bad_rows_come_back_with_their_reasons_and_the_good_ones_stay(bring: Bring, database: Database) -> None:
    text = "email,country,phone\n" + "\n".join(
        [
            "good@x.example,CH,",
            "not an address,CH,",
            ",CH,",
            "b@x.example,Atlantis,",
            "c@x.example,CH,abc",
            "good2@x.example,,+41 44 668 18 00",
        ]
    )
    report = bring(text)
    assert (report.created, report.refused) == (2, 4)
    assert [r["row"] for r in report.refusals] == [3, 4, 5, 6]
    assert "Atlantis" in report.refusals[2]["reason"]
    with database.read() as session:
        lines = "".join(csv_lines(importing.refused_rows(session, 1)))
        assert session.get_one(Import, 1).refused_count == 4
    rows = list(csv.reader(io.StringIO(lines.lstrip("\ufeff"))))
    assert rows[0] == ["email", "country", "phone", "Row", "Why it was refused"]
    assert rows[1][:3] == ["not an address", "CH", ""]
    assert "not a mail address" in rows[1][4]


def test_one_address_is_one_lead_within_the_file_and_against_those_there(
    bring: Bring, database: Database, now: datetime
) -> None:
    with database.write() as session:
        creating.create(session, email="known@x.example", source="Form", at=now, first_name="Old")
    report = bring("email,first name,city\nKnown@X.example,New,\nnew@x.example,One,\nNEW@x.example,,Bern\n")
    assert (report.rows, report.created, report.updated, report.repeated) == (3, 1, 1, 1)
    found = leads(database)
    assert set(found) == {"known@x.example", "new@x.example"}
    assert found["known@x.example"].first_name == "New"
    assert (found["new@x.example"].first_name, found["new@x.example"].city) == ("One", "Bern")


def test_do_not_overwrite_fills_only_what_is_empty(bring: Bring, database: Database, now: datetime) -> None:
    with database.write() as session:
        creating.create(session, email="known@x.example", source="Form", at=now, first_name="Old")
    bring("email,first name,city\nknown@x.example,New,Bern\n", overwrite=False)
    lead = leads(database)["known@x.example"]
    assert (lead.first_name, lead.city) == ("Old", "Bern")


def test_empty_cells_never_empty_a_field(bring: Bring, database: Database, now: datetime) -> None:
    with database.write() as session:
        creating.create(session, email="known@x.example", source="Form", at=now, first_name="Old")
    bring("email,first name\nknown@x.example,\n")
    assert leads(database)["known@x.example"].first_name == "Old"


def test_a_merged_address_completes_the_survivor(bring: Bring, database: Database, now: datetime) -> None:
    with database.write() as session:
        kept = creating.create(session, email="a@x.example", source="Form", at=now)
        gone = creating.create(session, email="b@x.example", source="Form", at=now)
        merging.merge(session, kept.id, gone.id, user_id=None, at=now)
    report = bring("email,city\nb@x.example,Bern\n")
    assert (report.created, report.updated) == (0, 1)
    assert leads(database)["a@x.example"].city == "Bern"


def test_hostile_cells_are_text(bring: Bring, database: Database) -> None:
    evil = [
        '=HYPERLINK("http://evil.example")',
        "<script>alert(1)</script>",
        "Ann\r\nBcc: x@y.example",
        "{{7*7}}",
        "a\x00b\u202ec",
    ]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["email", "first name"])
    for number, text in enumerate(evil):
        writer.writerow([f"e{number}@x.example", text])
    assert bring(out.getvalue()).created == len(evil)
    names = [lead.first_name for lead in leads(database).values()]
    assert names == [
        '=HYPERLINK("http://evil.example")',
        "<script>alert(1)</script>",
        "Ann Bcc: x@y.example",
        "{{7*7}}",
        "abc",
    ]
    exported = "".join(csv_lines([[n] for n in names]))
    assert "'=HYPERLINK" in exported


def test_tags_owner_consent_and_custom_fields_come_along(bring: Bring, database: Database, now: datetime) -> None:
    with database.write() as session:
        fields.declare(session, label="Seats", kind="number")
        session.add(Topic(key="news", name="News"))
        left = creating.create(session, email="left@x.example", source="Form", at=now)
        session.flush()
        consenting.withdraw(session, sa.select(Lead.id).where(Lead.id == left.id), None, source="Page", at=now)
    text = 'email,seats,tags\na@x.example,12,"Fair, VIP"\nleft@x.example,3,\n'
    report = bring(text, tags=["Basel 2026"], topic="news", consent_source="Paper form", wording="Yes, send me news")
    assert (report.created, report.updated, report.refused) == (1, 1, 0)
    with database.read() as session:
        lead = finding.by_email(session, "a@x.example")
        assert lead is not None
        assert lead.fields == {"seats": 12}
        tags = session.scalars(
            sa.select(Tag.key).join(LeadTag).where(LeadTag.lead_id == lead.id).order_by(Tag.key)
        ).all()
        assert tags == ["basel-2026", "fair", "vip"]
        rows = session.execute(sa.select(table("subscriptions").c.lead_id, table("subscriptions").c.state)).all()
        states = {row.lead_id: row.state for row in rows}
        assert states[lead.id] == "given"
        assert states[left.id] == "withdrawn"
        proof = session.execute(sa.select(table("consents")).where(table("consents").c.lead_id == lead.id)).one()
        assert (proof.source, proof.wording) == ("Paper form", "Yes, send me news")


def test_a_cancelled_import_keeps_what_it_did_and_can_say_where_it_stopped(
    database: Database, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "BATCH", 10)
    path = tmp_path / "f"
    path.write_text("email\n" + "".join(f"l{i}@x.example\n" for i in range(35)))
    known = planning.open_file(path, Options())
    with database.write() as session:
        row = importing.start(session, "f.csv", "x", rows=35, user_id=None, at=now)
        importing.begin(session, row.id, known.columns, {"email": "email"}, Options())
    batches = planning.batches

    def cancelled_after_two(rows: Iterator[planning.Row]) -> Iterator[list[planning.Row]]:
        for number, batch in enumerate(batches(rows)):
            if number == 2:
                with database.write() as other:
                    assert importing.cancel(other, row.id, at=now)
            yield batch

    monkeypatch.setattr(planning, "batches", cancelled_after_two)
    importing.run(database, row.id, path, at=now)
    with database.read() as session:
        kept = session.get_one(Import, row.id)
        assert (kept.state, kept.done_count, kept.created_count) == ("cancelled", 20, 20)
    assert len(leads(database)) == 20


def test_an_interrupted_import_goes_on_where_it_stopped(
    database: Database, tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "BATCH", 10)
    path = tmp_path / "f"
    path.write_text("email\n" + "".join(f"l{i}@x.example\n" for i in range(35)) + "bad\n")
    known = planning.open_file(path, Options())
    with database.write() as session:
        row = importing.start(session, "f.csv", "x", rows=36, user_id=None, at=now)
        importing.begin(session, row.id, known.columns, {"email": "email"}, Options())
    carry_out, calls = importing.carry_out, []

    def break_once(*args: object, **kwargs: object) -> tuple[int, int]:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return carry_out(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(importing, "carry_out", break_once)
    with pytest.raises(KeyboardInterrupt):
        importing.run(database, row.id, path, at=now)
    importing.run(database, row.id, path, at=now)
    with database.read() as session:
        kept = session.get_one(Import, row.id)
        assert (kept.state, kept.done_count, kept.created_count, kept.refused_count) == ("done", 36, 35, 1)
        assert session.scalars(sa.select(ImportRefusal.row_number)).all() == [37]
    assert len(leads(database)) == 35


def test_a_dry_run_changes_nothing(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("email\na@x.example\nA@x.example\nbad\n")
    known = planning.open_file(path, Options())
    with database.read() as session:
        report = planning.dry_run(session, known, {"email": "email"}, Options())
    assert (report.rows, report.created, report.refused) == (3, 1, 1)
    assert leads(database) == {}


def sheet(rows: list[list[object]]) -> bytes:
    """The smallest .xlsx there is."""
    cells = "".join(
        "<row>"
        + "".join(
            f"<c><v>{v}</v></c>" if isinstance(v, (int, float)) else f'<c t="inlineStr"><is><t>{v}</t></is></c>'
            for v in row
        )
        + "</row>"
        for row in rows
    )
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        file.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        file.writestr(
            "xl/workbook.xml",
            f'<workbook {main} xmlns:r="{relations}"><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        )
        file.writestr("xl/worksheets/sheet1.xml", f"<worksheet {main}><sheetData>{cells}</sheetData></worksheet>")
    return packed.getvalue()


def test_a_spreadsheet_is_told_by_its_content(bring: Bring, database: Database) -> None:
    with database.write() as session:
        fields.declare(session, label="Seats", kind="number")
    report = bring(
        sheet([["Email", "First name", "Seats"], ["a@x.example", "Ana", 12], ["bad", "", 1.5]]), name="leads.csv"
    )
    assert (report.created, report.refused) == (1, 1)
    assert leads(database)["a@x.example"].fields == {"seats": 12}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n\n  \n", "no rows"),
        (b"\x00\x01\x02binary\xff" * 50, "not a text file"),
        (b"PK\x03\x04 not a zip", "damaged"),
        (b"\xd0\xcf\x11\xe0 not a sheet", "cannot be read"),
        ((",".join(f"c{i}" for i in range(300)) + "\n").encode() * 2, "200 columns"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_ends_in_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(reading.BadFile, match=words):
        reading.understand(path)


def test_a_packed_file_and_a_bomb_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("leads.csv", "email\n")
    with pytest.raises(reading.BadFile, match="unpack it"):
        reading.understand(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/workbook.xml", "")
        file.writestr("xl/worksheets/sheet1.xml", b"0" * (reading.LARGEST_UNPACKED + 1))
    with pytest.raises(reading.BadFile, match="unpacks to more"):
        reading.understand(path)


def test_an_open_quote_ends_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text('email,name\na@x.example,"Ana\n' + "b@x.example,Bo\n" * 20_000)
    with pytest.raises(reading.BadFile, match="quote is opened"):
        list(reading.understand(path).rows())


@pytest.mark.parametrize(
    ("mapping", "words"),
    [({"a": "first_name"}, "No column is mapped to Email"), ({"a": "email", "b": "email"}, "Two columns"), ({"a": "email", "b": "shoe"}, "no field"), ({"x": "email"}, "no column")],
)  # fmt: skip
def test_a_mapping_that_cannot_work_is_refused(
    database: Database, tmp_path: Path, mapping: dict[str, str], words: str
) -> None:
    path = tmp_path / "f"
    path.write_text("a,b\na@x.example,1\n")
    with database.read() as session, pytest.raises(BadValue, match=words):
        planning.check_mapping(session, reading.understand(path), mapping)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_any_bytes_end_in_rows_or_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    try:
        known = reading.understand(path)
        for _, cells in known.rows():
            assert all(isinstance(cell, str) for cell in cells)
    except reading.BadFile as problem:
        assert str(problem).endswith(".")
