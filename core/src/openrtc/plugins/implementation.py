"""`Implementation`: one plugin's implementation of one hook, and `HookResult`: what calling it gave."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from openrtc.errors import one_line


@dataclass(frozen=True, slots=True)
class Implementation:
    """One plugin's implementation of one hook.

    Args:
        hook: The hook's name.
        plugin: The plugin's name.
        distribution: The distribution that brings it.
        function: What is called.
        argument_names: Which of the hook's arguments it takes.
        tryfirst: Whether it asked to be called before the others.
    """

    hook: str
    plugin: str
    distribution: str
    function: Callable[..., Any]
    argument_names: tuple[str, ...]
    tryfirst: bool


@dataclass(frozen=True, slots=True)
class HookResult:
    """What calling one implementation gave.

    Args:
        implementation: The one that was called.
        value: What it returned; None when it failed.
        error: What it raised, `TimeoutError` when it took too long, else None.
        ms: How long it took, in milliseconds.
    """

    implementation: Implementation
    value: Any
    error: BaseException | None
    ms: float

    @property
    def error_line(self) -> str:
        """Type and message of the error."""
        return one_line(f"{type(self.error).__name__}: {self.error}")


class HookExit(RuntimeError):
    """A plugin raised ``SystemExit``, ``KeyboardInterrupt`` or ``StopIteration`` in a hook, or was broken off."""


def contain_exit(error: BaseException) -> BaseException:
    """Return an error as it may pass through a future: asyncio refuses one kind there, and lets others end the loop."""
    if isinstance(error, StopIteration) or not isinstance(error, Exception | asyncio.CancelledError):
        wrapped = HookExit(f"raised {error!r}")
        wrapped.__cause__ = error
        return wrapped
    return error
