"""What stands in the place of a LiveKit room where there is none: the console and the demo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

from openrtc.model.call import Call


class LocalFrontend(Protocol):
    """Talks to an agent without a LiveKit room."""

    text_only: bool
    """Whether it neither speaks nor listens: then the session gets a language model and nothing else."""

    async def before_start(self, call: Call, session: Any) -> None:
        """Attach inputs and outputs to an ``AgentSession`` that is about to start."""

    async def after_start(self, call: Call, session: Any) -> None:
        """Hold the conversation; the call ends when this returns."""


@runtime_checkable
class CastFrontend(LocalFrontend, Protocol):
    """A `LocalFrontend` that talks to casts, too."""

    async def before_member(self, call: Call, session: Any, name: str, *, is_ear: bool) -> None:
        """Attach outputs to the ``AgentSession`` of one member that is about to start."""

    async def with_cast(self, say: Callable[[str], Awaitable[None]], quiet: Callable[[], Awaitable[None]]) -> None:
        """Hold the conversation; the call ends when this returns.

        Args:
            say: Says something to the cast.
            quiet: Waits until nobody of the cast speaks or is about to.
        """
