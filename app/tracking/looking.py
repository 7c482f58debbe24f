"""Records that somebody looked at one of our own public pages, and answers by which name to recognise them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.tracking import bots, recording, visitors

PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")


def look(
    session: Session, *, path: str, props: Mapping[str, Any], evidence: Mapping[str, Any], remembered: str | None
) -> str:
    """Record the page view and answer the visitor's token."""
    agent, proof = bots.judged(evidence)
    visitor = visitors.identify(session, remembered)
    recording.record(
        session,
        kind="page_viewed",
        identity_id=visitor.id,
        subject=path,
        props=dict(props),
        agent=agent,
        evidence=proof,
    )
    return visitor.token or ""
