"""`Entry`: one installed entry point, known without importing it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

AGENTS_GROUP = "openrtc.agents"
PLUGINS_GROUP = "openrtc.plugins"


class State(StrEnum):
    """Where an entry stands."""

    INSTALLED = "installed"
    """Found, not imported yet."""
    READY = "ready"
    """Loaded, can be used."""
    DISABLED = "disabled"
    """Denied by the operator."""
    NOT_ALLOWED = "not-allowed"
    """Missing from the operator's allow list."""
    INCOMPATIBLE = "incompatible"
    """Needs other versions than are installed."""
    BROKEN = "broken"
    """Cannot be read or imported, or is not what it should be."""
    CONFLICT = "conflict"
    """Another distribution brings the same name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One installed entry point, known without importing it.

    Args:
        group: ``openrtc.agents`` or ``openrtc.plugins``.
        name: The entry point's name.
        value: What it points at: ``package.module:attribute`` or ``package.module``.
        distribution: Name of the installed distribution.
        version: Its version.
        state: Where the entry stands.
        reason: Why it cannot be used; None when it can.
        fix: The command or step that mends it; None when nothing is wrong.
        location: ``file:line`` of the cause, where there is one.
        summary: The distribution's summary.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str
    state: State = State.INSTALLED
    reason: str | None = None
    fix: str | None = None
    location: str | None = None
    summary: str = ""

    @property
    def is_agent(self) -> bool:
        """Whether this entry is one agent, whose name is the entry point's."""
        return self.group == AGENTS_GROUP and ":" in self.value

    @property
    def usable(self) -> bool:
        """Whether the entry may be imported."""
        return self.state in (State.INSTALLED, State.READY)
