"""The pages of preferences: topics, limits and consent for the team, and the pages on which recipients decide."""

from __future__ import annotations

from app.preferences.views import limits, recipients, topics

blueprints = (topics.blueprint, limits.blueprint, recipients.blueprint)
