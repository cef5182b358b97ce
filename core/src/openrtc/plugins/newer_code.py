"""No mixture of old and new code: of a distribution that was upgraded under this process no further module is imported.

A package that pip has replaced is on the disk what it will be after a restart. What this process has imported of it
goes on to work; a module that was not would be new code in old, and may fail in any way, now or in an hour.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from typing import Any

from openrtc.discovery.loaded_distributions import Drift, LoadedDistributions
from openrtc.discovery.module_owners import ModuleOwner
from openrtc.discovery.own_files import is_within
from openrtc.errors import OpenRTCError
from openrtc.plugins.own_modules import PACKAGE_PREFIX

RESTART = "restart or roll it"


class NewerCode(OpenRTCError, ImportError):
    """A module is not imported, since another version of its distribution was installed than this process has loaded.

    Args:
        drift: What was installed, or removed.
        module: The module.
    """

    def __init__(self, drift: Drift, module: str) -> None:
        super().__init__(str(drift), fix=RESTART)
        self.drift = drift
        self.name = module

    def __str__(self) -> str:
        return describe_newer(self.drift)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.drift, self.name)


def describe_newer(drift: Drift) -> str:
    """Return what became of a distribution, and what the operator can do about it."""
    return f"{drift}; {RESTART}"


def refuse_newer_code(distributions: LoadedDistributions) -> MetaPathFinder:
    """Let no module be imported of a distribution that is another one now, while the finder is on ``sys.meta_path``.

    Args:
        distributions: What this process has loaded of each; which modules are whose is noted now.
    """
    if not distributions.owners:  # a job process has them from its worker
        distributions.note_modules()
    finder = _RefusingFinder(distributions)
    sys.meta_path.insert(0, finder)
    return finder


@contextlib.contextmanager
def keep_out_newer_code(distributions: LoadedDistributions) -> Iterator[None]:
    """Do so for the time of the context.

    Args:
        distributions: As for `refuse_newer_code`.
    """
    finder = refuse_newer_code(distributions)
    try:
        yield
    finally:
        if finder in sys.meta_path:
            sys.meta_path.remove(finder)


class _RefusingFinder(MetaPathFinder):
    """Finds nothing; where a module would be newer code, its import fails.

    Args:
        distributions: What this process has loaded of each distribution.
    """

    def __init__(self, distributions: LoadedDistributions) -> None:
        self._distributions = distributions

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> None:
        for owner in self._find_owners(fullname):
            drift = self._distributions.find_drift(owner.key)
            if drift and (owner.certain or self._is_its_own(fullname, path, owner)):
                raise NewerCode(drift, fullname)

    def _find_owners(self, module: str) -> Sequence[ModuleOwner]:
        if module.startswith(PACKAGE_PREFIX):  # one that several have: see `own_modules`
            return (ModuleOwner(module.partition(".")[0].removeprefix(PACKAGE_PREFIX)),)
        owners = self._distributions.owners
        while module:
            if found := owners.get(module):
                return found
            module = module.rpartition(".")[0]
        return ()

    def _is_its_own(self, module: str, path: Sequence[str] | None, owner: ModuleOwner) -> bool:
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(module, path, None) if hasattr(finder, "find_spec") else None
            if spec is not None:
                places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
                folders = [os.path.realpath(folder) for folder in owner.folders]
                return any(is_within(os.path.realpath(one), folder) for one in places for folder in folders)
        return True  # it is gone, which the drift explains
