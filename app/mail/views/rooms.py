"""The one blueprint of the pages for the team; each page module adds its own views to it."""

from __future__ import annotations

from flask import Blueprint
from flask.blueprints import BlueprintSetupState

from app.mail import links
from app.web.transaction import Copy

blueprint = Blueprint("mail", __name__)


@blueprint.record
def _use_base_url(state: BlueprintSetupState) -> None:
    """Mails carry whole addresses: learn ours as soon as the application is built."""
    copy: Copy = state.app.extensions["trellis"]
    links.use(copy.config.base_url)
