"""Leads by API: read one, list all, create or complete one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Response, jsonify, make_response
from pydantic import BaseModel, Field

from app import clock
from app.accounts import auditing
from app.accounts.guards import current_user
from app.api.description import Given
from app.api.views.blueprint import Paged, blueprint, page
from app.db import table
from app.leads import creating, finding, tagging
from app.leads.models import Lead, LeadTag, Tag
from app.leads.values import BadValue
from app.mail import telling
from app.mail.models import Mail
from app.outbox import Message
from app.preferences import consenting
from app.web import Refused, paging, session

CORE = ("email", "first_name", "last_name", "job_title", "phone", "company_name", "country", "city", "language", "zone")
MOST_ID = 2**53


class LeadAnswer(BaseModel):
    """A lead with its scores."""

    id: int
    email: str | None
    values: dict[str, Any] = Field(description="Fields by name, built-in and declared.")
    tags: list[str]
    source: str
    stage: str
    score: int
    fit: int
    interest: int
    grade: str = Field(description="Fit A to D and interest 1 to 4, such as B2.")
    temperature: str
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime | None


class LeadsAnswer(BaseModel):
    leads: list[LeadAnswer]
    next: str | None


class LeadPath(BaseModel):
    lead_id: int = Field(ge=1, le=MOST_ID)


class LeadsAsked(Paged):
    email: str | None = Field(None, max_length=320, description="Only the lead with this address.")


class MailAnswer(BaseModel):
    """A mail that was owed to the lead, and what became of it."""

    id: int
    mail: str | None = Field(description="The key of a mail of a marketer; none for what Trellis itself writes.")
    campaign: str | None
    step: str | None
    state: str
    reason: str | None
    why: str = Field(description="The same as a sentence.")
    created_at: datetime
    not_before: datetime
    finished_at: datetime | None


class MailsAnswer(BaseModel):
    mails: list[MailAnswer]
    next: str | None


class MailsAsked(Paged):
    pass


class ConsentGiven(Given):
    """Consent somebody gave elsewhere, with where it comes from."""

    topic: str = Field(min_length=1, max_length=200, description="The key of a topic.")
    source: str = Field(min_length=1, max_length=200, description="Where the consent was given.")
    wording: str = Field("", max_length=5000, description="What the person agreed to, word for word.")


class LeadGiven(Given):
    """A lead to create, or to complete if its address is known."""

    email: str = Field(min_length=3, max_length=320)
    values: dict[str, Any] = Field(default_factory=dict, description="Fields by name; null empties a field.")
    overwrite: bool = Field(True, description="False fills only fields that are empty.")
    tags: list[str] = Field(default_factory=list, max_length=50)
    consent: list[ConsentGiven] = Field(default_factory=list, max_length=50)
    source: str = Field("API", min_length=1, max_length=200)


@blueprint.get("/leads", summary="List leads", responses={200: LeadsAnswer})
def list_leads(query: LeadsAsked) -> Response:
    found = sa.select(Lead).where(finding.is_living())
    if query.email is not None:
        lead = finding.by_email(session(), query.email)
        found = found.where(Lead.id == (lead.id if lead else 0))
    listed = page(session(), found, [paging.Key(Lead.id)], query)
    return jsonify(LeadsAnswer(leads=told(listed.rows), next=listed.next).model_dump(mode="json"))


@blueprint.get("/leads/<int:lead_id>", summary="Read a lead", responses={200: LeadAnswer})
def read_lead(path: LeadPath) -> Response:
    """A lead that was merged into another answers as that other one."""
    return jsonify(told([known(path.lead_id)])[0].model_dump(mode="json"))


@blueprint.get("/leads/<int:lead_id>/mails", summary="The mails of a lead, and why", responses={200: MailsAnswer})
def lead_mails(path: LeadPath, query: MailsAsked) -> Response:
    """The newest first, with those that were not sent."""
    found = (
        sa.select(Message, Mail.key.label("mail"), table("campaigns").c.key.label("campaign"))
        .outerjoin(Mail, Mail.id == Message.mail_id)
        .outerjoin(table("campaigns"), table("campaigns").c.id == Message.campaign_id)
        .where(Message.lead_id == known(path.lead_id).id)
    )
    listed = page(session(), found, [paging.Key(Message.id, True)], query)
    sentences = telling.of_messages(session(), [row.Message for row in listed.rows])
    names = MailAnswer.model_fields.keys() - {"mail", "campaign", "why"}
    mails = [
        MailAnswer(
            mail=row.mail,
            campaign=row.campaign,
            why=sentences[row.Message.id],
            **{name: getattr(row.Message, name) for name in names},
        )
        for row in listed.rows
    ]
    return jsonify(MailsAnswer(mails=mails, next=listed.next).model_dump(mode="json"))


@blueprint.put("/leads", summary="Create or complete a lead", responses={200: LeadAnswer, 201: LeadAnswer})
def put_lead(body: LeadGiven) -> Response:
    now = clock.now()
    try:
        lead, is_new = creating.create_or_complete(
            session(), email=body.email, source=body.source, at=now, values=body.values, overwrite=body.overwrite
        )
        this = sa.select(Lead.id).where(Lead.id == lead.id)
        for tag in body.tags:
            tagging.add(session(), this, tag, at=now)
        for consent in body.consent:
            consenting.give(
                session(),
                this,
                consent.topic,
                source=consent.source,
                wording=consent.wording,
                at=now,
                evidence={"api": True},
            )
    except (BadValue, consenting.UnknownTopic) as error:
        raise Refused(str(error)) from error
    if is_new:
        auditing.note(session(), current_user.id, "added lead by API", "lead", lead.id)
    session().flush()
    session().refresh(lead)
    return make_response(jsonify(told([lead])[0].model_dump(mode="json")), 201 if is_new else 200)


def known(lead_id: int) -> Lead:
    lead = finding.by_id(session(), lead_id)
    if lead is None:
        raise Refused("There is no such lead.", 404)
    return lead


def told(leads: list[Lead]) -> list[LeadAnswer]:
    """The leads as the API tells them, with their tags in one statement."""
    ids = [lead.id for lead in leads]
    pairs = sa.select(LeadTag.lead_id, Tag.key).join(Tag, Tag.id == LeadTag.tag_id).where(LeadTag.lead_id.in_(ids))
    tags: dict[int, list[str]] = {}
    for lead_id, key in session().execute(pairs.order_by(Tag.key)):
        tags.setdefault(lead_id, []).append(key)
    return [_answer(lead, tags.get(lead.id, [])) for lead in leads]


def _answer(lead: Lead, tags: list[str]) -> LeadAnswer:
    return LeadAnswer(
        id=lead.id,
        email=lead.email,
        values={**{name: getattr(lead, name) for name in CORE if name != "email"}, **lead.fields},
        tags=tags,
        source=lead.source,
        stage=lead.stage,
        score=lead.score,
        fit=lead.fit,
        interest=lead.interest,
        grade=f"{lead.fit_grade}{lead.interest_grade}",
        temperature=lead.temperature,
        created_at=lead.created_at,
        updated_at=lead.updated_at,
        last_seen_at=lead.last_seen_at,
    )
