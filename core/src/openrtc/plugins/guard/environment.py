"""The environment variables, of which a package may add some for all: LiveKit's examples read a ``.env`` at import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from openrtc.plugins.guard.mark import Mark

PROTECTED = ("LIVEKIT_", "OPENRTC_", "PYTHON", "LD_", "DYLD_")
"""How variables begin that no package adds for all; ``PATH`` is another one. What was there before stays as it was."""


@dataclass(frozen=True, slots=True)
class _Environment:
    holder: Any
    variables: Mapping[str, str]


def _read() -> _Environment:
    return _Environment(os.environ, dict(os.environ))


def _find_changes(before: _Environment, now: _Environment) -> list[str]:
    changed = [name for name, value in before.variables.items() if now.variables.get(name) != value]
    added = now.variables.keys() - before.variables.keys()
    return sorted([*changed, *(name for name in added if name == "PATH" or name.startswith(PROTECTED))])


def _is_same(before: _Environment, now: _Environment) -> bool:
    return before.holder is now.holder and not _find_changes(before, now)


def _restore(before: _Environment, now: _Environment) -> None:
    os.environ = before.holder  # noqa: B003 - the real one is not cleared, but put back
    for name in _find_changes(before, _read()):
        if name in before.variables:
            os.environ[name] = before.variables[name]
        else:
            del os.environ[name]


def _describe(before: _Environment, now: _Environment) -> str:
    if before.holder is not now.holder:
        return "os.environ"
    names = _find_changes(before, now)
    return f"the environment variable{'s' if len(names) > 1 else ''} {', '.join(names)}"


ENVIRONMENT = Mark("the environment variables", _read, _restore, _is_same, _describe, missed=True)
