"""`LiveKitWorker`: what a package has written as a worker of its own, in livekit-agents' way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from openrtc.model.builders import name_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitWorker:
    """What a package has written as a worker of its own, in livekit-agents' way.

    Args:
        entrypoint: Runs each job.
        prewarm: Prepares a process, if anything does.
        on_request: Answers job requests, if anything of the package's own does.
        on_session_end: Called when a session has ended.
        on_simulation_end: Called when a simulation has ended.
        unused: What it says besides, and what has no effect here, by the names that livekit-agents has for it.
    """

    entrypoint: Callable[..., Any]
    prewarm: Callable[..., Any] | None = None
    on_request: Callable[..., Any] | None = None
    on_session_end: Callable[..., Any] | None = None
    on_simulation_end: Callable[..., Any] | None = None
    unused: Sequence[str] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What an operator should know of it, each in half a line."""
        notes = [f"prewarmed by {name_of(self.prewarm)}"] if self.prewarm else []
        if self.unused:
            notes.append(f"{', '.join(self.unused)} not used: the worker is OpenRTC's")
        return tuple(notes)
