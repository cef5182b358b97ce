"""`ResourceSpec`: something loaded once per worker and shared by all its calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ResourceSpec:
    """Something loaded once per worker, before it accepts jobs, and shared by all its calls.

    The values under the keys ``vad`` and ``turn_detection`` are the defaults of every session; a callable value under
    these two keys is called for each session.

    Args:
        key: Under which agents find it, as in ``call.resources["vad"]``.
        load: Sync or async callable without arguments that returns the value. It runs on the main thread.
        close: Sync or async callable that takes the value, run when the worker stops.
    """

    key: str
    load: Callable[[], Any]
    close: Callable[[Any], Any] | None = None


class ResourceUnavailable(Exception):
    """Raised by a resource's ``load`` when something that it needs is missing: shown in one line, without a traceback.

    Args:
        message: What is missing.
        fix: The command or step that gets it.
    """

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix
