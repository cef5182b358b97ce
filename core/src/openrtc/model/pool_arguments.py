"""Arguments of the `AgentPool` of openrtc 0.20, another project of that name: what each is here, or what to use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openrtc.errors import OpenRTCError
from openrtc.suggest import did_you_mean

RENAMED = {
    "default_stt": "stt",
    "default_llm": "llm",
    "default_tts": "tts",
    "default_greeting": "greeting",
    "max_concurrent_sessions": "max_sessions",
    "memory_limit_mb": "memory_limit",
    "max_sessions_per_agent": "limits",
}
"""What they are called here."""

_TENANTS = "an agent for each tenant, and a router"
INSTEAD = {
    "backend": "livekit alone",
    "consecutive_failure_limit": "a failing call ends alone",
    "memory_warn_mb": "memory_limit",
    "enable_hot_reload": "lk agent dev, docs/livekit.md",
    "watch_paths": "lk agent dev, docs/livekit.md",
    "request_fnc": "on_request= in add()",
    "accept_only_registered_rooms": "[routing] rules without default",
    "tenant_config": _TENANTS,
    "max_sessions_per_tenant": _TENANTS,
    "enable_tenant_circuit_breaker": _TENANTS,
    "tenant_circuit_cooldown_s": _TENANTS,
    "enable_introspection": "openrtc top, which is always there",
    "enable_uvloop": "[worker] speedups",
    "slow_session_threshold_ms": "openrtc top, which tells who blocks the loop",
    "introspection_socket_path": "openrtc top, which finds all workers",
    "audit_sink": "[worker] metrics_jsonl, docs/events.md",
}
"""What to use in place of the others."""

NEEDLESS: Mapping[str, Any] = {
    "backend": "livekit",
    "enable_hot_reload": False,
    "accept_only_registered_rooms": False,
    "enable_tenant_circuit_breaker": False,
    "enable_introspection": True,
    "enable_uvloop": True,
}
"""Values that say what holds here anyway; None always does."""


def translate_arguments(given: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments by the names that they have here.

    Args:
        given: Those that have other names.
        known: The pool's own, by their names; None for those that were not given.

    Raises:
        OpenRTCError: Names each that there is not, with what to use in its place, or that is given twice.
    """
    lacking: list[str] = []
    translated: dict[str, Any] = {}
    for name, value in given.items():
        if name in RENAMED:
            if known.get(RENAMED[name]) not in (None, ""):
                raise OpenRTCError(f"{name} and {RENAMED[name]} are the same", origin="AgentPool", fix="give one")
            translated[RENAMED[name]] = round(value) if isinstance(value, float) else value
        elif name not in INSTEAD:
            lacking.append(f"{name} ({did_you_mean(name, known, 'see help(AgentPool)')})")
        elif value is not None and value != NEEDLESS.get(name):
            lacking.append(f"{name} ({INSTEAD[name]})")
    if lacking:
        raise OpenRTCError(f"there is no argument {', '.join(lacking)}", origin="AgentPool")
    return {name: value for name, value in translated.items() if value is not None}
