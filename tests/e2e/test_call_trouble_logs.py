"""What the log says of calls that go wrong without ending: a blocked loop, a language model that raises."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK, WorkerProcess

StartWorker = Callable[..., WorkerProcess]

pytestmark = pytest.mark.realtime

TROUBLED = Package(
    name="troubled-agents",
    modules={
        "troubled_agents.py": """
            import time

            from livekit.agents import Agent, llm
            from openrtc import AgentSpec

            class Blocks(Agent):
                def __init__(self):
                    super().__init__(instructions="x")

                async def on_enter(self):
                    look_up_customer()

            def look_up_customer():
                time.sleep(2.5)

            class Broken(llm.LLM):
                def chat(self, **kwargs):
                    raise LookupError("no such deployment")

            broken_model = AgentSpec(agent=lambda: Agent(instructions="x"), llm=Broken)
        """
    },
    agents={"blocks": "troubled_agents:Blocks", "broken-model": "troubled_agents:broken_model"},
)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    return TROUBLED.install_into(tmp_path / "packages")


def test_a_blocked_loop_is_told_while_it_lasts_with_its_agent_and_line(
    start_worker: StartWorker, api: ServerApi, packages: Path
) -> None:
    worker = start_worker("--allow", "troubled-agents", folders=[packages])
    api.create_room("blocks-1")
    while_it_lasts = worker.wait_for_log(r"the loop has been blocked for 0\.\d s by look_up_customer\(\)", timeout=20.0)
    worker.wait_for_log(r"the loop was blocked for [23]\.\d s by look_up_customer\(\)", timeout=20.0)
    assert while_it_lasts
    for record in worker.records("the loop (has been|was) blocked for .* by look_up_customer"):
        assert record["level"] == "error"
        assert "of agent 'blocks' at " in record["message"] and "troubled_agents.py:" in record["message"]
        assert (record["agent"], record["room"], record["distribution"]) == ("blocks", "blocks-1", "troubled-agents")
    assert worker.running
    api.delete_room("blocks-1")


def test_a_language_model_that_raises_in_chat_is_told_in_one_line(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, packages: Path
) -> None:
    worker = start_worker("--offline", "--allow", "troubled-agents,openrtc-offline", folders=[packages])
    caller = callers.join("asker", api.token("broken-model-1", "asker"), speaks=False)
    caller.wait_for_agent()
    time.sleep(0.5)
    caller.send_text("hello")
    worker.wait_for_log("no such deployment", timeout=15.0)
    (record,) = worker.records("LookupError: no such deployment at .*troubled_agents.py:")
    assert record["level"] == "error"
    assert (record["agent"], record["room"]) == ("broken-model", "broken-model-1")
    assert TRACEBACK not in worker.log()
    assert worker.running
    caller.leave()
