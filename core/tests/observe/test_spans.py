from __future__ import annotations

from collections.abc import Iterator

import pytest
from livekit.agents.telemetry import set_tracer_provider, tracer
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from openrtc.model.decision import Decision, TraceLine
from openrtc.observe.spans import add_decision_to_span

DECISION = Decision(
    agents=("support",),
    rule="room.prefix",
    reason="it starts so",
    trace=(TraceLine("job.agent", "openrtc", None, "none", 0.1),),
)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What livekit-agents' tracer exports."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_tracer_provider(provider)
    yield exporter
    set_tracer_provider(trace.NoOpTracerProvider())


def test_the_decision_stands_on_the_span_of_the_job_and_makes_none_of_its_own(spans: InMemorySpanExporter) -> None:
    with tracer.start_as_current_span("job"):
        add_decision_to_span(DECISION, "my-support-agent")
    (span,) = spans.get_finished_spans()
    assert dict(span.attributes or {}) == {
        "openrtc.agent": "support",
        "openrtc.distribution": "my-support-agent",
        "openrtc.rule": "room.prefix",
        "openrtc.reason": "it starts so",
    }
    (event,) = span.events
    assert (event.name, dict(event.attributes or {})["rule"]) == ("openrtc.rule", "job.agent")


def test_without_a_provider_nothing_is_done() -> None:
    with trace.NoOpTracer().start_as_current_span("job") as span:
        add_decision_to_span(DECISION, "my-support-agent")
    assert not span.is_recording()
