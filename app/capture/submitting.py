"""Turns an answered form into what the marketer asked for: a lead made or completed, an event, consent, tags."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.capture import answering, confirming
from app.capture.forming import FormSettings, settings_of
from app.capture.models import Form, LandingPage, Submission
from app.leads import creating, fields, finding, tagging
from app.leads.models import Lead
from app.preferences import consenting
from app.preferences.topics import by_key
from app.tracking import bots, cleaning, recording, visitors
from app.tracking.models import Identity


def submit(
    session: Session,
    form: Form,
    answers: Mapping[str, Any],
    *,
    at: datetime,
    visitor: Identity | None = None,
    evidence: Mapping[str, Any],
    key: str | None,
    landing_page_id: int | None = None,
    base_url: str = "",
) -> Submission:
    """Keep an answered form and act on it. Raises BadAnswers. The same `key` and answers twice are one submission.

    `evidence["suspicion"]` is a sentence when it looks like a bot's: then it is kept and nothing else happens. A form
    with double opt-in acts when the confirmation mail's button is pressed; `base_url` is where that mail leads.
    """
    read = answering.read(session, form, answers)
    settings = settings_of(form)
    reason = str(evidence.get("suspicion") or "")
    must_confirm = settings.double_opt_in and not reason
    submission = _keep(
        session,
        form_id=form.id,
        landing_page_id=landing_page_id,
        state="suspected" if reason else "pending" if must_confirm else "accepted",
        reason=reason,
        answers=read,
        consented=answering.consents(form, answers),
        evidence=cleaning.stored({name: value for name, value in evidence.items() if name != "suspicion"}),
        visitor_id=visitor.id if visitor else None,
        key=_key(form, key, read),
        at=at,
    )
    if submission is None:
        return session.scalars(sa.select(Submission).where(Submission.key == _key(form, key, read))).one()
    if must_confirm:
        confirming.ask(session, form, submission, base_url=base_url, at=at)
    elif not reason:
        act(session, form, submission, at=at)
    return submission


def accept(session: Session, submission: Submission, *, at: datetime, base_url: str) -> None:
    """A marketer says that a suspected submission is a person's after all."""
    claim = (Submission.id == submission.id, Submission.state == "suspected")
    form = session.get_one(Form, submission.form_id)
    state = "pending" if settings_of(form).double_opt_in else "accepted"
    moved = session.connection().execute(sa.update(Submission).where(*claim).values(state=state)).rowcount
    if not moved:
        return
    session.refresh(submission)
    if state == "pending":
        confirming.ask(session, form, submission, base_url=base_url, at=at)
    else:
        act(session, form, submission, at=at)


def confirm(session: Session, token: str, *, at: datetime) -> Submission | None:
    """Somebody pressed the button of a confirmation: act on what they sent, once; None when the link is used or too old."""
    confirmation = confirming.find(session, token)
    submission = confirming.confirm(session, confirmation, at=at) if confirmation else None
    if submission is not None:
        act(session, session.get_one(Form, submission.form_id), submission, at=at, is_confirmed=True)
    return submission


def act(session: Session, form: Form, submission: Submission, *, at: datetime, is_confirmed: bool = False) -> Lead:
    """Everything that follows from an answer we believe."""
    lead = _lead(session, form, submission, at=at, is_confirmed=is_confirmed)
    submission.lead_id = lead.id
    only = sa.select(Lead.id.label("lead_id")).where(Lead.id == lead.id)
    if submission.visitor_id is not None:
        submission.visitor_id = visitors.join(session, submission.visitor_id, lead.id).id
    _record(session, form, submission, lead, at=at)
    settings = settings_of(form)
    for tag in settings.tags:
        tagging.add(session, only, tag, at=at)
    _consent(session, form, settings, submission, only, at=at, is_confirmed=is_confirmed)
    session.flush()
    return lead


def _lead(session: Session, form: Form, submission: Submission, *, at: datetime, is_confirmed: bool) -> Lead:
    """The lead of the address. Answers replace what we knew only from the person's own browser or after confirming."""
    known_fields = {*fields.CORE, *fields.declared(session)} - {"email"}  # a field may be archived since it was asked
    values = {name: value for name, value in submission.answers.items() if name in known_fields}
    email = submission.answers["email"]
    known = finding.by_email(session, email)
    owner = _owner(session, submission.visitor_id)
    lead, _ = creating.create_or_complete(
        session,
        email=email,
        source=f"Form: {form.name}",
        at=at,
        values=values,
        overwrite=is_confirmed or (known is not None and owner == known.id),
    )
    return lead


def _owner(session: Session, visitor_id: int | None) -> int | None:
    return session.scalar(sa.select(Identity.lead_id).where(Identity.id == visitor_id)) if visitor_id else None


def _record(session: Session, form: Form, submission: Submission, lead: Lead, *, at: datetime) -> None:
    agent, proof = bots.judged(submission.evidence)
    page = session.get(LandingPage, submission.landing_page_id) if submission.landing_page_id else None
    recording.record(
        session,
        kind="form_submitted",
        identity_id=lead.id,
        subject=form.key,
        at=at,
        agent="unknown" if agent == "machine" else agent,  # machines were stopped at the door, by better evidence
        props={
            "form": form.name,
            "answers": {name: value for name, value in submission.answers.items() if name != "email"},
            **({"page": page.slug} if page else {}),
        },
        evidence=proof,
        key=f"submission:{submission.id}",
    )


def _consent(
    session: Session,
    form: Form,
    settings: FormSettings,
    submission: Submission,
    only: sa.Select[Any],
    *,
    at: datetime,
    is_confirmed: bool,
) -> None:
    if not submission.consented or by_key(session, settings.topic) is None:
        return
    proof = {"form": form.key, "submission": submission.id, "sent_at": submission.at.isoformat(), **submission.evidence}
    if is_confirmed:
        proof["confirmed_at"] = at.isoformat()
    consenting.give(
        session,
        only,
        settings.topic,
        source=f"Form: {form.name}",
        at=at,
        wording=settings.consent,
        evidence=proof,
        renew=True,
    )


def _key(form: Form, key: str | None, answers: Mapping[str, Any]) -> str | None:
    """One showing of the form with the same answers is one submission; corrected answers are another."""
    key = cleaning.line(key, 80)
    if not key:
        return None
    written = json.dumps(answers, sort_keys=True, ensure_ascii=False)
    return f"{form.id}:{key}:{hashlib.sha256(written.encode()).hexdigest()[:16]}"


def _keep(session: Session, **values: Any) -> Submission | None:
    """The new row, or None when this key was kept before."""
    table: sa.Table = Submission.__table__
    statement = recording.insert_once(session, table, "key").values(**values).returning(table.c.id)
    kept: int | None = session.scalar(statement)
    return None if kept is None else session.get_one(Submission, kept)
