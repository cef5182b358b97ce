"""What happens in a conversation: heard, called, said, handed over, failed, ended."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller's words, as speech recognition understood them.

    Args:
        text: The words.
        at: When, on the monotonic clock.
    """

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Called:
    """A tool that the agent called.

    Args:
        tool: Its name.
        arguments: Its arguments, a JSON object as the language model wrote it.
        result: What it returned, or what went wrong.
        failed: Whether it raised.
        at: When it ended, on the monotonic clock.
    """

    tool: str
    arguments: str
    result: str
    failed: bool
    at: float

    @property
    def signature(self) -> str:
        """The call as it would stand in Python: ``order_status(order_number=7)``."""
        try:
            values = json.loads(self.arguments or "{}")
        except ValueError:
            return f"{self.tool}({self.arguments})"
        if not isinstance(values, dict):
            return f"{self.tool}({self.arguments})"
        return f"{self.tool}({', '.join(f'{name}={value!r}' for name, value in values.items())})"


@dataclass(frozen=True, slots=True)
class Said:
    """The agent's words.

    Args:
        text: The words.
        at: When they were complete, on the monotonic clock.
    """

    text: str
    at: float


@dataclass(frozen=True, slots=True)
class HandedOver:
    """Another agent took over.

    Args:
        to: The class of that agent.
        at: When, on the monotonic clock.
    """

    to: str
    at: float


@dataclass(frozen=True, slots=True)
class Failed:
    """A model of the session failed.

    Args:
        what: Which one, and why, in one line.
        at: When, on the monotonic clock.
    """

    what: str
    at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The session was closed.

    Args:
        error: What went wrong, in one line; None when nothing did.
        at: When, on the monotonic clock.
    """

    error: str | None
    at: float


Happening = Heard | Called | Said | HandedOver | Failed | Ended
