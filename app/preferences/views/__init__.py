"""The pages of preferences: topics and consent for the team, and the pages on which recipients decide."""

from __future__ import annotations

from app.preferences.views import recipients, topics

blueprints = (topics.blueprint, recipients.blueprint)
