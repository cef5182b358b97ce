"""`openrtc.lk` in ``lk agent console``: one call without a room, whose session talks to ``lk`` in sound or in text."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from openrtc.conversation.interrupts import Interrupts
from openrtc.conversation.local_worker import run_local_worker
from openrtc.errors import OpenRTCError
from openrtc.model.call import Call
from openrtc.observe.logs import configure_logs
from openrtc.runtime.runtime import Runtime, build_runtime
from openrtc.session.containment import run_contained
from openrtc.settings.config import Config
from openrtc.upstream.digest import describe_changes
from openrtc.worker.direct_job import build_job, choose_agent, launch_job, wait_until_idle
from openrtc.worker.prewarm import prewarm_agents
from openrtc.worker.run import require_agents
from openrtc.worker.server import WorkerServer

JOB_ROOM = "console-room"
"""The room that the routing sees, named as livekit-agents does it; there is none."""


class LkFrontend:
    """Lets the call go on until its session closes: livekit-agents has given ``lk`` its inputs and outputs."""

    text_only = False

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def before_start(self, call: Call, session: Any) -> None:
        """Nothing to attach."""

    async def after_start(self, call: Call, session: Any) -> None:
        """Wait until the session closes, or `over` is set."""
        session.on("close", lambda _: self.over.set())
        await self.over.wait()


def talk(config: Config, arguments: Mapping[str, Any], address: tuple[str, int], *, record: bool) -> int:
    """Let ``lk`` talk to the agent that the routing chooses when nobody asks for one.

    Args:
        config: The settings.
        arguments: Further arguments of ``build_runtime``.
        address: Where ``lk`` listens.
        record: Whether livekit-agents records the session below the working directory.

    Returns:
        The exit code: 0, or 1 when the agent failed.

    Raises:
        OpenRTCError: No agent is ready, or the one that is chosen cannot be talked to here.
    """
    configure_logs(config.worker.log_level, config.worker.log_format)
    config = replace(config, worker=replace(config.worker, isolation="coroutine", port=0))
    runtime = build_runtime(config, **arguments)
    require_agents(runtime)
    prewarm_agents(runtime)
    return run_contained(_talk(runtime, address, record=record))


async def _talk(runtime: Runtime, address: tuple[str, int], *, record: bool) -> int:
    if changes := describe_changes("lk", "jobs"):
        fix = "openrtc console"
        raise OpenRTCError(f"OpenRTC does not know this livekit-agents: {changes}", origin="lk agent console", fix=fix)
    from openrtc.upstream.lk_cli import open_tcp_console  # it fails with what OpenRTC does not know

    job = build_job(JOB_ROOM)
    decision = await choose_agent(runtime, job)
    if cast := runtime.catalog.resolve_cast(decision.agents):
        raise cast.why_no_room
    runtime.frontend = frontend = LkFrontend()
    server, hung_up = WorkerServer(runtime), asyncio.Event()

    def hang_up() -> None:
        frontend.over.set()
        hung_up.set()

    interrupts = Interrupts(hang_up)
    async with open_tcp_console(address, record=record, on_end=hang_up), run_local_worker(server):
        await launch_job(server, job, decision, without_room=True)
        waits = [asyncio.create_task(wait_until_idle(server)), asyncio.create_task(hung_up.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
    return 1 if server.failures and not interrupts.count else 0
