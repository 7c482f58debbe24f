"""Everything HTTP that is nobody's business: htmx, a transaction per request, paging, errors, security headers."""

from __future__ import annotations

from app.web.errors import Refused
from app.web.security import cross_site, embeddable, policy
from app.web.transaction import database, keep, session, settings

__all__ = ["Refused", "cross_site", "database", "embeddable", "keep", "policy", "session", "settings"]
