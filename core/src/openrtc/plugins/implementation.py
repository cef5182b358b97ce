"""`Implementation`: one plugin's implementation of one hook, and `HookResult`: what calling it gave."""

from __future__ import annotations

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
