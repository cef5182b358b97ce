"""An agent's own log fields stand beside those that tell calls apart."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import JobContext

from openrtc.model.agents import AgentSpec
from openrtc.model.decision import Decision
from openrtc.runtime.runtime import build_runtime
from openrtc.settings.config import Config, WorkerSettings
from openrtc.worker.direct_job import build_job, launch_job, start_unregistered, stop_unregistered, wait_until_idle
from openrtc.worker.server import WorkerServer

OWN: dict[str, Any] = {"desk": 2, "room": "of its own"}


@pytest.mark.own_process
async def test_fields_that_an_agent_sets_keep_those_of_the_call() -> None:
    seen: list[dict[str, Any]] = []

    async def entrypoint(context: JobContext) -> None:
        seen.append(dict(context.log_context_fields))
        context.log_context_fields = OWN
        context.log_context_fields["more"] = 1
        seen.append(dict(context.log_context_fields))
        context.shutdown("over")

    specs = [AgentSpec(name="front", entrypoint=entrypoint)]
    server = WorkerServer(build_runtime(Config(worker=WorkerSettings(port=0)), specs=specs, discovered=False))
    running = await start_unregistered(server)
    try:
        for room in ("one", "two"):
            await launch_job(server, build_job(room), Decision.to("front"), without_room=True)
            await wait_until_idle(server)
    finally:
        await stop_unregistered(server, running)
    first, mixed, second, _ = seen
    assert (first["agent"], first["room"], second["room"]) == ("front", "one", "two")
    assert mixed == {**first, "desk": 2, "more": 1}
    assert "more" not in second and OWN == {"desk": 2, "room": "of its own"}, "no call's fields are another's"
