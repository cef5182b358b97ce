"""`PrometheusMetrics`: the event stream as Prometheus metrics, in a registry of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from openrtc.errors import escape
from openrtc.observe.events import (
    CallEnded,
    CallError,
    CallLeftBehind,
    CallRejected,
    CallRouted,
    CallStarted,
    Event,
    LoopBlocked,
    PluginFailed,
    ResourceLoaded,
    TurnCompleted,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LATENCY_BUCKETS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)
"""Seconds. In talk people answer after about 0.3 s; who waits for several seconds gives up."""

LONGEST_LABEL = 200
"""Characters."""

STAGES = {"end_of_turn": "end_of_turn_seconds", "llm_ttft": "llm_ttft_seconds", "tts_ttfb": "tts_ttfb_seconds"}

Gauges = Iterable[tuple[str, str, Iterable[tuple[dict[str, str], float]]]]
"""For each metric its name, its meaning, and its values with their labels."""


class PrometheusMetrics:
    """Counts events, and asks for current values when it is scraped.

    Args:
        gauges: Returns the current values; called at each scrape.
    """

    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Gauges(gauges))
        self._started = self._add_counter("sessions_started", "Sessions that have started.", "agent")
        self._ended = self._add_counter("sessions_ended", "Calls that are over.", "agent")
        self._failed = self._add_counter("sessions_failed", "Calls that an error ended.", "agent")
        self._errors = self._add_counter("call_errors", "Errors in calls.", "agent", "where")
        self._rejects = self._add_counter("rejects", "Job requests that were turned down.", "cause")
        self._routed = self._add_counter("routing_decisions", "Decisions by the rule that made them.", "rule", "agent")
        self._plugins = self._add_counter("plugin_failures", "Hooks that raised or took too long.", "plugin", "hook")
        self._blocked = self._add_counter(
            "loop_blocked_seconds", "Time for which code blocked the shared loop.", "agent"
        )
        self._left = self._add_counter(
            "left_behind",
            "What was still there 5 s after calls had ended, by whose code it is.",
            "distribution",
            "kind",
        )
        self._latency = self._add_histogram(
            "turn_latency_seconds", "From the caller's last to the agent's first sound."
        )
        self._stages = self._add_histogram("turn_stage_seconds", "What a turn's latency is made of.", "stage")
        self._resources: dict[tuple[str, str], ResourceLoaded] = {}
        self._registry.register(_Gauges(self._resource_gauges))

    def __call__(self, event: Event) -> None:
        """Count an event."""
        match event:
            case CallRouted():
                self._routed.labels(*_clean(event.rule, event.agent)).inc()
            case CallRejected():
                self._rejects.labels(*_clean(event.cause)).inc()
            case CallStarted():
                self._started.labels(*_clean(event.agent)).inc()
            case CallError():
                self._errors.labels(*_clean(event.agent, event.where)).inc()
            case TurnCompleted():
                self._count_turn(event)
            case CallEnded():
                self._ended.labels(*_clean(event.agent)).inc()
                self._failed.labels(*_clean(event.agent)).inc(event.failed)
            case CallLeftBehind():
                for kind in ("tasks", "threads", "rooms"):
                    self._left.labels(*_clean(event.left_by, kind)).inc(getattr(event, kind))
            case LoopBlocked(ongoing=False):
                self._blocked.labels(*_clean(event.agent)).inc(event.seconds)
            case PluginFailed():
                self._plugins.labels(*_clean(event.plugin, event.hook)).inc()
            case ResourceLoaded():
                self._resources = {**self._resources, (event.key, event.distribution): event}

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def _count_turn(self, turn: TurnCompleted) -> None:
        if turn.latency_seconds is not None:
            self._latency.labels(*_clean(turn.agent)).observe(turn.latency_seconds)
        for stage, name in STAGES.items():
            if (seconds := getattr(turn, name)) is not None:
                self._stages.labels(*_clean(turn.agent, stage)).observe(seconds)

    def _add_counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"openrtc_{name}", meaning, labels, registry=self._registry)

    def _add_histogram(self, name: str, meaning: str, *labels: str) -> Histogram:
        return Histogram(
            f"openrtc_{name}", meaning, ("agent", *labels), registry=self._registry, buckets=LATENCY_BUCKETS
        )

    def _resource_gauges(self) -> Gauges:
        every = [({"key": one.key, "distribution": one.distribution}, one) for one in self._resources.values()]
        ready = [(labels, one) for labels, one in every if one.ready]
        yield "resource_ready", "Whether a shared resource can be used.", ((labels, one.ready) for labels, one in every)
        yield "resource_load_seconds", "How long loading took.", ((labels, one.seconds) for labels, one in ready)
        sizes = ((labels, one.memory_mb * 1e6) for labels, one in ready)
        yield "resource_memory_bytes", "By how much the process grew meanwhile.", sizes


class _Gauges(Collector):
    """Hands current values to prometheus_client at each scrape."""

    def __init__(self, gauges: Callable[[], Gauges]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Any]:
        for name, meaning, values in self._gauges():
            rows = list(values)
            labels = list(rows[0][0]) if rows else []
            family = GaugeMetricFamily(f"openrtc_{name}", meaning, labels=labels)
            for given, value in rows:
                family.add_metric(_clean(*(given[label] for label in labels)), float(value))
            yield family


def _clean(*values: str) -> list[str]:
    """Return labels as they can be written: one that is no text for UTF-8 would end all further scrapes."""
    return [escape(value, LONGEST_LABEL) for value in values]
