"""Definitions, routing, handoffs, tasks, alerts, SLA clocks, recycling, insight."""
