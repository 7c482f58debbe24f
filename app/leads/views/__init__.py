"""The pages of people and companies, their fields, tags and imports."""

from __future__ import annotations

from app.leads.views import companies, fields, imports, people, profile

blueprints = (people.blueprint, companies.blueprint, fields.blueprint, imports.blueprint)

__all__ = ["blueprints", "companies", "fields", "imports", "people", "profile"]
