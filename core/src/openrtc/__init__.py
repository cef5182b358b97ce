"""Run many LiveKit voice agents, each a pip package, in one shared worker process."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openrtc.call import Call, WorkerInfo
    from openrtc.cast.cast_member import CastMember
    from openrtc.cast.current import current_member
    from openrtc.cast.declaration import Cast, Member
    from openrtc.cast.policies import HumanTurn
    from openrtc.catalog.spec import AgentSpec
    from openrtc.errors import OpenRTCError
    from openrtc.hooks.markers import hookimpl
    from openrtc.pool import AgentPool
    from openrtc.providers.provider import Provider, ProviderContext
    from openrtc.resources.spec import ResourceSpec, ResourceUnavailable
    from openrtc.routing.decision import Decision
    from openrtc.routing.request import RouteRequest

    __version__: str

__all__ = [
    "AgentPool",
    "AgentSpec",
    "Call",
    "Cast",
    "CastMember",
    "Decision",
    "HumanTurn",
    "Member",
    "OpenRTCError",
    "Provider",
    "ProviderContext",
    "ResourceSpec",
    "ResourceUnavailable",
    "RouteRequest",
    "WorkerInfo",
    "__version__",
    "current_member",
    "hookimpl",
]

_HOMES = {
    "AgentPool": "pool",
    "AgentSpec": "catalog.spec",
    "Call": "call",
    "Cast": "cast.declaration",
    "CastMember": "cast.cast_member",
    "Decision": "routing.decision",
    "HumanTurn": "cast.policies",
    "Member": "cast.declaration",
    "OpenRTCError": "errors",
    "Provider": "providers.provider",
    "ProviderContext": "providers.provider",
    "ResourceSpec": "resources.spec",
    "ResourceUnavailable": "resources.spec",
    "RouteRequest": "routing.request",
    "WorkerInfo": "call",
    "current_member": "cast.current",
    "hookimpl": "hooks.markers",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562), so that ``import openrtc`` costs nothing."""
    if name in _HOMES:
        value = getattr(import_module(f"openrtc.{_HOMES[name]}"), name)
    elif name == "__version__":
        from importlib_metadata import version

        value = version("openrtc-core")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
