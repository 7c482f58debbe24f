from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from app.capture import forming
from app.capture.models import Form
from app.preferences import topics

MakeForm = Callable[..., Form]


@pytest.fixture
def make_form(now: datetime) -> MakeForm:
    """A form that asks for name, company and address; settings by keyword."""

    def make(session: Session, name: str = "Pricing guide", **settings: object) -> Form:
        asked = forming.askable(session)
        topics.ensure(session, "product-news", "Product news")
        form = forming.create(session, name=name, at=now)
        fields = [asked[field] for field in ("first_name", "last_name", "company_name", "email")]
        forming.change(
            session, form, name=name, fields=fields, settings=forming.FormSettings.model_validate(settings), at=now
        )
        return form

    return make
