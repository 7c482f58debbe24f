"""What the pages of campaigns share: their address space, and finding the campaign that is meant."""

from __future__ import annotations

from flask import Blueprint

from app.engine.models import Campaign
from app.web import Refused, session

blueprint = Blueprint("campaigns", __name__)


def found(campaign_id: int) -> Campaign:
    """The campaign of this address."""
    campaign = session().get(Campaign, campaign_id)
    if campaign is None:
        raise Refused("There is no such campaign; it may have been removed.", 404)
    return campaign
