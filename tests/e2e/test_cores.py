"""Agents in processes of their own beside agents in the shared loop, and several workers under one supervisor."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from e2e.callers import Caller, CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.tone_agents import TONE_AGENTS, TONES
from e2e.tones import who_was_heard
from e2e.worker import WorkerProcess

StartWorker = Callable[..., WorkerProcess]

BLOCKING = Package(
    name="blocking-agents",
    modules={
        "blocking_agents.py": """
            import asyncio
            import os
            import time

            from tone_agents import Gamma


            class Heavy(Gamma):
                openrtc_isolation = "process"
                seconds = 60.0

                async def on_enter(self):
                    await super().on_enter()
                    print("HEAVY", os.getpid(), flush=True)
                    asyncio.get_running_loop().call_later(4.0, self.misbehave)

                def misbehave(self):
                    pass


            class Dying(Heavy):
                def misbehave(self):
                    os._exit(3)


            class Stuck(Heavy):
                def misbehave(self):
                    time.sleep(10_000)
        """
    },
    agents={
        "heavy": "blocking_agents:Heavy",
        "dying": "blocking_agents:Dying",
        "stuck": "blocking_agents:Stuck",
    },
)


def heard_between(caller: Caller, start: float, end: float) -> set[str]:
    """Return whose tones a caller heard in a span of the wall clock."""
    return {who for recording in caller.recordings() for who in who_was_heard(recording.between(start, end), TONES)}


def install(tmp_path: Path) -> list[Path]:
    TONE_AGENTS.install_into(tmp_path / "packages")
    return [BLOCKING.install_into(tmp_path / "packages")]


def test_an_agent_in_a_process_of_its_own_dies_alone(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    worker = start_worker("--allow", "tone-agents,blocking-agents", folders=install(tmp_path))
    assert "dying (process)" in worker.wait_for_log("agents: ")
    shared = callers.join("ann", api.token("steady-beside", "ann"))
    apart = callers.join("bob", api.token("dying-beside", "bob"))
    for caller in (shared, apart):
        caller.wait_for("track_subscribed", 30.0)
    line = worker.wait_for_log("agent 'dying': its process ended with exit code 3", 30.0)
    died = time.time()
    assert "dying-beside" in line
    apart.wait_for("participant_disconnected", 5.0)
    assert heard_between(apart, died - 3.0, died - 1.0) == {"gamma"}
    time.sleep(1.5)
    assert heard_between(shared, died - 3.0, died + 1.0) == {"alpha"}
    assert len([line for line in worker.log().splitlines() if "exit code 3" in line]) == 1
    again = callers.join("cem", api.token("heavy-after", "cem"))
    assert again.wait_for("track_subscribed", 20.0)
    for caller in (shared, again):
        caller.leave()


def test_an_agent_that_blocks_for_ever_in_its_own_process_does_not_keep_the_worker(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    worker = start_worker(
        "--allow", "tone-agents,blocking-agents", "--isolate", "alpha=process", folders=install(tmp_path)
    )
    assert "alpha (process)" in worker.wait_for_log("agents: ")
    shared = callers.join("ann", api.token("steady-stuck", "ann"))
    apart = callers.join("bob", api.token("stuck-beside", "bob"))
    for caller in (shared, apart):
        caller.wait_for("track_subscribed", 30.0)
    time.sleep(6.0)
    now = time.time()
    assert heard_between(shared, now - 2.0, now) == {"alpha"}
    worker.signal()
    worker.wait_for_log("draining: 2 live calls")
    shared.leave()
    worker.signal()
    assert worker.wait(20.0) == 3
    worker.wait_for_log("agent 'stuck': its process did not answer any more and was killed")


def test_the_operator_takes_an_agent_back_into_the_shared_loop(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    options = ("--allow", "tone-agents,blocking-agents", "--isolate", "heavy=coroutine,dying=thread,stuck=coroutine")
    worker = start_worker(*options, folders=install(tmp_path))
    caller = callers.join("ann", api.token("heavy-here", "ann"))
    caller.wait_for("track_subscribed", 30.0)
    assert worker.wait_for_log("^HEAVY") == f"HEAVY {worker.pid}"
    assert not worker.children()
    caller.leave()
