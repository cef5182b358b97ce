"""The built-in routing rules, each a function from a request and the catalogue to a decision or None."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from openrtc.catalog.catalog import Catalog
from openrtc.routing.decision import Decision
from openrtc.routing.request import RouteRequest, parse_metadata

BEFORE_PLUGINS = ("job.agent_name", "job.agent", "job.demo", "job.attribute", "room.agent", "room.demo")
AFTER_PLUGINS = ("room.prefix", "default")
ATTRIBUTE = "openrtc.agent"
PREFIX_SEPARATOR = "-"


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What the rules know besides the request.

    Args:
        catalog: The agents.
        default: The configured default agent, if any.
        worker_agent_name: The one name that the worker is registered under; then a job's ``agent_name`` only addresses
            the worker and chooses nothing.
    """

    catalog: Catalog
    default: str | None = None
    worker_agent_name: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a rule says: a decision, or none and why."""

    decision: Decision | None
    reason: str


Rule = Callable[[RouteRequest, RuleContext], Answer]


def explicit(name: str, asked_by: str, catalog: Catalog) -> Answer:
    """Choose an agent that was asked for by name; reject when it cannot be had, since to guess would be worse."""
    problem = catalog.why_not_ready(name)
    if problem is None:
        return Answer(Decision.to(name), f"{asked_by} asks for {name!r}")
    return Answer(Decision.reject(f"{asked_by} asks for {name!r}: {problem}"), problem)


def by_agent_name(request: RouteRequest, context: RuleContext) -> Answer:
    """The dispatch's agent name, when agents are dispatched by their own names."""
    if not request.agent_name:
        return Answer(None, "the job has no agent name")
    if request.agent_name == context.worker_agent_name:
        return Answer(None, f"{request.agent_name!r} is the name of the worker")
    return explicit(request.agent_name, "the job's agent name", context.catalog)


def by_attribute(request: RouteRequest, context: RuleContext) -> Answer:
    """The dispatch attribute ``openrtc.agent``."""
    name = request.attributes.get(ATTRIBUTE, "").strip()
    if not name:
        return Answer(None, f"the job has no attribute {ATTRIBUTE!r}")
    return explicit(name, f"the job attribute {ATTRIBUTE!r}", context.catalog)


def _by_metadata(where: str, key: str) -> Rule:
    def rule(request: RouteRequest, context: RuleContext) -> Answer:
        metadata = request.job_metadata if where == "job" else request.room_metadata
        raw = request.job_metadata_raw if where == "job" else request.room_metadata_raw
        if metadata is None:
            problem = parse_metadata(raw)[1]
            return Answer(None, f"{where} metadata is {problem}" if problem else f"no {where} metadata")
        return _named_in(metadata, where, key, context.catalog)

    return rule


def _named_in(metadata: Mapping[str, Any], where: str, key: str, catalog: Catalog) -> Answer:
    name = metadata.get(key)
    if name is None:
        return Answer(None, f"{where} metadata has no {key!r}")
    if not isinstance(name, str) or not name.strip():
        return Answer(None, f"{where} metadata has {key!r}, but it is no name: {name!r:.40}: ignored")
    return explicit(name.strip(), f"{where} metadata {key!r}", catalog)


def by_room_prefix(request: RouteRequest, context: RuleContext) -> Answer:
    """The longest agent name that the room's name starts with, followed by ``-`` or by nothing."""
    room = request.room_name
    fitting = [name for name in context.catalog.names if room == name or room.startswith(name + PREFIX_SEPARATOR)]
    if not fitting:
        return Answer(None, f"no agent's name starts the room name {room!r:.80}")
    name = max(fitting, key=len)
    problem = context.catalog.why_not_ready(name)
    if problem:
        return Answer(Decision.reject(f"the room name {room!r:.80} starts with {name!r}: {problem}"), problem)
    return Answer(Decision.to(name), f"the room name starts with {name!r}")


def by_default(request: RouteRequest, context: RuleContext) -> Answer:
    """The configured default agent, else the first one that is ready."""
    if context.default:
        problem = context.catalog.why_not_ready(context.default)
        if problem:
            return Answer(Decision.reject(f"the default agent {context.default!r}: {problem}"), problem)
        return Answer(Decision.to(context.default), "the configured default")
    if not context.catalog.ready:
        return Answer(Decision.reject("no agent is ready to take calls"), "no agent is ready")
    return Answer(Decision.to(context.catalog.ready[0]), "the first registered agent")


RULES: Mapping[str, Rule] = {
    "job.agent_name": by_agent_name,
    "job.agent": _by_metadata("job", "agent"),
    "job.demo": _by_metadata("job", "demo"),
    "job.attribute": by_attribute,
    "room.agent": _by_metadata("room", "agent"),
    "room.demo": _by_metadata("room", "demo"),
    "room.prefix": by_room_prefix,
    "default": by_default,
}
