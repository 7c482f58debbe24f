"""The pages that bring a file of leads in: upload, match its columns, look at what would happen, run, read the report."""

from __future__ import annotations

import secrets
import threading
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, abort, render_template, request, url_for

from app import clock
from app.accounts import auditing
from app.accounts.guards import allow, current_user
from app.db import Database, table
from app.leads import exporting, fields, guessing, importing, planning, reading, values
from app.leads.models import Import, ImportRefusal
from app.web import Refused, database, htmx, session, settings

blueprint = Blueprint("leads_imports", __name__)

CHANGERS = ("administrator", "marketer")
SHOWN = 12
CHECKED = 1000
_running: set[int] = set()


@blueprint.get("/leads/imports")
@allow(*CHANGERS)
def index() -> str:
    rows = session().scalars(sa.select(Import).order_by(Import.id.desc()).limit(30)).all()
    return render_template("leads/imports.html", rows=rows)


@blueprint.post("/leads/imports")
@allow(*CHANGERS)
def upload() -> Any:
    given = request.files.get("file")
    if given is None or not given.filename:
        raise Refused("Choose a CSV or Excel file first.")
    stored = secrets.token_urlsafe(24)
    path = _folder() / stored
    given.save(path)
    try:
        rows = reading.understand(path).count()
        if not rows:
            raise reading.BadFile("The file has column names but no rows; export it again with its rows.")
    except (reading.BadFile, OSError) as problem:
        path.unlink(missing_ok=True)
        raise Refused(str(problem)) from None
    for abandoned in importing.forget_abandoned(session(), clock.now()):
        (_folder() / abandoned).unlink(missing_ok=True)
    name = values.clean(Path(given.filename.replace("\\", "/")).name) or "file"
    row = importing.start(session(), name, stored, rows=rows, user_id=current_user.id, at=clock.now())
    return htmx.redirect(url_for("leads_imports.show", import_id=row.id))


@blueprint.get("/leads/imports/<int:import_id>")
@allow(*CHANGERS)
def show(import_id: int) -> Any:
    row = _found(import_id)
    if row.state == "uploaded":
        return _matching(row, None, planning.Options(), [])
    if htmx.is_fragment():
        return render_template("leads/_import_progress.html", row=row, **_progress(row))
    return render_template("leads/import.html", row=row, **_progress(row))


@blueprint.post("/leads/imports/<int:import_id>/preview")
@allow(*CHANGERS)
def preview(import_id: int) -> Any:
    """The mapping as chosen so far, and what it would do with the first rows."""
    row = _found(import_id)
    if row.state != "uploaded":
        return htmx.redirect(url_for("leads_imports.show", import_id=import_id))
    return _matching(row, _chosen(), _options(), [], is_answer=True)


@blueprint.post("/leads/imports/<int:import_id>/run")
@allow(*CHANGERS)
def run(import_id: int) -> Any:
    """Begin, or go on where a restart stopped it; the work goes on behind the page."""
    copy, user_id = database(), current_user.id
    with copy.read() as reading_session:
        row = reading_session.get(Import, import_id) or abort(404)
    path = _folder() / row.stored_name
    if row.state in {importing.RUNNING, importing.FAILED} and row.mapping:
        if not path.exists():
            raise Refused("The file is gone; bring it again.")
        if row.state == importing.FAILED:
            with copy.write() as writing:
                importing.begin(
                    writing, import_id, row.options.get("columns", []), row.mapping, planning.Options.read(row.options)
                )
    else:
        options, mapping = _options(), _chosen()
        problem = _begin(copy, row, path, mapping, options, user_id)
        if problem:
            return _matching(row, mapping, options, [problem]), 422
    _start(copy, import_id, path)
    return htmx.redirect(url_for("leads_imports.show", import_id=import_id))


@blueprint.delete("/leads/imports/<int:import_id>/run")
@allow(*CHANGERS)
def cancel(import_id: int) -> Response:
    row = _found(import_id)
    if importing.cancel(session(), import_id, at=clock.now()):
        htmx.toast(
            "Stopped. What was brought in so far stays." if row.done_count else "The import was dropped.", "info"
        )
        if import_id not in _running:
            (_folder() / row.stored_name).unlink(missing_ok=True)
    if row.done_count:
        return htmx.redirect(url_for("leads_imports.show", import_id=import_id))
    return htmx.redirect(url_for("leads_imports.index"))


@blueprint.get("/leads/imports/<int:import_id>/refused.csv")
@allow(*CHANGERS)
def refused(import_id: int) -> Response:
    _found(import_id)
    copy = database()

    def lines() -> Any:
        with copy.read() as reading_session:
            yield from exporting.csv_lines(importing.refused_rows(reading_session, import_id))

    response = Response(lines(), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="refused-{import_id}.csv"'
    return response


def _begin(
    copy: Database, row: Import, path: Path, mapping: dict[str, str], options: planning.Options, user_id: int
) -> str:
    """The sentence that stands against running, or nothing."""
    try:
        with copy.write() as writing:
            known = planning.open_file(path, options)
            planning.check_mapping(writing, known, mapping)
            importing.check_campaign(writing, options)
            if options.topic and not options.consent_source:
                raise values.BadValue(
                    "Say where these people agreed, for example “Fair Basel, paper form”; consent without proof does not count."
                )
            if not importing.begin(writing, row.id, known.columns, mapping, options):
                return "This import is over; bring the file again."
            auditing.note(
                writing,
                user_id,
                "imported leads",
                "import",
                str(row.id),
                {"file": row.file_name, "rows": row.rows_count},
            )
    except (values.BadValue, reading.BadFile) as problem:
        return str(problem)
    except OSError:
        return "The file is gone; bring it again."
    return ""


def _start(copy: Database, import_id: int, path: Path) -> None:
    if import_id in _running:
        return
    _running.add(import_id)

    def work() -> None:
        try:
            importing.run(copy, import_id, path)
            with copy.read() as reading_session:
                is_over = reading_session.get_one(Import, import_id).state in {importing.DONE, importing.CANCELLED}
            if is_over:
                path.unlink(missing_ok=True)
        finally:
            _running.discard(import_id)

    threading.Thread(target=work, name=f"import-{import_id}", daemon=True).start()


def _matching(
    row: Import,
    mapping: dict[str, str] | None,
    options: planning.Options,
    errors: list[str],
    *,
    is_answer: bool = False,
) -> str:
    path = _folder() / row.stored_name
    with database().read() as looking:
        try:
            known = planning.open_file(path, options)
        except (reading.BadFile, OSError) as problem:
            raise Refused(
                str(problem) if isinstance(problem, reading.BadFile) else "The file is gone; bring it again."
            ) from None
        guessed = planning.guess(looking, known)
        kept = {column: (mapping or {}).get(column, guessed[column]) for column in known.columns}
        rows = list(islice(known.rows(), CHECKED))
        checked = None
        try:
            planning.check_mapping(looking, known, kept)
            checked = planning.plan(looking, known, kept, rows, options)
        except values.BadValue as problem:
            errors = errors or [problem.sentence]
        topics = [tuple(r) for r in looking.execute(sa.select(table("topics").c.key, table("topics").c.name))]
        campaigns = list(importing.campaigns(looking).items())
        custom = [(name, field.label) for name, field in fields.declared(looking).items()]
    page = "leads/_import_matching.html" if is_answer and htmx.is_fragment() else "leads/import_matching.html"
    notes = dict(checked.rows) if checked else {}
    return render_template(
        page, row=row, known=known, mapping=kept, options=options, errors=errors, topics=topics, campaigns=campaigns,
        choices=[("About the lead", [(n, label) for n, (label, _) in fields.CORE.items()]), ("Your own fields", custom), ("More", list(guessing.EXTRA.items()))],
        sample=[(n, cells, notes.get(n, "")) for n, cells in rows[:SHOWN]],
        problems=[(n, why) for n, why, _ in checked.refusals[:SHOWN]] if checked else [],
        outcome=_outcome(checked, len(rows)) if checked else None,
        encodings=["utf-8", "cp1252", "cp1250", "cp1251", "utf-16", "mac_roman", "shift_jis", "gb18030"],
        examples={column: _examples(rows, place) for place, column in enumerate(known.columns)},
    )  # fmt: skip


def _examples(rows: list[planning.Row], place: int) -> str:
    cells = (cells[place].strip() for _, cells in rows if place < len(cells))
    found = list(dict.fromkeys(cell[:40] for cell in islice((c for c in cells if c), 8)))
    return ", ".join(found[:3])


def _outcome(made: planning.Plan, rows: int) -> dict[str, int]:
    return {
        "rows": rows,
        "new": len(made.creates),
        "known": len(made.updates),
        "refused": len(made.refusals),
        "repeated": len(made.repeats),
    }


def _chosen() -> dict[str, str]:
    """column -> field, as the form says (its columns are numbered, since their names may be anything)."""
    columns = request.form.getlist("column")
    return {column: request.form.get(f"field-{place}", "") for place, column in enumerate(columns)}


def _options() -> planning.Options:
    form = request.form
    header = {"yes": True, "no": False}.get(form.get("has_header", ""))
    return planning.Options(
        overwrite=form.get("existing", "overwrite") != "fill",
        tags=tuple(tag.strip()[:60] for tag in form.get("tags", "").split(",") if fields.slug(tag))[:20],
        topic=form.get("topic", ""),
        consent_source=values.clean(form.get("consent_source", ""))[:200],
        wording=values.clean(form.get("wording", ""), lines=True)[:5000],
        encoding=form.get("encoding", "")[:40],
        has_header=header,
        campaign=form.get("campaign", "")[:200],
    )


def _progress(row: Import) -> dict[str, Any]:
    reasons = (
        sa.select(ImportRefusal).where(ImportRefusal.import_id == row.id).order_by(ImportRefusal.row_number).limit(50)
    )
    is_stopped = row.state == importing.RUNNING and row.id not in _running
    return {
        "refusals": session().scalars(reasons).all() if row.state != importing.RUNNING else [],
        "is_stopped": is_stopped,
        "unchanged": row.done_count - row.created_count - row.updated_count - row.refused_count - row.repeated_count,
        "tag": next((fields.slug(tag) for tag in row.options.get("tags", ())), ""),
    }


def _found(import_id: int) -> Import:
    return (session().get(Import, import_id) if import_id < 2**63 else None) or abort(404)


def _folder() -> Path:
    folder = settings().data / "uploads"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
