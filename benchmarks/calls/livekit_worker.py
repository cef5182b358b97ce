"""livekit-agents as it comes: a process for each call, or a thread (BENCH_EXECUTOR)."""

from __future__ import annotations

import os

import agent
from livekit.agents import AgentServer, JobContext, JobExecutorType, JobProcess, cli, inference


def prewarm(process: JobProcess) -> None:
    """Load what each process needs."""
    process.userdata["vad"] = inference.VAD()


server = AgentServer(
    setup_fnc=prewarm,
    job_executor_type=JobExecutorType(os.environ.get("BENCH_EXECUTOR", "process")),
    **agent.start_options(),
)


@server.rtc_session(agent_name=agent.NAME)
async def entry(context: JobContext) -> None:
    """Hold one call."""
    session = agent.make_session(context.proc.userdata["vad"])
    await context.connect()
    await session.start(agent=agent.BenchAgent(), room=context.room)


if __name__ == "__main__":
    cli.run_app(server)
