"""`openrtc connect`: join one room directly, without a dispatch."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import replace

from openrtc.cli.dispatch_options import add_metadata_option
from openrtc.cli.setting_options import (
    add_connection_options,
    add_session_options,
    read_config,
    require_credentials,
    runtime_arguments,
)
from openrtc.settings.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--room", required=True, metavar="ROOM", help="name of the room")
    parser.add_argument("--agent", default="", metavar="AGENT", help="agent that joins; by default the routing decides")
    add_metadata_option(parser)
    add_connection_options(parser)
    add_session_options(parser)


def run(args: argparse.Namespace) -> int:
    """Join the room and stay until the call ends."""
    config = read_config(args)
    require_credentials(config)
    from openrtc.speedups.imports import speed_up_imports

    speed_up_imports(config.worker.speedups)
    config = replace(config, worker=replace(config.worker, isolation="coroutine", port=0))
    import asyncio

    from openrtc.cli.worker_output import open_output
    from openrtc.runtime.runtime import build_runtime
    from openrtc.session.containment import run_contained
    from openrtc.worker.run import require_agents

    open_output(config.worker)
    runtime = build_runtime(config, **runtime_arguments(args))
    require_agents(runtime)

    async def main() -> int:
        from openrtc.conversation.local_worker import run_local_worker
        from openrtc.worker.direct_job import build_job, choose_agent, launch_job, wait_until_idle
        from openrtc.worker.server import WorkerServer
        from openrtc.worker.stop_signals import StopSignals

        with contextlib.closing(StopSignals()) as stop:
            job = build_job(
                args.room, job_metadata=args.metadata, room_metadata=await _get_room_metadata(config, args.room)
            )
            decision = await choose_agent(runtime, job, args.agent)
            server = WorkerServer(runtime)
            async with run_local_worker(server, watched=True):
                await launch_job(server, job, decision, without_room=False)
                over = asyncio.create_task(wait_until_idle(server))
                await asyncio.wait({over, stop.first}, return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
            return 1 if server.failures else 0

    return run_contained(main())


async def _get_room_metadata(config: Config, room: str) -> str:
    from livekit import api

    from openrtc.dispatch.connection import LiveKitConnection, open_api

    async with open_api(LiveKitConnection.of(config.worker)) as livekit:
        found = await livekit.room.list_rooms(api.ListRoomsRequest(names=[room]))
    return found.rooms[0].metadata if found.rooms else ""
