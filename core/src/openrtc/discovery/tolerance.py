"""Keeps one package's unreadable metadata from stopping the libraries that read everybody's.

``importlib.metadata.entry_points()`` raises for all distributions when a single ``entry_points.txt`` is malformed or
not UTF-8, and pydantic and OpenTelemetry, which livekit-agents imports, call it.
"""

from __future__ import annotations

import importlib.metadata
from functools import cache
from types import ModuleType
from typing import Any

import importlib_metadata


@cache
def tolerate_unreadable_metadata() -> None:
    """Where an installed distribution makes ``entry_points()`` raise, let it count as one without entry points.

    Does nothing where all metadata can be read. `discover` lists the distribution with its fault in any case.
    """
    for module in (importlib.metadata, importlib_metadata):
        try:
            module.entry_points()
        except Exception:  # of somebody's metadata, in any way
            _skip_unreadable(module)


def _skip_unreadable(module: ModuleType) -> None:
    read = module.Distribution.entry_points.fget

    def entry_points(distribution: Any) -> Any:
        try:
            return read(distribution)
        except Exception:  # `discover` has it as a row with the reason
            return module.EntryPoints(())

    module.Distribution.entry_points = property(entry_points)
