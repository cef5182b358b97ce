"""What loading gives: agents and plugins, each with its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openrtc.catalog.spec import AgentSpec
from openrtc.discovery.entries import Entry, State

if TYPE_CHECKING:
    from openrtc.plugins.fault import Fault
from openrtc.discovery.name_clashes import THIS_PROGRAM


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedAgent:
    """An agent after loading.

    Args:
        name: Its name.
        entry: Its entry point, or that of the plugin that brings it; None for one registered in code.
        spec: How to build it; None when it cannot be used or was not imported.
        state: Where it stands.
        reason: Why it cannot be used; None when it can.
        fix: What mends that.
        location: ``file:line`` of the cause, where there is one.
        load_ms: How long the import took, in milliseconds.
        isolation: What its package asks for, where there is no spec because another process has imported it.
        made_as: What it is, as in `AgentSpec.shape`, in that case.
        member_names: The agents that it names as members of its cast, in that case.
    """

    name: str
    entry: Entry | None = None
    spec: AgentSpec | None = None
    state: State = State.READY
    reason: str | None = None
    fix: str | None = None
    location: str | None = None
    load_ms: float = 0.0
    isolation: str = ""
    made_as: str = "agent"
    member_names: tuple[str, ...] = ()

    @classmethod
    def as_it_is(cls, entry: Entry) -> LoadedAgent:
        """Return the agent of an entry that was not imported."""
        return cls(
            name=entry.name,
            entry=entry,
            state=entry.state,
            reason=entry.reason,
            fix=entry.fix,
            location=entry.location,
        )

    @classmethod
    def broken(cls, entry: Entry, fault: Fault, ms: float = 0.0) -> LoadedAgent:
        """Return the agent of an entry whose import failed after ``ms`` milliseconds."""
        return cls(
            name=entry.name,
            entry=entry,
            state=State.BROKEN,
            reason=fault.reason,
            fix=fault.fix,
            location=fault.location,
            load_ms=ms,
        )

    @property
    def distribution(self) -> str:
        """The distribution that brings it; ``this program`` for one registered in code."""
        return self.entry.distribution if self.entry else THIS_PROGRAM

    @property
    def wish(self) -> str:
        """The isolation that its package asks for; empty for none."""
        return self.spec.isolation if self.spec else self.isolation

    @property
    def shape(self) -> str:
        """What it is, as in `AgentSpec.shape`."""
        return self.spec.shape if self.spec else self.made_as

    @property
    def members(self) -> tuple[str, ...]:
        """The agents of the catalogue that it names as members of its cast."""
        return self.spec.cast.names if self.spec and self.spec.cast else self.member_names

    @property
    def usable(self) -> bool:
        """Whether calls can be routed to it."""
        return self.state in (State.READY, State.INSTALLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin:
    """A plugin after loading.

    Args:
        name: ``distribution:entry-name``, unique.
        entry: Its entry point.
        target: The object with the hook implementations; None when it cannot be used.
        hooks: Names of the hooks that it implements.
        state: Where it stands.
        reason: Why it cannot be used; None when it can.
        fix: What mends that.
        location: ``file:line`` of the cause, where there is one.
        load_ms: How long the import took, in milliseconds.
    """

    name: str
    entry: Entry
    target: object = None
    hooks: tuple[str, ...] = ()
    state: State = State.READY
    reason: str | None = None
    fix: str | None = None
    location: str | None = None
    load_ms: float = 0.0

    @property
    def distribution(self) -> str:
        """The distribution that brings it."""
        return self.entry.distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """All agents and plugins after loading.

    Args:
        agents: Every agent, usable or not, in deterministic order.
        plugins: Every plugin, usable or not, in deterministic order; an object met twice stands here once.
        prefer: The operator's choice of distribution for names that several bring.
    """

    agents: tuple[LoadedAgent, ...] = ()
    plugins: tuple[LoadedPlugin, ...] = ()
    prefer: Mapping[str, str] = field(default_factory=dict)
