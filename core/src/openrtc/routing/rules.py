"""The built-in routing rules, each a function from a request and the catalogue to a decision or None."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from openrtc.catalog.catalog import Catalog
from openrtc.errors import OpenRTCError
from openrtc.model.decision import Decision
from openrtc.model.dispatch_names import REQUESTED_AGENT_ATTRIBUTE, WorkerNames
from openrtc.model.request import RouteRequest, is_name, parse_metadata
from openrtc.settings.config import RoutingSettings

# What the dispatcher asks for in so many words goes before a router plugin, which goes before a guess.
BEFORE_PLUGINS = ("job.agent_name", "job.agent", "job.demo", "job.attribute", "room.agent", "room.demo")
AFTER_PLUGINS = ("room.prefix", "default")
PREFIX_SEPARATOR = "-"
SIGNED = ("agent_name_agents", "attribute_agents", "job_metadata_agents")
"""The settings of the channels that a dispatch's mark covers."""
NO_MARK = "its dispatch is not signed, as [routing] signed wants it: make it by OpenRTC's functions or commands"
OTHER_MARK = "its dispatch was signed with another API secret, or for another room, agent, metadata or attributes"
NO_ROOM_MARK = "room metadata is never signed, as [routing] signed wants it: name the agent in a dispatch"
ALL_INTERNAL = "each agent that is ready is internal ([routing] default = …)"
ONLY_NAMED = "every agent has an agent name in its code, by which alone it is dispatched ([routing] default = …)"


CHANNELS = {
    "prefix_agents": "the room name",
    "room_metadata_agents": "room metadata",
    "job_metadata_agents": "the metadata of a dispatch",
    "attribute_agents": "an attribute of a dispatch",
    "agent_name_agents": "the agent name of a dispatch",
}
"""By the setting that says which agents it may choose."""

_RULES_OF = {
    "prefix_agents": ("room.prefix",),
    "room_metadata_agents": ("room.agent", "room.demo"),
    "job_metadata_agents": ("job.agent", "job.demo"),
    "attribute_agents": ("job.attribute",),
    "agent_name_agents": ("job.agent_name",),
}
"""The rules by which each channel chooses."""


@dataclass(frozen=True, slots=True)
class RuleContext:
    """What the rules know besides the request.

    Args:
        catalog: The agents.
        settings: The default agent, and which agents each channel may choose.
        worker_agent_name: The setting ``agent_name``; a job under a name of the worker's own chooses nothing by it.
        late: What happened to packages after the worker has loaded them, by the names of their agents.
    """

    catalog: Catalog
    settings: RoutingSettings
    worker_agent_name: str = ""
    late: Mapping[str, str] = field(default_factory=dict)

    @property
    def automatic(self) -> Sequence[str]:
        """The agents that may get a call for which nobody has asked for one.

        With LiveKit, who is dispatched by a name gets no automatic dispatch.
        """
        names = WorkerNames.parse(self.worker_agent_name)
        agents = [self.catalog.get(name) for name in self.catalog.ready]
        named = {agent.name: agent.worker.agent_name for agent in agents if agent.worker and agent.worker.agent_name}
        free = [one.name for one in agents if one.name not in named or not names.counts_in_code(named[one.name])]
        return [name for name in free if not self.is_internal(name)]

    def is_internal(self, name: str) -> bool:
        """Whether only a signed dispatch, a router, a cast or a hand-off chooses an agent."""
        spec = self.catalog.get(name).spec if name in self.catalog.agents else None
        return name in self.settings.internal or (spec is not None and spec.internal)

    def why_unusable(self, name: str) -> str | None:
        """Return why no call can be routed to an agent, in one line, or None when it can.

        Args:
            name: The agent's name.
        """
        problem, late = self.catalog.why_unusable(name), self.late.get(name)
        if problem is None or late is None:
            return problem
        if name not in self.catalog.agents:
            return str(OpenRTCError(f'there is no agent "{name}" yet: {late}', fix="restart the worker"))
        return f"{problem}; {late}"

    def list_open_channels(self, rules: Collection[str]) -> list[str]:
        """Return the settings of the channels by which whoever can write there chooses any agent that is not internal.

        Args:
            rules: The rules that are asked.
        """
        names = WorkerNames.parse(self.worker_agent_name)
        by_name = names.per_agent or bool(names.select_in_code(self.catalog.names_in_code))
        return [
            setting
            for setting in CHANNELS
            if getattr(self.settings, setting) is None
            and any(rule in rules for rule in _RULES_OF[setting])
            and not (self.settings.signed and setting != "prefix_agents")
            and (by_name or setting != "agent_name_agents")
        ]

    def why_not_allowed(self, name: str, setting: str, request: RouteRequest) -> str | None:
        """Return why a channel may not choose an agent, in one line, or None where it may.

        Args:
            name: The agent's name.
            setting: The setting that says which agents that channel may choose.
            request: The call; a signed dispatch chooses any agent.
        """
        if setting in SIGNED:
            if request.signed:
                return None
            if self.settings.signed:
                return NO_MARK if request.signed is None else OTHER_MARK
        elif setting == "room_metadata_agents" and self.settings.signed:
            return NO_ROOM_MARK
        if self.is_internal(name):
            return f"{name!r} is internal: only a signed dispatch, a router, a cast or a hand-off chooses it"
        allowed: Collection[str] | None = getattr(self.settings, setting)
        if allowed is None or name in allowed:
            return None
        return f"{CHANNELS[setting]} may not choose {name!r} ([routing] {setting})"


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule's decision, or none; and why."""

    decision: Decision | None
    reason: str


Rule = Callable[[RouteRequest, RuleContext], RuleResult]


def choose_named(name: str, asked_by: str, setting: str, request: RouteRequest, context: RuleContext) -> RuleResult:
    """Choose an agent that was asked for by name; reject when it cannot be, since to guess would be worse."""
    problem = context.why_not_allowed(name, setting, request) or context.why_unusable(name)
    if problem is None:
        return RuleResult(Decision.to(name), f"{asked_by} asks for {name!r}")
    return RuleResult(Decision.reject(f"{asked_by} asks for {name!r:.80}: {problem}"), problem)


def choose_by_agent_name(request: RouteRequest, context: RuleContext) -> RuleResult:
    """Choose the dispatch's agent name, when agents are dispatched by their own names."""
    if not request.agent_name:
        return RuleResult(None, "the job has no agent name")
    names = WorkerNames.parse(context.worker_agent_name)
    in_code = names.select_in_code(context.catalog.names_in_code).get(request.agent_name)
    # Under a name that is the worker's as well, a dispatch may ask for another agent.
    if in_code and not (request.agent_name in names.own and request.attributes.get(REQUESTED_AGENT_ATTRIBUTE)):
        if problem := context.why_not_allowed(in_code, "agent_name_agents", request):
            return RuleResult(Decision.reject(f"the job's agent name asks for {in_code!r}: {problem}"), problem)
        return RuleResult(Decision.to(in_code), f"{request.agent_name!r} is the agent name in the code of {in_code!r}")
    if names.choose_no_agent(request.agent_name, context.catalog.names):
        return RuleResult(None, f"{request.agent_name!r} is the name of the worker")
    return choose_named(request.agent_name, "the job's agent name", "agent_name_agents", request, context)


def choose_by_attribute(request: RouteRequest, context: RuleContext) -> RuleResult:
    """Choose what the dispatch attribute ``openrtc.agent`` names."""
    name = request.attributes.get(REQUESTED_AGENT_ATTRIBUTE, "").strip()
    if not name:
        return RuleResult(None, f"the job has no attribute {REQUESTED_AGENT_ATTRIBUTE!r}")
    asked_by = f"the job attribute {REQUESTED_AGENT_ATTRIBUTE!r}"
    return choose_named(name, asked_by, "attribute_agents", request, context)


def _build_metadata_rule(where: str, key: str) -> Rule:
    def rule(request: RouteRequest, context: RuleContext) -> RuleResult:
        metadata = request.job_metadata if where == "job" else request.room_metadata
        raw = request.job_metadata_raw if where == "job" else request.room_metadata_raw
        if metadata is None:
            problem = parse_metadata(raw)[1]
            return RuleResult(None, f"{where} metadata is {problem}" if problem else f"no {where} metadata")
        return _choose_by_metadata(metadata, where, key, request, context)

    return rule


def _choose_by_metadata(
    metadata: Mapping[str, Any], where: str, key: str, request: RouteRequest, context: RuleContext
) -> RuleResult:
    name = metadata.get(key)
    if name is None:
        return RuleResult(None, f"{where} metadata has no {key!r}")
    if not is_name(name):
        return RuleResult(None, f"{where} metadata has {key!r}, but it is no name: {name!r:.40}: ignored")
    return choose_named(name.strip(), f"{where} metadata {key!r}", f"{where}_metadata_agents", request, context)


def choose_by_room_prefix(request: RouteRequest, context: RuleContext) -> RuleResult:
    """Choose the longest agent name that the room's name starts with, followed by ``-`` or by nothing."""
    room = request.room_name
    fitting = [name for name in context.catalog.names if room == name or room.startswith(name + PREFIX_SEPARATOR)]
    if not fitting:
        return RuleResult(None, f"no agent's name starts the room name {room!r:.80}")
    refused = {
        name: problem for name in fitting if (problem := context.why_not_allowed(name, "prefix_agents", request))
    }
    if len(refused) == len(fitting):
        return RuleResult(None, refused[max(refused, key=len)])
    name = max((name for name in fitting if name not in refused), key=len)
    problem = context.why_unusable(name)
    if problem:
        return RuleResult(Decision.reject(f"the room name {room!r:.80} starts with {name!r}: {problem}"), problem)
    return RuleResult(Decision.to(name), f"the room name starts with {name!r}")


def choose_default(request: RouteRequest, context: RuleContext) -> RuleResult:
    """Choose the configured default agent, else the first one that is ready."""
    if context.settings.default:
        problem = context.catalog.why_unusable(context.settings.default)
        if problem:
            return RuleResult(Decision.reject(f"the default agent {context.settings.default!r}: {problem}"), problem)
        return RuleResult(Decision.to(context.settings.default), "the configured default")
    if not context.catalog.ready:
        return RuleResult(Decision.reject("no agent is ready to take calls"), "no agent is ready")
    ready = [name for name in context.catalog.ready if not context.is_internal(name)]
    if not ready:
        return RuleResult(Decision.reject(ALL_INTERNAL), ALL_INTERNAL)
    candidates = ready if request.agent_name else context.automatic
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
