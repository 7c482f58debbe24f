"""The address book of the accounts pages, and the tabs that settings pages of every room share."""

from __future__ import annotations

from flask import Blueprint, current_app, request, url_for
from flask_login import current_user

blueprint = Blueprint("accounts", __name__)

ADMINISTRATOR = ("administrator",)
EDITORS = ("administrator", "marketer")
EVERYBODY = ("administrator", "marketer", "sales", "viewer")

# Settings of other rooms appear here as soon as their page exists.
TABS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Organisation", "accounts.settings", EVERYBODY),
    ("Users", "accounts.users", ADMINISTRATOR),
    ("Lead fields", "leads_fields.index", EDITORS),
    ("Tags", "leads_fields.tags", EDITORS),
    ("Topics", "preferences.index", EDITORS),
    ("How often, when", "preferences_limits.index", EDITORS),
    ("Tracking", "tracking.settings", EDITORS),
    ("Sales team", "sales.team", EDITORS),
    ("Delivery", "mail.settings", EDITORS),
    ("Engine and sender", "engine.index", ADMINISTRATOR),
    ("API tokens", "accounts.tokens", EVERYBODY),
    ("Audit trail", "accounts.audits", ADMINISTRATOR),
    ("Your account", "accounts.profile", EVERYBODY),
)


@blueprint.app_template_global()
def settings_tabs() -> list[tuple[str, str, None, bool]]:
    """The settings pages this reader may open, for the `tabs` macro."""
    return [
        (label, url_for(endpoint), None, request.path == url_for(endpoint))
        for label, endpoint, roles in TABS
        if endpoint in current_app.view_functions and current_user.role in roles
    ]
