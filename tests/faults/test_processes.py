"""An agent in a process of its own ends that process, or blocks it for ever."""

from __future__ import annotations

import time

import psutil

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK
from faults.bystander_calls import ALLOWED, BystanderCalls, hole_since
from faults.conftest import StartWorker
from faults.rows import PendingRow
from openrtc.worker.process_exit import STOPPED_AT_ONCE

APART = Package(
    name="apart-agents",
    modules={
        "apart_agents.py": """
            import asyncio
            import os
            import signal
            import time

            from tone_agents import Gamma


            class Apart(Gamma):
                openrtc_isolation = "process"
                seconds = 60.0

                async def on_enter(self):
                    await super().on_enter()
                    asyncio.get_running_loop().call_later(2.0, self.misbehave)


            class Exits(Apart):
                def misbehave(self):
                    os._exit(3)


            class Crashes(Apart):
                def misbehave(self):
                    os.kill(os.getpid(), signal.SIGSEGV)


            class Stuck(Apart):
                def misbehave(self):
                    time.sleep(10_000)
        """
    },
    agents={"exits": "apart_agents:Exits", "crashes": "apart_agents:Crashes", "stuck": "apart_agents:Stuck"},
)


def test_processes_of_single_agents_end(
    start: StartWorker,
    bystander_calls: BystanderCalls,
    people: CallersProcess,
    killable_api: ServerApi,
    row: PendingRow,
) -> None:
    row.fault = "agents in processes of their own: os._exit(3), a crash of native code (SIGSEGV)"
    row.lost = "those calls; their participants are removed from the rooms"
    worker = start("--isolate", "alpha=process", packages=[APART])
    agents = worker.wait_for_log("agents: ")
    assert "exits (process)" in agents and "alpha (process)" in agents and "beta," in agents
    bystander, _, _ = bystander_calls.call(worker)
    began = time.time()
    endings = {"exits": "its process ended with exit code 3", "crashes": "its process was ended by signal 11"}
    for agent, ending in endings.items():
        room = f"{agent}-1"
        victim = people.join(agent, killable_api.token(room, "bob"), speaks=False)
        victim.wait_for("track_subscribed", 60.0)
        worker.wait_for_log(f"agent '{agent}': {ending}", 20.0)
        victim.wait_for("participant_disconnected", 10.0, kind="AGENT")
        (ended,) = worker.records(f"agent '{agent}': ")
        assert ended["room"] == room
        row.operator = ended["message"]
    time.sleep(1.0)
    row.hole = hole_since(bystander, began)
    assert row.hole < ALLOWED
    assert not any(child.status() == psutil.STATUS_ZOMBIE for child in worker.children())
    assert TRACEBACK not in worker.log()


def test_a_process_of_a_single_agent_is_stuck(
    start: StartWorker,
    bystander_calls: BystanderCalls,
    people: CallersProcess,
    killable_api: ServerApi,
    row: PendingRow,
) -> None:
    row.fault = "agent in a process of its own blocks for ever; then SIGTERM twice"
    row.lost = "that call; the worker still stops when it is told to"
    worker = start(packages=[APART])
    bystander, _, _ = bystander_calls.call(worker)
    victim = people.join("stuck", killable_api.token("stuck-1", "bob"), speaks=False)
    victim.wait_for("track_subscribed", 60.0)
    began = time.time()
    time.sleep(4.0)
    row.hole = hole_since(bystander, began)
    assert row.hole < ALLOWED
    worker.signal()
    worker.wait_for_log("draining: 2 live calls")
    bystander.leave()
    worker.signal()
    assert worker.wait(20.0) == STOPPED_AT_ONCE
    row.operator = worker.records("agent 'stuck': its process did not answer any more and was killed")[0]["message"]
