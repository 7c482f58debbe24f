"""Pages about segments, and the rule builder that every page uses which asks who."""

from __future__ import annotations

from app.segments.views import builder, pages

blueprints = (pages.blueprint, builder.blueprint)
