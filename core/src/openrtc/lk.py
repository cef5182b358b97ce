"""`server`: everything installed in one worker, for the program ``lk`` and for livekit-agents' own command line.

``lk agent start``, ``dev`` and ``console`` look for an `AgentServer` in a file, which needs this one line::

    from openrtc.lk import server

What they start is the command of OpenRTC of that name, with its settings, in the same process. Nothing is read or
loaded before; importing this module imports livekit-agents, and lets its command line know `server`.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, NoReturn

from livekit.agents import AgentServer

from openrtc.cli.commands import Pool
from openrtc.cli.main import program
from openrtc.errors import OpenRTCError
from openrtc.upstream.digest import describe_changes

__all__ = ["server"]

_LEVELS = {"trace": "debug", "warn": "warning", "critical": "error"}
"""Levels of livekit-agents that OpenRTC calls otherwise."""


class _Everything(AgentServer):
    """Stands for everything installed where livekit-agents looks for a server; OpenRTC's own commands run it."""

    async def run(self, **_: Any) -> None:
        """Say what runs it: a loop of somebody else's has none of the guards that a worker of many agents needs.

        Raises:
            SystemExit: Always, with exit code 2.
        """
        changes = describe_changes("lk")
        reason = f"OpenRTC does not know this livekit-agents: {changes}" if changes else "it is run by lk alone"
        _refuse(reason, "openrtc start, openrtc dev or openrtc console")


def _refuse(reason: str, fix: str) -> NoReturn:
    print(f"openrtc: {OpenRTCError(reason, origin='openrtc.lk.server', fix=fix)}", file=sys.stderr)
    raise SystemExit(2)


def build_server(pool: Pool | None = None) -> AgentServer:
    """Return what stands for OpenRTC where livekit-agents' command line looks for a server.

    Args:
        pool: Agents registered in code; without them, it stands for everything installed.
    """
    built = _Everything()
    if not describe_changes("lk"):
        from openrtc.upstream.lk_cli import run_instead  # it fails with what OpenRTC does not know

        run_instead(built, partial(_run_worker, pool), partial(_run_console, pool))
    return built


def _run_worker(pool: Pool | None, args: Any) -> NoReturn:
    """Run ``openrtc start`` or ``openrtc dev`` with what ``lk`` has given to livekit-agents' ``start``."""
    if args.cli_addr and not args.dev:
        _refuse("--cli-addr goes with --dev", "lk agent dev")
    options = {"--url": args.url, "--api-key": args.api_key, "--api-secret": args.api_secret}
    options["--cli-addr"] = args.cli_addr
    # Not what `lk` says when nobody has said anything: the settings would never count.
    if args.log_level.upper() != ("DEBUG" if args.dev else "INFO"):
        level = args.log_level.lower()
        options["--log-level"] = _LEVELS.get(level, level)
    if args.simulation:  # there may be several on one machine
        options["--port"] = "0"
    given = [f"{flag}={value}" for flag, value in options.items() if value]
    program(["dev" if args.dev else "start", *given], pool=pool)


def _run_console(pool: Pool | None, address: str, record: bool) -> NoReturn:
    program(["console", f"--connect-addr={address}", *(["--record"] if record else [])], pool=pool)


server = build_server()
