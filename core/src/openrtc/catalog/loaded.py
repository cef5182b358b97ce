"""What loading gives: agents and plugins, each with its status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openrtc.discovery.entries import Entry
from openrtc.discovery.name_clashes import THIS_PROGRAM
from openrtc.model.agents import AgentSpec
from openrtc.model.lack import Lack
from openrtc.model.livekit_worker import LiveKitWorker
from openrtc.model.status import READY, HasStatus, Status
from openrtc.settings.config import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedAgent(HasStatus):
    """An agent after loading.

    Args:
        name: Its name.
        entry: Its entry point, or that of the plugin that brings it; None for one registered in code.
        spec: How to build it; None when it cannot be used or was not imported.
        status: Where it stands.
        load_ms: How long the import took, in milliseconds.
        asked_isolation: Which isolation its package asks for, empty for none; where there is no spec since another
            process has imported it.
        shape: What it is, as in `AgentSpec.shape`, in that case.
        members: The agents of the catalogue that it names as members of its cast, in that case.
        member_count: How many agents a call of it has in its room, in that case.
        alone: Where it stands when nothing else is imported, if that is known and differs.
        because_of: The distribution that makes this difference, if that is known.
        worker: What it is where its package has written it as a worker of livekit-agents' own kind.
        notes: What an operator should know of it, each in half a line.
        lacks: What it lacks to answer, in that case.
        metadata_schema: The JSON schema of the metadata that it wants, if any, where there is no spec since another
            process has imported it.
    """

    name: str
    entry: Entry | None = None
    spec: AgentSpec | None = None
    status: Status = READY
    load_ms: float = 0.0
    asked_isolation: str = ""
    shape: str = "agent"
    members: tuple[str, ...] = ()
    member_count: int = 1
    alone: Status | None = None
    because_of: str = ""
    worker: LiveKitWorker | None = None
    notes: tuple[str, ...] = ()
    lacks: tuple[Lack, ...] = ()
    metadata_schema: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.spec is not None:
            object.__setattr__(self, "asked_isolation", self.spec.isolation)
            object.__setattr__(self, "shape", self.spec.shape)
            object.__setattr__(self, "members", self.spec.cast.names if self.spec.cast else ())
            object.__setattr__(self, "member_count", len(self.spec.cast.members) if self.spec.cast else 1)

    @classmethod
    def of_entry(cls, entry: Entry, status: Status | None = None, load_ms: float = 0.0) -> LoadedAgent:
        """Return the agent of an entry that was not imported, or whose import failed with ``status``."""
        return cls(name=entry.name, entry=entry, status=status or entry.status, load_ms=load_ms)

    @property
    def distribution(self) -> str:
        """The distribution that brings it; ``this program`` for one registered in code."""
        return self.entry.distribution if self.entry else THIS_PROGRAM


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPlugin(HasStatus):
    """A plugin after loading.

    Args:
        name: ``distribution:entry-name``, unique.
        entry: Its entry point.
        target: The object with the hook implementations; None when it cannot be used.
        hooks: Names of the hooks that it implements.
        status: Where it stands.
        load_ms: How long the import took, in milliseconds.
    """

    name: str
    entry: Entry
    target: object = None
    hooks: tuple[str, ...] = ()
    status: Status = READY
    load_ms: float = 0.0

    @property
    def distribution(self) -> str:
        """The distribution that brings it."""
        return self.entry.distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """All agents and plugins after loading.

    Args:
        agents: Every agent, usable or not, in deterministic order; `Catalog.of` settles which of one name is used.
        plugins: Every plugin, usable or not, in deterministic order; an object met twice is listed once.
        policy: What the operator has switched off, and prefers of what several bring.
    """

    agents: tuple[LoadedAgent, ...] = ()
    plugins: tuple[LoadedPlugin, ...] = ()
    policy: Policy = field(default_factory=Policy)
