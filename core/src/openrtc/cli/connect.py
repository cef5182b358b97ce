"""`openrtc connect`: join one room directly, without a dispatch."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace

from openrtc.cli.worker_options import (
    add_connection_options,
    add_session_options,
    read_config,
    require_credentials,
    runtime_arguments,
)
from openrtc.config import Config
from openrtc.worker.speed.imports import hurry_imports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--room", required=True, metavar="ROOM", help="room to join")
    parser.add_argument("--agent", default="", metavar="NAME", help="agent that joins; by default the routing decides")
    parser.add_argument("--metadata", default="", metavar="JSON", help="job metadata, for the routing and the agent")
    add_connection_options(parser)
    add_session_options(parser)


def run(args: argparse.Namespace) -> int:
    """Join the room and stay until the call ends."""
    config = read_config(args)
    require_credentials(config)
    hurry_imports(config.worker.speedups)
    config = replace(config, worker=replace(config.worker, isolation="coroutine", port=0))
    from openrtc.observe.logs import configure_logs
    from openrtc.worker.containment import run_contained
    from openrtc.worker.run import require_agents
    from openrtc.worker.runtime import build_runtime

    configure_logs(config.worker.log_level, config.worker.log_format)
    runtime = build_runtime(config, **runtime_arguments(args))
    require_agents(runtime)

    async def main() -> int:
        from openrtc.worker.direct_job import (
            decide,
            launch_job,
            make_job,
            start_unregistered,
            stop_unregistered,
            wait_until_idle,
        )
        from openrtc.worker.run import StopSignals
        from openrtc.worker.server import WorkerServer

        stop = StopSignals()
        job = make_job(args.room, job_metadata=args.metadata, room_metadata=await _room_metadata(config, args.room))
        decision = await decide(runtime, job, args.agent)
        server = WorkerServer(runtime, config.worker)
        running = await start_unregistered(runtime, server)
        try:
            await launch_job(runtime, server, job, decision, without_room=False)
            over = asyncio.create_task(wait_until_idle(server))
            await asyncio.wait({over, stop.first}, return_when=asyncio.FIRST_COMPLETED)
            over.cancel()
        finally:
            await stop_unregistered(runtime, server, running)
        return 1 if server.failures else 0

    return run_contained(main())


async def _room_metadata(config: Config, room: str) -> str:
    from livekit import api

    from openrtc.dispatch.connection import LiveKitConnection, livekit_api

    async with livekit_api(LiveKitConnection.of(config.worker)) as livekit:
        found = await livekit.room.list_rooms(api.ListRoomsRequest(names=[room]))
    return found.rooms[0].metadata if found.rooms else ""
