"""The operator's settings: `openrtc.toml`, environment and flags, in rising order of weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROFILES = ("standard", "lean")
"""What a call costs and has: as livekit-agents has it by default, or less of both."""

SPEEDUPS = ("vad", "native", "events", "pace", "signatures", "schemas", "connections", "uvloop", "imports")
"""What makes calls cheaper and changes nothing else: voice activity detection in the loop, events of the native library
only to whom they are for, signatures of callbacks and arguments of tools looked at once, HTTP connections kept for the
next calls, the event loop uvloop where it is installed, and what few calls need imported only where it is used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which installed distributions may be used; all names are normalised (PEP 503).

    Args:
        allow: When not None, only these distributions are used.
        deny: These are never used.
        prefer: For an agent name, resource key or provider scheme that several distributions bring: which one wins.
    """

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    prefer: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSettings:
    """How calls are routed.

    Args:
        default: The agent that answers when no rule decides; None means the first one that is ready.
        order: Names of rules and router plugins in the order to ask them; None means the built-in order.
        prefix_agents: The agents that a room's name may choose; None means all.
        room_metadata_agents: The agents that room metadata may choose; None means all.
    """

    default: str | None = None
    order: tuple[str, ...] | None = None
    prefix_agents: tuple[str, ...] | None = None
    room_metadata_agents: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDefaults:
    """Models and greeting of every agent that sets none itself.

    Args:
        stt: Speech-to-text model: a string, or (from code) a callable that returns a fresh instance.
        llm: Language model, likewise.
        tts: Text-to-speech model, likewise.
        vad: Voice activity detection (from code only).
        turn_detection: Turn detection (from code only).
        greeting: Said when a session starts.
        offline: Use the offline models where neither the agent nor these defaults name one.
    """

    stt: Any = ""
    llm: Any = ""
    tts: Any = ""
    vad: Any = None
    turn_detection: Any = None
    greeting: str = ""
    offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How the worker runs.

    Args:
        url: Address of the LiveKit server (``ws://`` or ``wss://``).
        api_key: API key of the LiveKit server.
        api_secret: API secret of the LiveKit server.
        agent_name: Name for explicit dispatch; empty for automatic dispatch; ``per-agent`` for a name for each agent.
        max_sessions: How many sessions the worker takes at once.
        memory_limit: Memory in MB (resident set size) at which the worker takes no more calls, drains and exits with
            code 75 to be replaced; 0 means no limit.
        max_retry: How often to try to reach the LiveKit server before the worker gives up.
        isolation: ``coroutine`` (all calls in one loop), ``thread`` or ``process`` (one for each call).
        processes: How many workers ``start`` runs under a supervisor; 0 for one without.
        profile: ``standard``, or ``lean`` for calls that cost less and do without some things.
        speedups: Which of `SPEEDUPS` are used.
        host: Address that the health server binds.
        port: Port of the health server; 0 picks a free one. Further workers of a supervisor have the ports after it.
        drain_timeout: Seconds that live calls have to finish after SIGTERM.
        log_level: ``debug``, ``info``, ``warning`` or ``error``.
        log_format: ``text`` or ``json``.
        metrics_jsonl: File that every event is appended to, one JSON object a line; empty for none.
    """

    url: str = ""
    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    agent_name: str = ""
    max_sessions: int = 50
    memory_limit: int = 0
    max_retry: int = 16
    isolation: str = "coroutine"
    processes: int = 0
    profile: str = "standard"
    speedups: tuple[str, ...] = SPEEDUPS
    host: str = "127.0.0.1"
    port: int = 8081
    drain_timeout: int = 3600
    log_level: str = "info"
    log_format: str = "text"
    metrics_jsonl: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings.

    Args:
        policy: Which distributions may be used.
        routing: How calls are routed.
        defaults: Models and greeting of agents that set none.
        worker: How the worker runs.
        isolation: Where the calls of single agents run, by the agent's name; it outweighs what their packages ask for.
        limits: How many sessions at once single agents take, by the agent's name; outweighs what packages ask for.
        source: The `openrtc.toml` that was read, if any.
    """

    policy: Policy = field(default_factory=Policy)
    routing: RoutingSettings = field(default_factory=RoutingSettings)
    defaults: SessionDefaults = field(default_factory=SessionDefaults)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    isolation: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    source: Path | None = None
