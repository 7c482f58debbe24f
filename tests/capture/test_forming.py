from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy.orm import Session

from app.capture import drafting, forming
from app.capture.forming import BadForm, FormField, FormSettings

from .conftest import MakeForm


def test_a_new_form_asks_for_name_and_address_and_has_a_random_public_name(session: Session, now: datetime) -> None:
    one = forming.create(session, name="Pricing guide", at=now)
    two = forming.create(session, name="Pricing guide", at=now)
    assert [one.key, two.key] == ["pricing-guide", "pricing-guide-2"]
    assert one.public_id != two.public_id and len(one.public_id) >= 16
    assert [field.name for field in forming.fields_of(one)] == ["first_name", "last_name", "email"]
    assert forming.fields_of(one)[-1].required


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"redirect": "javascript:alert(1)"}, "https://"),
        ({"redirect": "//evil.example"}, "https://"),
        ({"redirect": "https://a b.example"}, "https://"),
        ({"redirect": "https://a;script-src.example/"}, "https://"),
        ({"redirect": "https:///path"}, "https://"),
        ({"topic": "nothing"}, "no topic"),
        ({"topic": "product-news"}, "consent without words"),
        ({"double_opt_in": True}, "topic people confirm"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_a_sentence(
    session: Session, make_form: MakeForm, settings: dict[str, object], says: str
) -> None:
    with pytest.raises(BadForm, match=says):
        make_form(session, **settings)


def test_questions_go_to_declared_fields_only_and_always_include_the_address(
    session: Session, make_form: MakeForm, now: datetime
) -> None:
    form = make_form(session)
    asked = forming.askable(session)
    for fields, says in (
        ([asked["first_name"]], "does not ask for the email"),
        ([asked["email"], asked["email"]], "asks twice"),
        ([asked["email"], FormField(name="stage", label="Stage", type="text")], "no lead field called 'stage'"),
        ([asked["email"].model_copy(update={"label": " "})], "has no label"),
    ):
        with pytest.raises(BadForm, match=says):
            forming.change(session, form, name="x", fields=fields, settings=FormSettings(), at=now)
    assert form.name == "Pricing guide", "a refused change changes nothing"


def test_the_builder_adds_moves_and_removes_questions(session: Session) -> None:
    asked = forming.askable(session)
    fields = [asked[name] for name in ("first_name", "email")]
    steps = [
        ("add:phone", "first_name email phone"),
        ("up:2", "first_name phone email"),
        ("down:0", "phone first_name email"),
    ]
    for do, expected in steps:
        fields = drafting.move(fields, do, asked)
        assert [field.name for field in fields] == expected.split()
    for senseless in ("", "add:email", "add:stage", "up:0", "up:99", "up:x", "remove:-1", "dance:1"):
        assert drafting.move(fields, senseless, asked) == fields
    assert [field.name for field in drafting.move(fields, "remove:0", asked)] == ["first_name", "email"]
