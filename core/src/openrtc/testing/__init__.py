"""Tests of agents, without keys: fixtures of pytest, and what tests import; see docs/testing.md.

The fixtures are there wherever openrtc-core is installed. They import livekit when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openrtc.rehearsal.errors import RehearsalError
    from openrtc.rehearsal.rehearse import Rehearsal
    from openrtc.rehearsal.script import Script, ToolCall
    from openrtc.settings.config import Config, Policy, SessionDefaults, WorkerSettings
    from openrtc.testing.fixtures import Install, Route, RunWorker, StartCall
    from openrtc.testing.worker_process import SpokenCall, TestedWorker

_HOMES = {
    "Config": "settings.config",
    "Install": "testing.fixtures",
    "Policy": "settings.config",
    "Rehearsal": "rehearsal.rehearse",
    "RehearsalError": "rehearsal.errors",
    "Route": "testing.fixtures",
    "Script": "rehearsal.script",
    "SessionDefaults": "settings.config",
    "SpokenCall": "testing.worker_process",
    "StartCall": "testing.fixtures",
    "RunWorker": "testing.fixtures",
    "TestedWorker": "testing.worker_process",
    "ToolCall": "rehearsal.script",
    "WorkerSettings": "settings.config",
}

__all__ = [
    "Config",
    "Install",
    "Policy",
    "Rehearsal",
    "RehearsalError",
    "Route",
    "RunWorker",
    "Script",
    "SessionDefaults",
    "SpokenCall",
    "StartCall",
    "TestedWorker",
    "ToolCall",
    "WorkerSettings",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: this package is imported in every test run."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"openrtc.{_HOMES[name]}"), name)
    return value
