"""`Catalog`: every agent by name, usable or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from openrtc.catalog.loaded import Loaded, LoadedAgent
from openrtc.catalog.names_in_code import claim_names, note_shared_names
from openrtc.catalog.resolved_cast import (
    ResolvedCast,
    improvise_cast,
    index_by_name,
    mark_broken_casts,
    resolve_member,
    why_no_member,
)
from openrtc.discovery.name_clashes import settle_name_clashes
from openrtc.discovery.policy import find_switched_off
from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.isolation import ISOLATIONS, choose_isolation
from openrtc.model.metadata import find_model_fault
from openrtc.model.names import normalise_name
from openrtc.model.own_options import find_shared_option
from openrtc.model.status import State, Status
from openrtc.settings.config import Config, Policy
from openrtc.suggest import did_you_mean


@dataclass(frozen=True)
class Catalog:
    """Every agent by name, in deterministic order; several rows share a name only when none of them can be used.

    Args:
        rows: Every agent: those registered in code, then the installed ones.
    """

    rows: tuple[LoadedAgent, ...] = field(default=())

    @classmethod
    def of(cls, loaded: Loaded | None = None, *, specs: Sequence[AgentSpec] = ()) -> Catalog:
        """Return the catalogue of what was loaded and of what was registered in code.

        This is where it is settled which agent of one name is used, and which casts lack a member: agents of hook
        modules and of code are known only now.

        Args:
            loaded: What `load` gave.
            specs: Agents registered in code, each with a name. One whose name a package brings too is a conflict.
        """
        loaded = loaded or Loaded()
        code = [_check_code(LoadedAgent(name=spec.name, spec=spec)) for spec in specs]
        rows = settle_name_clashes(
            _without_duplicates([*code, *(_switch_off(agent, loaded.policy) for agent in loaded.agents)]),
            loaded.policy.prefer,
            claims=lambda agent: agent.usable or agent.state is State.CONFLICT,
            replace_status=_withdraw,
        )
        return cls(note_shared_names(mark_broken_casts(rows)))

    @cached_property
    def agents(self) -> Mapping[str, LoadedAgent]:
        """The agent of each name: the usable one, else the first of that name."""
        return index_by_name(self.rows)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, also of agents that cannot be used."""
        return tuple(self.agents)

    @property
    def ready(self) -> tuple[str, ...]:
        """Names of the agents that calls can be routed to."""
        return tuple(name for name, agent in self.agents.items() if agent.usable)

    @property
    def conflicts(self) -> tuple[LoadedAgent, ...]:
        """Every agent whose name several packages, or a package and the program, claim."""
        return tuple(row for row in self.rows if row.state is State.CONFLICT)

    @cached_property
    def names_in_code(self) -> Mapping[str, str]:
        """The agent of each agent name that stands in a package's code, where it is one agent's alone."""
        return {name: agents[0] for name, agents in claim_names(self.agents).items() if len(agents) == 1}

    @property
    def shared_names_in_code(self) -> Mapping[str, Sequence[str]]:
        """The agents of each agent name in packages' code that several agents have, so that it is nobody's."""
        return {name: agents for name, agents in claim_names(self.agents).items() if len(agents) > 1}

    def get(self, name: str) -> LoadedAgent:
        """Return the agent ``name``, usable or not.

        Raises:
            OpenRTCError: There is none of that name.
        """
        if name not in self.agents:
            raise OpenRTCError(f'there is no agent "{name}"', fix=self._instead_of(name))
        return self.agents[name]

    def find_spec(self, name: str) -> AgentSpec | None:
        """Return how the agent ``name`` is built; None where there is none that can be used."""
        agent = self.agents.get(name)
        return agent.spec if agent and agent.usable else None

    def why_unusable(self, name: str) -> str | None:
        """Return why no call can be routed to ``name``, in one line, or None when it can."""
        if name not in self.agents:
            return str(OpenRTCError(f'there is no agent "{name}"', fix=self._instead_of(name)))
        agent = self.agents[name]
        if agent.usable:
            return None
        return str(OpenRTCError(f'agent "{name}" is {agent.state}: {agent.reason}', fix=agent.fix))

    def why_no_cast(self, names: Sequence[str]) -> str | None:
        """Return why these agents cannot be a cast, in one line, or None when they can."""
        if twice := next((name for name in names if names.count(name) > 1), None):
            return f'agent "{twice}" is named twice'
        for name in names:
            if problem := self.why_unusable(name) or why_no_member(name, self.agents):
                return problem
        return None

    def resolve_cast(self, names: Sequence[str]) -> ResolvedCast | None:
        """Return the cast that these agents are: one of them that is a cast, or several; None for a single agent.

        Raises:
            OpenRTCError: One of them cannot be a member.
        """
        spec = self.get(names[0]).spec
        cast = improvise_cast(names) if len(names) > 1 else spec.cast if spec else None
        if cast is None:
            return None
        members = tuple(resolve_member(member, self.agents) for member in cast.members)
        said = [*(spec.examples if spec else ()), *(one for member in members for one in member.spec.examples)]
        return ResolvedCast(name="+".join(names), cast=cast, members=members, examples=tuple(dict.fromkeys(said)))

    def limited_agents(self, names: Sequence[str]) -> frozenset[str]:
        """Return every agent that a call of these counts towards the session limit of: themselves, and members."""
        members = [member for name in names if name in self.agents for member in self.agents[name].members]
        return frozenset([*names, *members])

    def display_name(self, name: str) -> str:
        """Return the name that other participants see."""
        agent = self.agents.get(name)
        return (agent.spec.display_name if agent and agent.spec else "") or name

    def isolation(self, name: str, config: Config) -> str:
        """Return where the calls of the agent ``name`` run: ``coroutine``, ``thread`` or ``process``.

        A cast runs where the member runs that is the most isolated, unless the operator says otherwise.

        Args:
            name: The agent.
            config: The settings.
        """
        agent = self.agents.get(name)
        own = choose_isolation(name, agent.asked_isolation if agent else "", config.isolation, config.worker.isolation)
        if name in config.isolation or agent is None:
            return own
        return max([own, *(self.isolation(member, config) for member in agent.members)], key=ISOLATIONS.index)

    def with_status(self, name: str, status: Status) -> Catalog:
        """Return a catalogue in which the agent ``name`` has another status."""
        chosen = self.get(name)
        changed = replace(chosen, status=status)
        return Catalog(tuple(changed if row is chosen else row for row in self.rows))

    def _instead_of(self, name: str) -> str:
        known = f"there are: {', '.join(self.names)}" if self.agents else "no agent is installed"
        return did_you_mean(name, self.names, known)


def _check_code(agent: LoadedAgent) -> LoadedAgent:
    fault = (find_shared_option(agent.spec) or find_model_fault(agent.spec)) if agent.spec else None
    return agent if fault is None else _withdraw(agent, Status(State.BROKEN, fault.message, fault.fix))


def _switch_off(agent: LoadedAgent, policy: Policy) -> LoadedAgent:
    """Return an agent as the operator wants it: of one that a hook module brings, the name is known only now."""
    if agent.entry is None or agent.entry.is_agent:
        return agent
    status = find_switched_off(policy, normalise_name(agent.distribution), agent.name)
    return agent if status is None else _withdraw(agent, status)


def _withdraw(agent: LoadedAgent, status: Status) -> LoadedAgent:
    return replace(agent, spec=None, status=status)


def _without_duplicates(agents: Iterable[LoadedAgent]) -> list[LoadedAgent]:
    """Return the agents, one and the same class of one distribution once: it may bring it in both ways."""
    kept: list[LoadedAgent] = []
    for agent in agents:
        if not any(_are_the_same(agent, other) for other in kept):
            kept.append(agent)
    return kept


def _are_the_same(one: LoadedAgent, other: LoadedAgent) -> bool:
    if one.name != other.name or one.distribution != other.distribution or not one.spec or not other.spec:
        return False
    return all(getattr(one.spec, field) is getattr(other.spec, field) for field in ("agent", "entrypoint", "cast"))
