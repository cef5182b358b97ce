"""Adds the routing decision to the span that livekit-agents opens for a job."""

from __future__ import annotations

from opentelemetry import trace

from openrtc.model.decision import Decision


def add_decision_to_span(decision: Decision, distribution: str) -> None:
    """Add the decision to the current span. Without a tracer provider no span records, and nothing is done.

    livekit-agents opens the span of a job itself, with whatever provider ``telemetry.set_tracer_provider`` was given:
    OpenRTC opens none of its own.

    Args:
        decision: Which agent was chosen, and why.
        distribution: The distribution that brings it.
    """
    span = trace.get_current_span()
    if not span.is_recording():
        return
    span.set_attributes(
        {
            "openrtc.agent": decision.name,
            "openrtc.distribution": distribution,
            "openrtc.rule": decision.rule,
            "openrtc.reason": decision.reason,
        }
    )
    for line in decision.trace:
        span.add_event("openrtc.rule", {"rule": line.rule, "said": line.reason, "ms": line.ms})
