"""The stranger's browser at the door: who it says it is, whether it objects to being remembered, and how we remember it."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from app.tracking import cleaning, visitors
from app.web import settings


def evidence(medium: str, **more: Any) -> dict[str, Any]:
    """What this request shows about who made it, for `bots.judged`; of the address only its network is kept."""
    purpose = " ".join(request.headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz")).lower()
    return {
        "medium": medium,
        "browser": cleaning.line(request.user_agent.string, 300),
        "network": cleaning.network(request.remote_addr),
        **({"method": "HEAD"} if request.method == "HEAD" else {}),
        **({"prefetch": True} if "prefetch" in purpose or "prerender" in purpose else {}),
        **more,
    }


def objects() -> bool:
    """Do Not Track or Global Privacy Control: what this browser looks at is not recorded."""
    return request.headers.get("DNT") == "1" or request.headers.get("Sec-GPC") == "1"


def remembered() -> str | None:
    """The visitor's token this browser carries for our own host."""
    return request.cookies.get(visitors.COOKIE)


def remember(response: Response, token: str | None) -> None:
    """Let this browser be recognised when it comes back, unless it objects."""
    if token and not objects() and token != remembered():
        response.set_cookie(**visitors.cookie(token, secure=settings().base_url.startswith("https:")))
