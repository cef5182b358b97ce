"""`Entry`: one installed entry point, known without importing it."""

from __future__ import annotations

from dataclasses import dataclass

from openrtc.model.status import INSTALLED, HasStatus, Status

AGENTS_GROUP = "openrtc.agents"
PLUGINS_GROUP = "openrtc.plugins"
COMMANDS_GROUP = "openrtc.commands"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(HasStatus):
    """One installed entry point, known without importing it.

    Args:
        group: ``openrtc.agents``, ``openrtc.plugins`` or ``openrtc.commands``.
        name: The entry point's name.
        value: What it points at: ``package.module:attribute`` or ``package.module``.
        distribution: Name of the installed distribution.
        version: Its version.
        status: Where it stands; a location is a line of the distribution's metadata.
        summary: The distribution's summary.
        folder: The distribution's metadata folder, where it has one.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str
    status: Status = INSTALLED
    summary: str = ""
    folder: str = ""

    @property
    def is_agent(self) -> bool:
        """Whether this entry is one agent, whose name is the entry point's."""
        return self.group == AGENTS_GROUP and ":" in self.value

    @property
    def is_command(self) -> bool:
        """Whether this entry is a command of ``openrtc``, which nothing but its call imports."""
        return self.group == COMMANDS_GROUP

    @property
    def module(self) -> str:
        """The module that it points into."""
        return self.value.partition(":")[0]
