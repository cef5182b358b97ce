"""Options and checks of the commands that run a worker."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openrtc.config import PROFILES, SPEEDUPS, Config
from openrtc.discovery.tolerance import tolerate_unreadable_metadata
from openrtc.settings import export_dotenv, load_config

DEV_URL = "ws://127.0.0.1:7880"
DEV_KEY, DEV_SECRET = "devkey", "secret"
"""The credentials of ``livekit-server --dev``; they are public."""


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Add how to reach the LiveKit server."""
    group = parser.add_argument_group("LiveKit server")
    group.add_argument("--url", metavar="URL", help="address, ws:// or wss:// (LIVEKIT_URL)")
    group.add_argument("--api-key", metavar="KEY", help="API key (LIVEKIT_API_KEY)")
    group.add_argument("--api-secret", metavar="SECRET", help="API secret (LIVEKIT_API_SECRET)")


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """Add what concerns the sessions."""
    parser.add_argument(
        "--offline",
        action="store_true",
        default=None,
        help="use the offline models where an agent sets none (OPENRTC_OFFLINE)",
    )
    parser.add_argument(
        "--log-level", type=str.lower, choices=("debug", "info", "warning", "error"), help="default: info (dev: debug)"
    )
    parser.add_argument("--log-format", type=str.lower, choices=("text", "json"), help="default: text")


def add_routing_limits(parser: Any) -> None:
    """Add which agents a room's name and its metadata may choose."""
    for flag, channel in (("--prefix-agents", "a room's name"), ("--room-metadata-agents", "room metadata")):
        parser.add_argument(
            flag, metavar="NAMES", action="append", help=f"the only agents that {channel} may choose (default: all)"
        )


def add_worker_options(parser: argparse.ArgumentParser) -> None:
    """Add how the worker runs."""
    add_connection_options(parser)
    group = parser.add_argument_group("worker")
    group.add_argument(
        "--agent-name",
        metavar="NAME",
        help="name for explicit dispatch; per-agent: each agent under its own; without it dispatch is automatic",
    )
    add_routing_limits(group)
    group.add_argument("--max-sessions", metavar="N", help="sessions at once (default: 50)")
    group.add_argument(
        "--limit", metavar="AGENT=N", action="append", help="sessions of one agent at once (OPENRTC_LIMITS)"
    )
    group.add_argument(
        "--memory-limit",
        metavar="MB",
        help="memory at which the worker drains and exits with code 75, to be replaced (default: no limit)",
    )
    group.add_argument(
        "--max-retry", metavar="N", help="attempts to reach the LiveKit server before giving up (default: 16)"
    )
    group.add_argument(
        "--isolation",
        type=str.lower,
        choices=("coroutine", "thread", "process"),
        help="all calls in one loop (default), or a thread or process for each call",
    )
    group.add_argument(
        "--isolate",
        metavar="AGENT=KIND",
        action="append",
        help="isolation of one agent's calls, such as support=process (repeatable; OPENRTC_ISOLATE)",
    )
    group.add_argument(
        "--profile", type=str.lower, choices=PROFILES, help="standard, or lean: cheaper calls (docs/performance.md)"
    )
    group.add_argument(
        "--speedups", metavar="NAMES", help=f"some of {','.join(SPEEDUPS)}, or none (default: all; OPENRTC_SPEEDUPS)"
    )
    group.add_argument("--host", metavar="HOST", help="address of the health server (default: 127.0.0.1)")
    group.add_argument("--port", metavar="PORT", help="port of the health server, 0 for a free one (default: 8081)")
    group.add_argument("--drain-timeout", metavar="SECONDS", help="time for live calls after SIGTERM (default: 3600)")
    group.add_argument("--metrics-jsonl", metavar="FILE", help="append every event to this file (docs/events.md)")
    add_session_options(group)  # type: ignore[arg-type]


def read_config(args: argparse.Namespace, **instead_of_default: Any) -> Config:
    """Read the settings for a command.

    Args:
        args: The parsed command line; ``args.pool`` is the `AgentPool` that runs it, if any.
        **instead_of_default: Worker settings that this command uses where none is given.

    Raises:
        OpenRTCError: A setting is wrong.
    """
    config = load_config(args.config, overrides=vars(args))
    tolerate_unreadable_metadata()
    pristine = Config().worker
    unset = {k: v for k, v in instead_of_default.items() if getattr(config.worker, k) == getattr(pristine, k)}
    config = replace(config, worker=replace(config.worker, **unset))
    export_dotenv(os.environ)
    return args.pool.configure(config) if args.pool else config


def runtime_arguments(args: argparse.Namespace) -> Mapping[str, Any]:
    """Return the further arguments of ``build_runtime``."""
    return args.pool.runtime_arguments if args.pool else {}


def require_credentials(config: Config) -> None:
    """Raise where it is not known how to reach the LiveKit server.

    Raises:
        OpenRTCError: Tells what is missing.
    """
    from openrtc.dispatch.connection import LiveKitConnection

    LiveKitConnection.of(config.worker)
