"""Starts a job that no LiveKit server assigned: to join a room directly, or to talk without any server."""

from __future__ import annotations

import asyncio

from livekit.agents.job import JobAcceptArguments
from livekit.agents.utils import shortuuid
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.errors import OpenRTCError
from openrtc.routing.decision import Decision
from openrtc.worker.admission import attach_decision, log_decision, request_of
from openrtc.worker.participant import agent_token, participant_of
from openrtc.worker.run import close, prepare
from openrtc.worker.runtime import Runtime
from openrtc.worker.server import WorkerServer
from openrtc.worker.upstream.jobs import RunningJobInfo, launch


def make_job(room: str, *, job_metadata: str = "", room_metadata: str = "") -> proto.Job:
    """Return a job for a room, as the LiveKit server would send it.

    Args:
        room: Name of the room.
        job_metadata: Metadata of the dispatch.
        room_metadata: Metadata of the room.
    """
    info = models.Room(name=room, metadata=room_metadata)
    return proto.Job(id=shortuuid("AJ_"), type=proto.JobType.JT_ROOM, room=info, metadata=job_metadata)


async def decide(runtime: Runtime, job: proto.Job, agent: str = "") -> Decision:
    """Choose the agent of a job, or take the one that is named.

    Raises:
        OpenRTCError: The call is rejected.
    """
    if agent:
        problem = runtime.catalog.why_not_ready(agent)
        decision = Decision.reject(problem) if problem else Decision((agent,), "named", "named on the command line")
    else:
        decision = await runtime.router.route(request_of(job))
    if decision.rejected is not None:
        raise OpenRTCError(decision.rejected)
    return decision


async def launch_job(
    runtime: Runtime, server: WorkerServer, job: proto.Job, decision: Decision, *, without_room: bool
) -> None:
    """Start a job in a worker that runs.

    Args:
        runtime: What the calls share.
        server: The worker.
        job: The job.
        decision: Which agent answers.
        without_room: Whether there is no room to join.
    """
    log_decision(job, decision)
    attach_decision(job, decision)
    participant = participant_of(runtime.catalog, decision, job.id)
    worker = runtime.config.worker
    info = RunningJobInfo(
        accept_arguments=JobAcceptArguments(name=participant["name"], identity=participant["identity"], metadata=""),
        job=job,
        url=worker.url,
        token="" if without_room else agent_token(worker, job.room.name, participant),
        worker_id=server.agent_server.id,
        fake_job=without_room,
    )
    await launch(server.agent_server, info)


async def start_unregistered(runtime: Runtime, server: WorkerServer) -> asyncio.Task[None]:
    """Start a worker that takes no jobs from a LiveKit server; returns the task that runs it."""
    await prepare(runtime, server)
    started = asyncio.Event()
    server.agent_server.once("worker_started", started.set)
    running = asyncio.create_task(server.agent_server.run(unregistered=True), name="worker")
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        await running
    return running


async def stop_unregistered(runtime: Runtime, server: WorkerServer, running: asyncio.Task[None]) -> None:
    """Stop what `start_unregistered` started."""
    await close(runtime, server)
    await asyncio.gather(running, return_exceptions=True)


async def wait_until_idle(server: WorkerServer) -> None:
    """Wait until no job runs."""
    while server.active:  # noqa: ASYNC110 - livekit-agents tells nobody that a job has ended
        await asyncio.sleep(0.1)
