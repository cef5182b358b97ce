"""Puts the routing decision on the span that livekit-agents keeps for the job."""

from __future__ import annotations

from opentelemetry import trace

from openrtc.routing.decision import Decision


def mark_job_span(decision: Decision, distribution: str) -> None:
    """Add the decision to the current span; without a tracer provider there is none that records, and nothing is done.

    livekit-agents makes the span of a job itself, with whatever provider ``telemetry.set_tracer_provider`` was given:
    OpenRTC makes no span of its own.

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
