"""`Catalog`: every agent by name, usable or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from openrtc.cast.company import Company, improvised, part_of
from openrtc.catalog.casts import by_name, settle_casts, why_no_member
from openrtc.catalog.clashes import settle
from openrtc.catalog.isolation import KINDS, isolation_for
from openrtc.catalog.spec import AgentSpec
from openrtc.config import Config
from openrtc.discovery.entries import State
from openrtc.errors import OpenRTCError
from openrtc.plugins.loaded import Loaded, LoadedAgent
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

        Args:
            loaded: What `load` gave.
            specs: Agents registered in code, each with a name. One whose name a package brings too is a conflict.
        """
        loaded = loaded or Loaded()
        code = [LoadedAgent(name=spec.name, spec=spec) for spec in specs]
        return cls(settle_casts(settle([*code, *loaded.agents], loaded.prefer)))

    @cached_property
    def agents(self) -> Mapping[str, LoadedAgent]:
        """The agent of each name: the usable one, else the first of that name."""
        return by_name(self.rows)

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

    def get(self, name: str) -> LoadedAgent:
        """Return the agent ``name``, usable or not.

        Raises:
            OpenRTCError: There is none of that name.
        """
        if name not in self.agents:
            raise OpenRTCError(f'there is no agent "{name}"', fix=self._instead_of(name))
        return self.agents[name]

    def why_not_ready(self, name: str) -> str | None:
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
            if problem := self.why_not_ready(name) or why_no_member(name, self.agents):
                return problem
        return None

    def company(self, names: Sequence[str]) -> Company | None:
        """Return the cast that these agents are: one of them that is a cast, or several; None for a single agent.

        Raises:
            OpenRTCError: One of them cannot be a member.
        """
        spec = self.get(names[0]).spec
        cast = improvised(names) if len(names) > 1 else spec.cast if spec else None
        if cast is None:
            return None
        parts = tuple(part_of(member, self.agents) for member in cast.members)
        said = [*(spec.examples if spec else ()), *(one for part in parts for one in part.spec.examples)]
        return Company(name="+".join(names), cast=cast, parts=parts, examples=tuple(dict.fromkeys(said)))

    def counted(self, names: Sequence[str]) -> frozenset[str]:
        """Return every agent of the catalogue that takes part in a call of these: themselves, and members by name."""
        members = [member for name in names if name in self.agents for member in self.agents[name].members]
        return frozenset([*names, *members])

    def display_name(self, name: str) -> str:
        """Return the name that other participants see."""
        agent = self.agents.get(name)
        return (agent.spec.display_name if agent and agent.spec else "") or name

    def isolation(self, name: str, config: Config) -> str:
        """Return where the calls of the agent ``name`` run: ``coroutine``, ``thread`` or ``process``.

        A cast runs where the member runs that is the most apart, unless the operator says otherwise.

        Args:
            name: The agent.
            config: The settings.
        """
        agent = self.agents.get(name)
        own = isolation_for(name, agent.wish if agent else "", config.isolation, config.worker.isolation)
        if name in config.isolation or agent is None:
            return own
        return max([own, *(self.isolation(member, config) for member in agent.members)], key=KINDS.index)

    def with_state(self, name: str, state: State, reason: str, fix: str | None = None) -> Catalog:
        """Return a catalogue in which the agent ``name`` stands otherwise.

        Args:
            name: The agent.
            state: Its new state.
            reason: Why.
            fix: What mends it.
        """
        chosen = self.get(name)
        changed = replace(chosen, state=state, reason=reason, fix=fix)
        return Catalog(tuple(changed if row is chosen else row for row in self.rows))

    def _instead_of(self, name: str) -> str:
        known = f"there are: {', '.join(self.names)}" if self.agents else "no agent is installed"
        return did_you_mean(name, self.names, known)
