"""What the pages about users, tokens and the audit trail show."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from app.accounts.models import ApiToken, Audit, SignIn, User


def users(session: Session) -> list[Any]:
    """Everybody, the active first, with when they last signed in."""
    last = sa.select(sa.func.max(SignIn.created_at)).where(SignIn.user_id == User.id).scalar_subquery()
    query = sa.select(User, last.label("last_sign_in_at")).order_by(
        User.is_active.desc(), sa.func.lower(User.name), User.id
    )
    return list(session.execute(query))


def tokens(session: Session, user_id: int) -> list[ApiToken]:
    return list(session.scalars(sa.select(ApiToken).where(ApiToken.user_id == user_id).order_by(ApiToken.id.desc())))


def sign_ins(session: Session, user_id: int) -> list[SignIn]:
    """The browsers this user is signed in with."""
    return list(session.scalars(sa.select(SignIn).where(SignIn.user_id == user_id).order_by(SignIn.created_at.desc())))


def audits() -> sa.Select[Any]:
    """The audit trail with the names of those who did it; page it by `at` and `id`."""
    return sa.select(
        Audit.id,
        Audit.at,
        Audit.action,
        Audit.subject_kind,
        Audit.subject_id,
        Audit.detail,
        User.name.label("user_name"),
    ).outerjoin(User, User.id == Audit.user_id)
