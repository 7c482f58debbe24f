"""Writes the figures on engine and sender as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.engine.health import Health

CONTENT_TYPE = CONTENT_TYPE_LATEST
_GAUGES = {
    "tick_lag": ("trellis_tick_lag_seconds", "Now minus when the lead longest due was due."),
    "observing_lag": ("trellis_observing_lag_seconds", "Age of the oldest event that no tick has seen."),
    "queue_age": ("trellis_queue_age_seconds", "How long the mail longest due has waited."),
    "parked": ("trellis_parked_passages", "Passages that failed and wait for a person."),
    "campaigns_in_trouble": ("trellis_campaigns_in_trouble", "Live campaigns that cannot run."),
}
_MAILS = {"ready": "ready", "deferred": "deferred", "held": "held", "in_doubt": "in_doubt", "failed": "failed_mails"}


class _Figures(Collector):
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterator[Metric]:
        """Read at the moment somebody asks; nothing is kept between."""
        health = self._health
        for name, (metric, words) in _GAUGES.items():
            yield GaugeMetricFamily(metric, words, value=getattr(health, name))
        yield GaugeMetricFamily(
            "trellis_sending_paused", "1 while all sending is paused.", value=bool(health.paused_at)
        )
        yield GaugeMetricFamily("trellis_replays", "Passages replayed in 30 days.", value=health.replayed)
        yield GaugeMetricFamily("trellis_replays_drifted", "Those that came out otherwise.", value=len(health.drifted))
        mails = GaugeMetricFamily("trellis_mails", "Mails in the outbox.", labels=["state"])
        for state, name in _MAILS.items():
            mails.add_metric([state], getattr(health, name))
        yield mails
        yield from self._of_workers()
        leases = GaugeMetricFamily("trellis_lease_held", "1 while somebody holds the part.", labels=["part"])
        fences = CounterMetricFamily("trellis_lease_takeovers", "How often a part changed hands.", labels=["part"])
        for lease in health.leases:
            leases.add_metric([lease.name], bool(lease.holder))
            fences.add_metric([lease.name], lease.fence)
        yield leases
        yield fences

    def _of_workers(self) -> Iterator[Metric]:
        alive = GaugeMetricFamily("trellis_workers_alive", "Processes at work.", labels=["duty"])
        for duty in ("engine", "sender"):
            alive.add_metric([duty], sum(w.is_alive and duty in w.duties for w in self._health.workers))
        yield alive
        ticked = GaugeMetricFamily(
            "trellis_last_tick_timestamp_seconds", "When an engine last ticked.", labels=["worker"]
        )
        took = GaugeMetricFamily("trellis_last_tick_seconds", "How long its last tick took.", labels=["worker"])
        moved = CounterMetricFamily("trellis_leads_moved", "Passages it has moved since its start.", labels=["worker"])
        sent = CounterMetricFamily("trellis_mails_sent", "Mails it has sent since its start.", labels=["worker"])
        for worker in self._health.workers:
            if worker.is_alive and worker.ticked_at is not None:
                ticked.add_metric([worker.name], worker.ticked_at.timestamp())
                took.add_metric([worker.name], worker.tick_seconds or 0.0)
                moved.add_metric([worker.name], worker.moved)
            if worker.is_alive and worker.sent_at is not None:
                sent.add_metric([worker.name], worker.sent)
        yield from (ticked, took, moved, sent)


def text(health: Health) -> bytes:
    """The figures in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Figures(health))
    return generate_latest(registry)
