"""Whose code runs: which package of an agent or plugin, by the frames of the stack or by the call."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import FrameType

NO_PACKAGES = ("openrtc", "livekit")
"""Whose code is no package's."""
PLUGINS = "livekit.plugins."
"""Where livekit's name space holds the packages of others."""
ASKING = ("logging", "openrtc.observe.log_guard", "openrtc.worker.signal_guard", __name__)
"""Whose frames stand between who is looked for and who asks."""

_packages: dict[str, bool] = {}  # by the name of the package: whether it is a plugin
_distributions: dict[str, str] = {}  # by the name of the package: who brings it
_find_current: Callable[[], Collection[str]] = tuple


def note_packages(modules: Iterable[str], *, plugins: bool = False, distribution: str = "") -> None:
    """Note whose code is a package's from now on.

    Args:
        modules: Modules of the packages.
        plugins: Whether they are plugins; a package that has agents too counts as one of agents.
        distribution: The distribution that brings them; empty for code of the program itself.
    """
    for module in modules:
        name = _find_package_name(module)
        top = name.partition(".")[0]
        if not name or top in sys.stdlib_module_names or (top in NO_PACKAGES and not name.startswith(PLUGINS)):
            continue  # an agent may be livekit's own class, or a partial function
        _packages[name] = plugins and _packages.get(name, True)
        if distribution:
            _distributions[name] = distribution


def use_current_packages(find: Callable[[], Collection[str]]) -> None:
    """Set what returns the top-level modules of the agent whose call's code runs now; none for no call."""
    global _find_current
    _find_current = find


def list_current_packages() -> Collection[str]:
    """Return the top-level modules of the agent whose call's code runs now."""
    return _find_current()


def find_package(*, direct: bool = False) -> str | None:
    """Return the package whose code runs now, None where it is OpenRTC's or livekit's, or nobody's that is known.

    Args:
        direct: Whether only who has called `logging` counts, and not who has called a library that did.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _packages:
        module = str(frame.f_globals.get("__name__", ""))
        top = module.partition(".")[0]
        if package := match_package(module):
            return package
        if not module.startswith(ASKING) and (top in NO_PACKAGES or direct):
            return None
        frame = frame.f_back
    return None


def _find_package_name(module: str) -> str:
    """Return the package that a module belongs to: the first of its parents that is no mere name space."""
    parts = module.split(".")
    for number in range(1, len(parts)):
        name = ".".join(parts[:number])
        with contextlib.suppress(ImportError, ValueError):
            spec = sys.modules[name].__spec__ if name in sys.modules else importlib.util.find_spec(name)
            if spec is None or spec.origin is not None:
                return name
    return module


def match_package(module: str) -> str | None:
    """Return the package that a module or logger of this name belongs to, if any."""
    while module:
        if module in _packages:
            return module
        module = module.rpartition(".")[0]
    return None


def find_code_distribution(module: str) -> str:
    """Return the distribution of the agent or plugin whose module it is; empty where none is known."""
    return _distributions.get(match_package(module) or "", "")


def is_plugin(package: str) -> bool:
    """Whether a package is one of plugins only."""
    return _packages.get(package, False)


def forget_packages() -> None:
    """Know no packages any more."""
    _packages.clear()
    _distributions.clear()
    use_current_packages(tuple)


def is_current(package: str) -> bool:
    """Whether a call of the package's agent runs now."""
    return package.partition(".")[0] in _find_current()


def is_code_of(path: str, package: str) -> bool:
    """Whether a file is a package's."""
    file = getattr(sys.modules.get(package), "__file__", None)
    if not file:
        return False
    return os.path.dirname(file) in map(str, Path(path).parents) if file.endswith("__init__.py") else path == file
