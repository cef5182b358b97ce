"""What a package may not call at import, since the worker would not come to run, or would run no calls.

Nothing here imports livekit or any of these packages: each function is watched as soon as its module is imported.
"""

from __future__ import annotations

import functools
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is refused.

    Args:
        reason: What it does; the call stands before it.
        fix: What to do instead.
    """

    reason: str
    fix: str


PROGRAM = Refusal("starts a program at import", 'put it below if __name__ == "__main__":')
PATCHING = Refusal("would replace threads and sockets for the whole process", "take it out: calls run in asyncio")

REFUSED: Mapping[str, Mapping[str, Refusal]] = {
    "livekit.agents.cli.cli": {"run_app": PROGRAM},
    "livekit.agents.cli": {"run_app": PROGRAM},
    "livekit.agents.worker": {"AgentServer.run": PROGRAM},
    "gevent.monkey": dict.fromkeys(
        ("patch_all", "patch_socket", "patch_ssl", "patch_select", "patch_subprocess", "patch_thread", "patch_time"),
        PATCHING,
    ),
    "eventlet": {"monkey_patch": PATCHING},
    "eventlet.patcher": {"monkey_patch": PATCHING},
}
"""By module, the functions that are refused."""

Refuse = Callable[[str, Refusal], None]


def watch_calls(refuse: Refuse) -> None:
    """Call ``refuse`` before each such call from now on, whether its module has been imported or will be.

    Args:
        refuse: Takes what is called, and why it may be refused; what it raises is raised there.
    """
    global _refuse
    _refuse = refuse
    for module in REFUSED:
        if module in sys.modules:
            _watch_module(module)
    waiting = REFUSED.keys() - sys.modules.keys()
    if waiting and not any(isinstance(finder, _RefusedFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _RefusedFinder())


def _watch_module(module: str) -> None:
    for path, refusal in REFUSED[module].items():
        holder_path, _, attribute = path.rpartition(".")
        try:
            holder = pkgutil.resolve_name(f"{module}:{holder_path}") if holder_path else sys.modules[module]
            function = getattr(holder, attribute)
        except AttributeError:  # another release has it elsewhere, or the module is being imported just now
            continue
        if not hasattr(function, "openrtc_watched"):
            name = f"{holder_path or module.rpartition('.')[2]}.{attribute}()"
            setattr(holder, attribute, _watch(function, name, refusal))


def _watch(function: Callable[..., Any], name: str, refusal: Refusal) -> Callable[..., Any]:
    async def run_async(*args: Any, **options: Any) -> Any:
        _refuse(name, refusal)
        return await function(*args, **options)

    def run(*args: Any, **options: Any) -> Any:
        _refuse(name, refusal)
        return function(*args, **options)

    watched = functools.wraps(function)(run_async if inspect.iscoroutinefunction(function) else run)
    vars(watched)["openrtc_watched"] = True
    return watched


def _refuse_nothing(name: str, refusal: Refusal) -> None:
    """Stand for what `watch_calls` is given first."""


_refuse: Refuse = _refuse_nothing


class _RefusedFinder(MetaPathFinder):
    """Finds the modules of such functions as everybody else does, and watches them once they are executed."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname not in REFUSED:
            return None
        for finder in [finder for finder in sys.meta_path if finder is not self]:
            spec = finder.find_spec(fullname, path, target) if hasattr(finder, "find_spec") else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _WatchingLoader(spec.loader)
                return spec
        return None


class _WatchingLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self._loader  # as everybody else expects it
        self._loader.exec_module(module)
        _watch_module(module.__name__)
