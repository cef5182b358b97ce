from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from openrtc.observe.events import (
    CallEnded,
    CallLeftBehind,
    CallRejected,
    CallRouted,
    CallStarted,
    LoopBlocked,
    PluginFailed,
    ResourceLoaded,
    TurnCompleted,
)
from openrtc.observe.prometheus import Gauges, PrometheusMetrics

CALL = {"job_id": "AJ_1", "room": "r", "agent": "support", "distribution": "my-support-agent"}


def gauges() -> Gauges:
    yield "sessions", "Live calls.", [({}, 2)]
    yield "agent_state", "States.", [({"agent": "a", "state": "ready"}, 1), ({"agent": "b", "state": "broken"}, 1)]
    yield "plugin_state", "States.", []


def samples(metrics: PrometheusMetrics) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = [sample.labels[label] for label in sorted(sample.labels)]
            found[(sample.name, *labels)] = sample.value
    return found


def test_what_happens_is_counted_by_its_labels() -> None:
    metrics = PrometheusMetrics(gauges)
    metrics(CallRouted(**CALL, rule="room.prefix", reason="x", ms=0.1))  # type: ignore[arg-type]
    metrics(CallStarted(**CALL, setup_seconds=0.1))  # type: ignore[arg-type]
    metrics(CallEnded(**CALL, reason="x", seconds=1.0, failed=True))  # type: ignore[arg-type]
    for _ in range(2):
        metrics(CallRejected(job_id="j", room="r", cause="full", reason="x"))
    metrics(PluginFailed(plugin="vip:vip", distribution="vip", hook="openrtc_route", error="x"))
    metrics(LoopBlocked(**CALL, seconds=9.0, ongoing=True))  # type: ignore[arg-type]
    metrics(LoopBlocked(**CALL, seconds=1.5, ongoing=False))  # type: ignore[arg-type]
    metrics(CallLeftBehind(**CALL, left_by="vip", tasks=3, threads=1, rooms=0, place="x"))  # type: ignore[arg-type]
    found = samples(metrics)
    assert [found["openrtc_left_behind_total", "vip", kind] for kind in ("tasks", "threads", "rooms")] == [3, 1, 0]
    assert found["openrtc_routing_decisions_total", "support", "room.prefix"] == 1
    assert found["openrtc_sessions_started_total", "support"] == 1
    assert found["openrtc_sessions_ended_total", "support"] == 1
    assert found["openrtc_sessions_failed_total", "support"] == 1
    assert found["openrtc_rejects_total", "full"] == 2
    assert found["openrtc_plugin_failures_total", "openrtc_route", "vip:vip"] == 1
    assert found["openrtc_loop_blocked_seconds_total", "support"] == 1.5


def test_latencies_that_are_known_fall_into_buckets() -> None:
    metrics = PrometheusMetrics(gauges)
    metrics(TurnCompleted(**CALL, latency_seconds=0.75, llm_ttft_seconds=0.2))  # type: ignore[arg-type]
    metrics(TurnCompleted(**CALL))  # type: ignore[arg-type]
    found = samples(metrics)
    assert found["openrtc_turn_latency_seconds_count", "support"] == 1
    assert found["openrtc_turn_latency_seconds_bucket", "support", "0.7"] == 0
    assert found["openrtc_turn_latency_seconds_bucket", "support", "0.8"] == 1
    assert found["openrtc_turn_stage_seconds_count", "support", "llm_ttft"] == 1
    assert ("openrtc_turn_stage_seconds_count", "support", "tts_ttfb") not in found


def test_the_values_of_this_moment_and_the_resources_are_gauges() -> None:
    metrics = PrometheusMetrics(gauges)
    metrics(ResourceLoaded(key="vad", distribution="silero", ready=True, seconds=0.5, memory_mb=12.0))
    metrics(ResourceLoaded(key="index", distribution="x", ready=False, seconds=0, memory_mb=0, reason="gone"))
    found = samples(metrics)
    assert found[("openrtc_sessions",)] == 2
    assert found["openrtc_agent_state", "b", "broken"] == 1
    assert found["openrtc_resource_ready", "silero", "vad"] == 1
    assert found["openrtc_resource_ready", "x", "index"] == 0
    assert found["openrtc_resource_load_seconds", "silero", "vad"] == 0.5
    assert found["openrtc_resource_memory_bytes", "silero", "vad"] == 12e6
    assert ("openrtc_resource_load_seconds", "x", "index") not in found


def test_two_workers_of_one_process_count_apart() -> None:
    first, second = PrometheusMetrics(gauges), PrometheusMetrics(gauges)
    first(CallRejected(job_id="j", room="r", cause="full", reason="x"))
    assert ("openrtc_rejects_total", "full") not in samples(second)
