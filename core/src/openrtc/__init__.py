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
    from openrtc.dispatch.connection import LiveKitConnection
    from openrtc.dispatch.dispatches import (
        Dispatch,
        DispatchJob,
        create_dispatch,
        delete_dispatch,
        get_dispatch,
        list_dispatches,
        room_exists,
    )
    from openrtc.dispatch.sip_rules import SipAgent, SipRule, create_sip_rule, delete_sip_rule, list_sip_rules
    from openrtc.dispatch.tokens import create_token
    from openrtc.dispatch.waiting import AgentJoined, DispatchLost, wait_for_agent
    from openrtc.dispatch.wish import AgentWish
    from openrtc.errors import OpenRTCError
    from openrtc.hooks.markers import hookimpl
    from openrtc.pool import AgentPool
    from openrtc.providers.provider import Provider, ProviderContext
    from openrtc.resources.spec import ResourceSpec, ResourceUnavailable
    from openrtc.routing.decision import Decision
    from openrtc.routing.request import RouteRequest

    __version__: str

__all__ = [
    "AgentJoined",
    "AgentPool",
    "AgentSpec",
    "AgentWish",
    "Call",
    "Cast",
    "CastMember",
    "Decision",
    "Dispatch",
    "DispatchJob",
    "DispatchLost",
    "HumanTurn",
    "LiveKitConnection",
    "Member",
    "OpenRTCError",
    "Provider",
    "ProviderContext",
    "ResourceSpec",
    "ResourceUnavailable",
    "RouteRequest",
    "SipAgent",
    "SipRule",
    "WorkerInfo",
    "__version__",
    "create_dispatch",
    "create_sip_rule",
    "create_token",
    "current_member",
    "delete_dispatch",
    "delete_sip_rule",
    "get_dispatch",
    "hookimpl",
    "list_dispatches",
    "list_sip_rules",
    "room_exists",
    "wait_for_agent",
]

_HOMES = {
    "AgentJoined": "dispatch.waiting",
    "AgentPool": "pool",
    "AgentSpec": "catalog.spec",
    "AgentWish": "dispatch.wish",
    "Call": "call",
    "Cast": "cast.declaration",
    "CastMember": "cast.cast_member",
    "Decision": "routing.decision",
    "Dispatch": "dispatch.dispatches",
    "DispatchJob": "dispatch.dispatches",
    "DispatchLost": "dispatch.waiting",
    "HumanTurn": "cast.policies",
    "LiveKitConnection": "dispatch.connection",
    "Member": "cast.declaration",
    "OpenRTCError": "errors",
    "Provider": "providers.provider",
    "ProviderContext": "providers.provider",
    "ResourceSpec": "resources.spec",
    "ResourceUnavailable": "resources.spec",
    "RouteRequest": "routing.request",
    "SipAgent": "dispatch.sip_rules",
    "SipRule": "dispatch.sip_rules",
    "WorkerInfo": "call",
    "create_dispatch": "dispatch.dispatches",
    "create_sip_rule": "dispatch.sip_rules",
    "create_token": "dispatch.tokens",
    "current_member": "cast.current",
    "delete_dispatch": "dispatch.dispatches",
    "delete_sip_rule": "dispatch.sip_rules",
    "get_dispatch": "dispatch.dispatches",
    "hookimpl": "hooks.markers",
    "list_dispatches": "dispatch.dispatches",
    "list_sip_rules": "dispatch.sip_rules",
    "room_exists": "dispatch.dispatches",
    "wait_for_agent": "dispatch.waiting",
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
