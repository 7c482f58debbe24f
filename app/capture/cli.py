"""`flask forms`: forms as text, what came in by them, and sending one without a browser."""

from __future__ import annotations

import json
from typing import Any, TextIO

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from app import clock, web
from app.capture import answering, forming, queries, submitting
from app.capture.models import Form, Submission
from app.cli import database, instant, json_option, refuse, say


@click.group()
def forms() -> None:
    """Forms: what they ask and what came in."""


@forms.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Every form in use, with its counts."""
    with database().read() as session:
        rows = [_row(row) for row in queries.forms(session)]
    say(rows, as_json, lambda: "\n".join(f"{r['key']}: {r['name']}, {r['accepted']} answers" for r in rows))


@forms.command()
@click.argument("key")
@json_option
def show(key: str, as_json: bool) -> None:
    """One form as text, the way `import` reads it."""
    with database().read() as session:
        form = _form(session, key)
        data = {"key": form.key, "name": form.name, "fields": form.fields, "settings": form.settings}
        data["url"] = f"{web.settings().base_url}/f/{form.public_id}"
    say(data, as_json, lambda: json.dumps(data, ensure_ascii=False, indent=2))


@forms.command("import")
@click.argument("file", type=click.File("r", encoding="utf-8"))
@json_option
def import_(file: TextIO, as_json: bool) -> None:
    """Make or change the form that a JSON FILE describes: key, name, fields, settings."""
    given = _read(file)
    with database().write() as session:
        form = session.scalar(sa.select(Form).where(Form.key == str(given.get("key") or "")))
        is_new = form is None
        try:
            form = form or forming.create(session, name=str(given["name"]), key=str(given["key"]), at=clock.now())
            form.archived_at = None
            fields, settings = _parts(session, given)
            forming.change(session, form, name=str(given["name"]), fields=fields, settings=settings, at=clock.now())
        except forming.BadForm as problem:
            session.rollback()
            refuse(str(problem))
        data = {"key": form.key, "is_new": is_new, "url": f"{web.settings().base_url}/f/{form.public_id}"}
    say(data, as_json, f"{'Made' if is_new else 'Changed'} the form {data['key']}: {data['url']}")


@forms.command()
@click.argument("key")
@click.option("--answer", "answers", multiple=True, metavar="FIELD=VALUE", help="One answer; repeat it for each.")
@click.option("--consent", is_flag=True, help="Tick the consent box.")
@click.option("--once", metavar="KEY", help="The same key and answers are submitted only once.")
@click.option("--at", type=instant, help="When it was sent; now by default.")
@json_option
def submit(key: str, answers: tuple[str, ...], consent: bool, once: str | None, at: Any, as_json: bool) -> None:
    """Fill in the form KEY as a person would."""
    given: dict[str, Any] = dict(answer.partition("=")[::2] for answer in answers)
    if consent:
        given[forming.CONSENT] = "1"
    with database().write() as session, clock.at(at or clock.now()):
        try:
            kept = submitting.submit(
                session,
                _form(session, key),
                given,
                at=clock.now(),
                evidence={"medium": "form", "browser": ""},
                key=once,
                base_url=web.settings().base_url,
            )
        except answering.BadAnswers as problem:
            session.rollback()
            refuse(str(problem))
        data = {"submission": kept.id, "state": kept.state, "lead": kept.lead_id}
    say(data, as_json, f"Submission {kept.id} is {kept.state}.")


@forms.command()
@click.argument("key")
@json_option
def submissions(key: str, as_json: bool) -> None:
    """What came in by the form KEY, newest first."""
    with database().read() as session:
        found = queries.submissions(_form(session, key).id, None).order_by(Submission.at.desc(), Submission.id.desc())
        rows = [
            {"id": s.id, "at": s.at, "state": s.state, "reason": s.reason, "lead": s.lead_id, "answers": s.answers}
            for s, _lead in session.execute(found)
        ]
    say(rows, as_json, lambda: "\n".join(f"{r['at']:%Y-%m-%d %H:%M} {r['state']}: {r['answers']}" for r in rows))


def _row(row: queries.FormRow) -> dict[str, Any]:
    return {
        "key": row.form.key,
        "name": row.form.name,
        "public_id": row.form.public_id,
        "accepted": row.accepted_count,
        "pending": row.pending_count,
        "suspected": row.suspected_count,
        "last_at": row.last_at,
    }


def _form(session: Session, key: str) -> Form:
    form = session.scalar(sa.select(Form).where(Form.key == key, Form.archived_at.is_(None)))
    if form is None:
        refuse(f"There is no form with the key {key!r}; `flask forms list` shows those there are.")
    return form


def _read(file: TextIO) -> dict[str, Any]:
    try:
        given = json.load(file)
    except (ValueError, RecursionError):
        refuse("The file is not JSON; `flask forms show KEY` prints one to start from.")
    if not isinstance(given, dict) or not isinstance(given.get("key"), str) or not isinstance(given.get("name"), str):
        refuse("The file needs at least a key and a name; `flask forms show KEY` prints one to start from.")
    return given


def _parts(session: Session, given: dict[str, Any]) -> tuple[list[forming.FormField], forming.FormSettings]:
    """A question may be only the name of its lead field."""
    asked = forming.askable(session)
    fields = []
    for item in given.get("fields") or ["first_name", "last_name", "email"]:
        item = {"name": item} if isinstance(item, str) else item
        if not isinstance(item, dict) or item.get("name") not in asked:
            raise forming.BadForm([f"{item!r} is not a lead field; declare it first or take the question out."])
        fields.append(
            asked[item["name"]].model_copy(update={k: item[k] for k in ("label", "hint", "required") if k in item})
        )
    try:
        return fields, forming.FormSettings.model_validate(given.get("settings") or {})
    except ValueError:
        raise forming.BadForm(
            ["The settings are not readable; `flask forms show KEY` prints some to start from."]
        ) from None


commands = (forms,)
