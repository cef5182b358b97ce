"""An agent package by somebody who has never seen the core: an entry point and an `Agent` class, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.callers import CallersProcess
from e2e.packages import Environment, Package
from e2e.recognition import Recogniser
from e2e.server_api import ServerApi
from e2e.speech import Voice
from e2e.worker import WorkerProcess

MUSEUM = Package(
    name="museum-guide",
    modules={
        "museum_guide/__init__.py": """
            from livekit.agents import Agent, function_tool


            class Guide(Agent):
                def __init__(self) -> None:
                    super().__init__(instructions="You guide visitors through a museum.")

                @function_tool
                async def find_painting(self) -> str:
                    \"\"\"Tell where the famous painting hangs.\"\"\"
                    return "The painting hangs on the second floor, next to the garden window."

                @function_tool
                async def ticket_price(self) -> str:
                    \"\"\"Tell the price of a ticket.\"\"\"
                    return "A ticket costs eleven dollars."
        """
    },
    agents={"museum": "museum_guide:Guide"},
    requires=("livekit-agents",),
)
PAINTING = "The painting hangs on the second floor, next to the garden window."
TICKET = "A ticket costs eleven dollars."


@pytest.mark.realtime
def test_what_its_tool_returns_is_heard_on_a_call_after_pip_install(
    api: ServerApi, callers: CallersProcess, voice: Voice, recogniser: Recogniser, tmp_path: Path
) -> None:
    place = Environment(tmp_path / "environment")
    place.install(MUSEUM.build_wheel(tmp_path / "wheel"))
    command = ["-m", "openrtc", "start", "--port", "0", "--log-format", "json", "--offline"]
    with WorkerProcess(command, api=api, log=tmp_path / "worker.log", python=place.python) as worker:
        worker.wait_until_ready()
        caller = callers.join("visitor", api.token("museum-tour-1", "visitor"))
        assert caller.wait_for_agent()["identity"].startswith("museum-")
        heard = []
        for question in ("Where is the famous painting?", "How much is a ticket?"):
            asked = caller.say(voice.say(question))
            answer = caller.wait_for_answer(asked.ended, quiet=1.2, timeout=30.0)
            assert answer is not None, f"no answer to {question!r}"
            (recording,) = caller.recordings()
            heard.append(recogniser.which(recording.between(asked.ended, answer.ended + 0.2), [PAINTING, TICKET]))
        assert heard == [PAINTING, TICKET]
        caller.leave()
        worker.stop()
