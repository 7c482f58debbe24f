"""Draws a form and a landing page as strangers see them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import render_template, request

from app import clock
from app.accounts import organisation
from app.capture import forming, landing, suspecting
from app.capture.models import Form, LandingPage
from app.leads import values
from app.web import policy, session

Complaints = Mapping[str, str]


def hosted_form(form: Form, *, complaints: Complaints | None = None) -> str:
    """The form on a page of its own, or within a frame on the customer's site."""
    return render_template("capture/hosted.html", **_form(form, complaints), **_around())


def landing_page(page: LandingPage, *, complaints: Complaints | None = None, is_preview: bool = False) -> str:
    form = session().get(Form, page.form_id) if page.form_id else None
    return render_template(
        "capture/landing.html",
        page=page,
        content=landing.content_of(page),
        is_preview=is_preview,
        **(_form(form, complaints) if form else {"form": None}),
        **_around(),
    )


def _around() -> dict[str, Any]:
    return {"organisation": organisation.get(session()), "is_embedded": is_embedded()}


def is_embedded() -> bool:
    return (request.form if request.method == "POST" else request.args).get("_embed", "") == "1"


def _form(form: Form, complaints: Complaints | None) -> dict[str, Any]:
    settings = forming.settings_of(form)
    if settings.redirect:
        _allow_redirect(settings.redirect)
    given = request.form if request.method == "POST" else {}
    return {
        "form": form,
        "fields": forming.fields_of(form),
        "chosen": settings,
        "countries": values.countries(),
        "answers": given,
        "complaints": complaints or {},
        "key": given.get("_key") or secrets.token_urlsafe(16),
        "started": given.get("_started") or suspecting.started(clock.now()),
        "visitor": given.get("_visitor") or request.args.get("_visitor", ""),
        "honeypot": forming.HONEYPOT,
        "consent_name": forming.CONSENT,
    }


def _allow_redirect(address: str) -> None:
    """Browsers hold the address a form leads to in the end against the policy of the page it stands on."""
    parts = urlsplit(address)
    try:
        host = parts.netloc.encode("idna").decode()
    except UnicodeError:
        return
    policy(form_action=f"'self' {parts.scheme}://{host}")
