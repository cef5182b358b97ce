"""Which versions of OpenRTC and livekit-agents a process has, whose code is imported before any other."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from openrtc.discovery.installed import find_named
from openrtc.discovery.loaded_distributions import LoadedDistributions
from openrtc.discovery.own_requirements import LIVEKIT_AGENTS
from openrtc.model.names import OWN_DISTRIBUTION

PRELOADED = "openrtc.worker.child_preload"


def read_own_versions() -> Mapping[str, str]:
    """Return the versions that are installed of both."""
    return {key: one.version for key, one in find_named(OWN_DISTRIBUTION, LIVEKIT_AGENTS).items()}


def find_foreign_code(worker: LoadedDistributions) -> str | None:
    """Return of which of both this job process has another version than its worker, and why, or None.

    Args:
        worker: What the worker has loaded.
    """
    preloaded = sys.modules.get(PRELOADED)
    for name, version in (preloaded.VERSIONS if preloaded else read_own_versions()).items():
        if version != (known := worker.version_of(name)) and known:
            return str(worker.find_drift(name) or f"{name} {version} is not what this worker has loaded, {known}")
    return None
