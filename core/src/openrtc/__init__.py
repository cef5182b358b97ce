"""Run many LiveKit voice agents, each a pip package, in one shared worker process."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openrtc.dispatch.agent_request import AgentRequest
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
    from openrtc.errors import OpenRTCError
    from openrtc.model.agents import AgentSpec, Cast, HumanTurn, Member
    from openrtc.model.call import Call, WorkerInfo
    from openrtc.model.cast_member import CastMember, current_member
    from openrtc.model.check_result import CheckResult
    from openrtc.model.decision import Decision
    from openrtc.model.hookspecs import hookimpl
    from openrtc.model.observer import SessionInfo, SessionObserver, SessionOutcome, SessionStatus
    from openrtc.model.provider import Provider, ProviderContext
    from openrtc.model.request import RouteRequest
    from openrtc.model.resource import ResourceSpec, ResourceUnavailable
    from openrtc.pool import AgentPool
    from openrtc.server.find import find_server
    from openrtc.server.local import LocalServer

    __version__: str

__all__ = [
    "AgentJoined",
    "AgentPool",
    "AgentRequest",
    "AgentSpec",
    "Call",
    "Cast",
    "CastMember",
    "CheckResult",
    "Decision",
    "Dispatch",
    "DispatchJob",
    "DispatchLost",
    "HumanTurn",
    "LiveKitConnection",
    "LocalServer",
    "Member",
    "OpenRTCError",
    "Provider",
    "ProviderContext",
    "ResourceSpec",
    "ResourceUnavailable",
    "RouteRequest",
    "SessionInfo",
    "SessionObserver",
    "SessionOutcome",
    "SessionStatus",
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
    "find_server",
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
    "AgentSpec": "model.agents",
    "AgentRequest": "dispatch.agent_request",
    "Call": "model.call",
    "Cast": "model.agents",
    "CastMember": "model.cast_member",
    "CheckResult": "model.check_result",
    "Decision": "model.decision",
    "Dispatch": "dispatch.dispatches",
    "DispatchJob": "dispatch.dispatches",
    "DispatchLost": "dispatch.waiting",
    "HumanTurn": "model.agents",
    "LiveKitConnection": "dispatch.connection",
    "LocalServer": "server.local",
    "Member": "model.agents",
    "OpenRTCError": "errors",
    "Provider": "model.provider",
    "ProviderContext": "model.provider",
    "ResourceSpec": "model.resource",
    "ResourceUnavailable": "model.resource",
    "RouteRequest": "model.request",
    "SessionInfo": "model.observer",
    "SessionObserver": "model.observer",
    "SessionOutcome": "model.observer",
    "SessionStatus": "model.observer",
    "SipAgent": "dispatch.sip_rules",
    "SipRule": "dispatch.sip_rules",
    "WorkerInfo": "model.call",
    "create_dispatch": "dispatch.dispatches",
    "create_sip_rule": "dispatch.sip_rules",
    "create_token": "dispatch.tokens",
    "current_member": "model.cast_member",
    "delete_dispatch": "dispatch.dispatches",
    "delete_sip_rule": "dispatch.sip_rules",
    "find_server": "server.find",
    "get_dispatch": "dispatch.dispatches",
    "hookimpl": "model.hookspecs",
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
