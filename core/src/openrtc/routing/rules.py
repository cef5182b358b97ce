"""The built-in routing rules, each a function from a request and the catalogue to a decision or None."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openrtc.catalog.catalog import Catalog
from openrtc.model.decision import Decision
from openrtc.model.dispatch_names import REQUESTED_AGENT_ATTRIBUTE, WorkerNames
from openrtc.model.request import RouteRequest, parse_metadata

# What the dispatcher asks for in so many words goes before a router plugin, which goes before a guess.
BEFORE_PLUGINS = ("job.agent_name", "job.agent", "job.demo", "job.attribute", "room.agent", "room.demo")
AFTER_PLUGINS = ("room.prefix", "default")
PREFIX_SEPARATOR = "-"
ONLY_NAMED = "every agent has an agent name in its code, by which alone it is dispatched ([routing] default = …)"


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What the rules know besides the request.

    Args:
        catalog: The agents.
        default: The configured default agent, if any.
        worker_agent_name: The setting ``agent_name``; a job under a name of the worker's own chooses nothing by it.
        prefix_agents: The agents that a room's name may choose; None for all.
        room_metadata_agents: The agents that room metadata may choose; None for all.
    """

    catalog: Catalog
    default: str | None = None
    worker_agent_name: str = ""
    prefix_agents: Collection[str] | None = None
    room_metadata_agents: Collection[str] | None = None

    @property
    def automatic(self) -> Sequence[str]:
        """The agents that may get a call for which nobody has asked for one.

        With LiveKit, who is dispatched by a name gets no automatic dispatch.
        """
        names = WorkerNames.parse(self.worker_agent_name)
        agents = [self.catalog.get(name) for name in self.catalog.ready]
        named = {agent.name: agent.worker.agent_name for agent in agents if agent.worker and agent.worker.agent_name}
        return [one.name for one in agents if one.name not in named or not names.counts_in_code(named[one.name])]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule's decision, or none; and why."""

    decision: Decision | None
    reason: str


Rule = Callable[[RouteRequest, RuleContext], RuleResult]


def choose_named(name: str, asked_by: str, catalog: Catalog) -> RuleResult:
    """Choose an agent that was asked for by name; reject when it cannot be used, since to guess would be worse."""
    problem = catalog.why_unusable(name)
    if problem is None:
        return RuleResult(Decision.to(name), f"{asked_by} asks for {name!r}")
    return RuleResult(Decision.reject(f"{asked_by} asks for {name!r}: {problem}"), problem)


def choose_by_agent_name(request: RouteRequest, context: RuleContext) -> RuleResult:
    """Choose the dispatch's agent name, when agents are dispatched by their own names."""
    if not request.agent_name:
        return RuleResult(None, "the job has no agent name")
    names = WorkerNames.parse(context.worker_agent_name)
    in_code = names.select_in_code(context.catalog.names_in_code).get(request.agent_name)
    # Under a name that is the worker's as well, a dispatch may ask for another agent.
    if in_code and not (request.agent_name in names.own and request.attributes.get(REQUESTED_AGENT_ATTRIBUTE)):
        return RuleResult(Decision.to(in_code), f"{request.agent_name!r} is the agent name in the code of {in_code!r}")
    if names.choose_no_agent(request.agent_name, context.catalog.names):
        return RuleResult(None, f"{request.agent_name!r} is the name of the worker")
    return choose_named(request.agent_name, "the job's agent name", context.catalog)


def choose_by_attribute(request: RouteRequest, context: RuleContext) -> RuleResult:
    """Choose what the dispatch attribute ``openrtc.agent`` names."""
    name = request.attributes.get(REQUESTED_AGENT_ATTRIBUTE, "").strip()
    if not name:
        return RuleResult(None, f"the job has no attribute {REQUESTED_AGENT_ATTRIBUTE!r}")
    return choose_named(name, f"the job attribute {REQUESTED_AGENT_ATTRIBUTE!r}", context.catalog)


def _build_metadata_rule(where: str, key: str) -> Rule:
    def rule(request: RouteRequest, context: RuleContext) -> RuleResult:
        metadata = request.job_metadata if where == "job" else request.room_metadata
        raw = request.job_metadata_raw if where == "job" else request.room_metadata_raw
        if metadata is None:
            problem = parse_metadata(raw)[1]
            return RuleResult(None, f"{where} metadata is {problem}" if problem else f"no {where} metadata")
        return _choose_by_metadata(metadata, where, key, context)

    return rule


def _choose_by_metadata(metadata: Mapping[str, Any], where: str, key: str, context: RuleContext) -> RuleResult:
    name = metadata.get(key)
    if name is None:
        return RuleResult(None, f"{where} metadata has no {key!r}")
    if not isinstance(name, str) or not name.strip():
        return RuleResult(None, f"{where} metadata has {key!r}, but it is no name: {name!r:.40}: ignored")
    asked_by = f"{where} metadata {key!r}"
    if where == "room" and not _is_allowed(name.strip(), context.room_metadata_agents):
        problem = "room metadata may not choose it ([routing] room_metadata_agents)"
        return RuleResult(Decision.reject(f"{asked_by} asks for {name.strip()!r}: {problem}"), problem)
    return choose_named(name.strip(), asked_by, context.catalog)


def _is_allowed(name: str, allowed: Collection[str] | None) -> bool:
    return allowed is None or name in allowed


def choose_by_room_prefix(request: RouteRequest, context: RuleContext) -> RuleResult:
    """Choose the longest agent name that the room's name starts with, followed by ``-`` or by nothing."""
    room = request.room_name
    fitting = [name for name in context.catalog.names if room == name or room.startswith(name + PREFIX_SEPARATOR)]
    if not fitting:
        return RuleResult(None, f"no agent's name starts the room name {room!r:.80}")
    allowed = [name for name in fitting if _is_allowed(name, context.prefix_agents)]
    if not allowed:
        longest = max(fitting, key=len)
        return RuleResult(None, f"the room name may not choose {longest!r} ([routing] prefix_agents)")
    name = max(allowed, key=len)
    problem = context.catalog.why_unusable(name)
    if problem:
        return RuleResult(Decision.reject(f"the room name {room!r:.80} starts with {name!r}: {problem}"), problem)
    return RuleResult(Decision.to(name), f"the room name starts with {name!r}")


def choose_default(request: RouteRequest, context: RuleContext) -> RuleResult:
    """Choose the configured default agent, else the first one that is ready."""
    if context.default:
        problem = context.catalog.why_unusable(context.default)
        if problem:
            return RuleResult(Decision.reject(f"the default agent {context.default!r}: {problem}"), problem)
        return RuleResult(Decision.to(context.default), "the configured default")
    if not context.catalog.ready:
        return RuleResult(Decision.reject("no agent is ready to take calls"), "no agent is ready")
    candidates = context.catalog.ready if request.agent_name else context.automatic
    if not candidates:
        return RuleResult(Decision.reject(f"nobody asks for an agent, and {ONLY_NAMED}"), ONLY_NAMED)
    return RuleResult(Decision.to(candidates[0]), "the first registered agent")


RULES: Mapping[str, Rule] = {
    "job.agent_name": choose_by_agent_name,
    "job.agent": _build_metadata_rule("job", "agent"),
    "job.demo": _build_metadata_rule("job", "demo"),
    "job.attribute": choose_by_attribute,
    "room.agent": _build_metadata_rule("room", "agent"),
    "room.demo": _build_metadata_rule("room", "demo"),
    "room.prefix": choose_by_room_prefix,
    "default": choose_default,
}
