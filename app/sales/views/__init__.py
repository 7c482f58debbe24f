"""The pages of sales; each module adds its own to the one blueprint."""

from __future__ import annotations

from app.sales.views import agreeing, alerts, answers, inbox, leads, reps, tasks
from app.sales.views.doors import blueprint

__all__ = ["agreeing", "alerts", "answers", "blueprints", "inbox", "leads", "reps", "tasks"]

blueprints = (blueprint,)
