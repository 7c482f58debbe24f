"""Every kind of step and trigger there is, found by scan: a new one is one file."""

from __future__ import annotations

from app.engine.steptype import StepType
from app.engine.triggertype import TriggerType
from app.kinds import Catalog

STEPS: Catalog[StepType] = Catalog("app.engine.steps", "STEP")
TRIGGERS: Catalog[TriggerType] = Catalog("app.engine.triggers", "TRIGGER")
