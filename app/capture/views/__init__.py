"""Pages of forms and landing pages: the marketers' own, and those strangers see."""

from __future__ import annotations

from app.capture.views import forms, pages, public

blueprints = (forms.blueprint, pages.blueprint, public.blueprint)
