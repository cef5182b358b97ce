"""OpenRTC: many LiveKit voice agents, each a pip package, in one shared worker process."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openrtc.call import Call, WorkerInfo
    from openrtc.catalog.spec import AgentSpec
    from openrtc.errors import OpenRTCError
    from openrtc.hooks.markers import hookimpl
    from openrtc.pool import AgentPool
    from openrtc.providers.provider import Provider, ProviderContext
    from openrtc.resources.spec import ResourceSpec, ResourceUnavailable
    from openrtc.routing.decision import Decision
    from openrtc.routing.request import RouteRequest

    __version__: str

_MODULES = {
    "AgentPool": "openrtc.pool",
    "AgentSpec": "openrtc.catalog.spec",
    "Call": "openrtc.call",
    "Decision": "openrtc.routing.decision",
    "OpenRTCError": "openrtc.errors",
    "Provider": "openrtc.providers.provider",
    "ProviderContext": "openrtc.providers.provider",
    "ResourceSpec": "openrtc.resources.spec",
    "ResourceUnavailable": "openrtc.resources.spec",
    "RouteRequest": "openrtc.routing.request",
    "WorkerInfo": "openrtc.call",
    "hookimpl": "openrtc.hooks.markers",
}

__all__ = [
    "AgentPool",
    "AgentSpec",
    "Call",
    "Decision",
    "OpenRTCError",
    "Provider",
    "ProviderContext",
    "ResourceSpec",
    "ResourceUnavailable",
    "RouteRequest",
    "WorkerInfo",
    "__version__",
    "hookimpl",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that `import openrtc` costs nothing and never imports livekit.
    if name == "__version__":
        from importlib_metadata import version

        return version("openrtc-core")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
