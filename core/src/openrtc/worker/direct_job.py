"""Starts a job that no LiveKit server assigned: to join a room directly, or to talk without any server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from livekit.agents.job import JobAcceptArguments
from livekit.agents.utils import shortuuid
from livekit.protocol import agent as proto
from livekit.protocol import models

from openrtc.errors import OpenRTCError
from openrtc.model.decision import Decision
from openrtc.runtime.runtime import Runtime
from openrtc.session.participant import build_agent_token, build_participant
from openrtc.upstream.jobs import RunningJobInfo, launch_unassigned_job
from openrtc.worker.admission import attach_decision, log_decision, read_request, why_bad_metadata
from openrtc.worker.run import close, prepare
from openrtc.worker.server import WorkerServer


def build_job(room: str, *, job_metadata: str = "", room_metadata: str = "") -> proto.Job:
    """Return a job for a room, as the LiveKit server would send it.

    Args:
        room: Name of the room.
        job_metadata: Metadata of the dispatch.
        room_metadata: Metadata of the room.
    """
    info = models.Room(name=room, metadata=room_metadata)
    return proto.Job(id=shortuuid("AJ_"), type=proto.JobType.JT_ROOM, room=info, metadata=job_metadata)


async def choose_agent(runtime: Runtime, job: proto.Job, agent: str = "") -> Decision:
    """Choose the agent of a job, or take the one that is named.

    Raises:
        OpenRTCError: The call is rejected.
    """
    # Whoever runs a command here is the operator: what it asks for needs no mark.
    request = replace(read_request(job, runtime.config), signed=True)
    if agent:
        problem = runtime.catalog.why_unusable(agent)
        decision = Decision.reject(problem) if problem else Decision((agent,), "named", "named on the command line")
    else:
        decision = await runtime.router.route(request)
    if decision.rejected is not None:
        raise OpenRTCError(decision.rejected)
    if problem := why_bad_metadata(request, decision, runtime.catalog):
        raise OpenRTCError(problem, fix="openrtc console and openrtc call take it by --metadata")
    return decision


async def launch_job(server: WorkerServer, job: proto.Job, decision: Decision, *, without_room: bool) -> None:
    """Start a job in a worker that runs.

    Args:
        server: The worker.
        job: The job.
        decision: Which agent answers.
        without_room: Whether there is no room to join.
    """
    log_decision(job, decision)
    attach_decision(job, decision)
    worker = server.runtime.config.worker
    participant = build_participant(server.runtime.catalog, decision, job.id)
    info = RunningJobInfo(
        accept_arguments=JobAcceptArguments(name=participant["name"], identity=participant["identity"], metadata=""),
        job=job,
        url=worker.url,
        token="" if without_room else build_agent_token(worker, job.room.name, participant),
        worker_id=server.agent_server.id,
        fake_job=without_room,
    )
    await launch_unassigned_job(server.agent_server, info)


async def start_unregistered(server: WorkerServer) -> asyncio.Task[None]:
    """Start a worker that takes no jobs from a LiveKit server; returns the task that runs it."""
    await prepare(server)
    started = asyncio.Event()
    server.agent_server.once("worker_started", started.set)
    # Not through the registrations, of which there is none: livekit-agents connects to nothing.
    running = asyncio.create_task(server.agent_server.run(unregistered=True), name="worker")
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        await running
    return running


async def stop_unregistered(server: WorkerServer, running: asyncio.Task[None]) -> None:
    """Stop what `start_unregistered` started."""
    await close(server)
    await asyncio.gather(running, return_exceptions=True)


async def wait_until_idle(server: WorkerServer) -> None:
    """Wait until no job runs."""
    while server.active:  # noqa: ASYNC110 - livekit-agents has no event for the end of its last job
        await asyncio.sleep(0.1)
