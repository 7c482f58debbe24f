"""REST v1: what programs may ask and tell Trellis, over the same domain functions as the pages."""

from app.api.views import campaigns, events, handoffs, leads, segments
from app.api.views.blueprint import blueprint

blueprints = (blueprint,)

__all__ = ["blueprints", "campaigns", "events", "handoffs", "leads", "segments"]
