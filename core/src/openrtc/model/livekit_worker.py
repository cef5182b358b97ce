"""`LiveKitWorker`: what a package has written as a worker of its own, in livekit-agents' way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitWorker:
    """What a package has written as a worker of its own, in livekit-agents' way.

    Args:
        entrypoint: Runs each job.
        prewarm: Prepares a process, if anything does.
        prewarmed_by: What its package calls that.
        on_request: Answers job requests, if anything of the package's own does.
        on_session_end: Called when a session has ended.
        on_simulation_end: Called when a simulation has ended.
        agent_name: The name under which it is dispatched, if its code has one.
        registration: What it asks of the LiveKit server when it is registered under that name: ``type`` and
            ``permissions``, where it says anything of them.
        unused: What it says besides, and what has no effect here, by the names that livekit-agents has for it.
    """

    entrypoint: Callable[..., Any]
    prewarm: Callable[..., Any] | None = None
    prewarmed_by: str = ""
    on_request: Callable[..., Any] | None = None
    on_session_end: Callable[..., Any] | None = None
    on_simulation_end: Callable[..., Any] | None = None
    agent_name: str = ""
    registration: Mapping[str, Any] = field(default_factory=dict)
    unused: Sequence[str] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know of it, each in half a line."""
        notes = [f"prewarmed by {self.prewarmed_by}"] if self.prewarmed_by else []
        if self.agent_name:
            notes.append(f"agent name {self.agent_name!r} in its code")
        # Without a name, other agents' calls come by the same registration.
        if unused := [*self.unused, *(() if self.agent_name else self.registration)]:
            notes.append(f"{', '.join(unused)} not used: the worker is OpenRTC's")
        return tuple(notes)
