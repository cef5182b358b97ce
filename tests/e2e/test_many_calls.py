"""Many calls side by side in one process: bursts, fifty sessions, resources loaded once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from e2e.callers import CallersProcess
from e2e.packages import Package
from e2e.recognition import Recogniser
from e2e.server_api import Dispatch, ServerApi
from e2e.speech import Voice
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess

StartWorker = Callable[..., WorkerProcess]

THREE_THAT_SHARE = [
    Package(
        name=f"sharer-{name}",
        modules={
            f"sharer_{name}.py": """
                import os
                from livekit.agents import Agent
                from openrtc import AgentSpec

                class Sharer(Agent):
                    def __init__(self, index):
                        super().__init__(instructions="x")
                        self.index = index

                    async def on_enter(self):
                        with open(os.environ["SEEN"], "a") as file:
                            file.write(f"{os.getpid()} {id(self.index)} {self.index}\\n")

                def build(call):
                    return Sharer(call.resources["shared.index"])

                agent = AgentSpec(agent=build, resources=["shared.index"])
            """
        },
        agents={name: f"sharer_{name}:agent"},
    )
    for name in ("one", "two", "three")
]
INDEX = Package(
    name="shared-index",
    modules={
        "shared_index.py": """
            import os
            import time
            from openrtc import ResourceSpec, hookimpl

            def load():
                with open(os.environ["LOADED"], "a") as file:
                    file.write(f"{os.getpid()}\\n")
                time.sleep(0.2)
                return "index"

            def fail():
                raise OSError("the disk is gone")

            @hookimpl
            def openrtc_resources():
                return [ResourceSpec(key="shared.index", load=load), ResourceSpec(key="broken.index", load=fail)]
        """
    },
    plugins={"index": "shared_index"},
)
IN_NEED = Package(
    name="in-need",
    modules={
        "in_need.py": """
            from livekit.agents import Agent
            from openrtc import AgentSpec

            agent = AgentSpec(agent=lambda: Agent(instructions="x"), resources=["broken.index"])
        """
    },
    agents={"needy": "in_need:agent"},
)


def test_twelve_simultaneous_dispatches_give_twelve_agents(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    worker = start_worker("--allow", "tone-agents", "--agent-name", "burst", "--max-sessions", "12", folders=folders)
    rooms = [f"alpha-burst-{number}" for number in range(12)]
    for room in rooms:  # an agent alone has no slot
        callers.join(room, api.token(room, "ann"), speaks=False)
    api.dispatch_all([Dispatch(room=room, agent_name="burst") for room in rooms])
    found = api.wait_for_agents(rooms)
    assert {room: len(agents) for room, agents in found.items()} == dict.fromkeys(rooms, 1)
    api.dispatch("alpha-one-too-many", "burst")
    time.sleep(2.0)
    assert api.agents_in(["alpha-one-too-many"]) == {"alpha-one-too-many": []}
    assert not worker.children()


def test_a_resource_is_loaded_once_for_three_packages_and_twelve_calls(
    start_worker: StartWorker, api: ServerApi, tmp_path: Path
) -> None:
    folder = tmp_path / "packages"
    for package in [*THREE_THAT_SHARE, INDEX, IN_NEED]:
        package.install_into(folder)
    seen, loaded = tmp_path / "seen", tmp_path / "loaded"
    names = ",".join(package.name for package in [*THREE_THAT_SHARE, INDEX, IN_NEED])
    variables = {"SEEN": str(seen), "LOADED": str(loaded)}
    worker = start_worker("--allow", names, folders=[folder], variables=variables)
    assert loaded.read_text().split() == [str(worker.pid)], "loaded before the worker takes jobs"
    rooms = [f"{name}-{number}" for name in ("one", "two", "three") for number in range(4)]
    for room in [*rooms, "needy-1"]:
        api.create_room(room)
    assert all(api.wait_for_agents(rooms).values())
    assert loaded.read_text().split() == [str(worker.pid)]
    until = time.monotonic() + 40.0
    while len(lines := seen.read_text().splitlines()) < 12 and time.monotonic() < until:
        time.sleep(0.1)  # `on_enter` runs when the room has been joined
    assert len(lines) == 12
    assert len(set(lines)) == 1, "one process, one object"
    (record,) = worker.records("resource 'shared.index' of shared-index loaded in ")
    assert " ms, " in record["message"]
    (failed,) = worker.records("agent 'needy' cannot serve")
    assert "shared-index" in failed["message"] and "the disk is gone" in failed["message"]
    assert api.agents_in(["needy-1"]) == {"needy-1": []}


ANSWERS = {
    "Where is the famous painting?": "The painting hangs on the second floor, next to the garden window.",
    "How much is a ticket?": "A ticket costs eleven dollars.",
    "What is the secret word?": "The secret word is harbor.",
    "What is the price of parking?": "Parking is free after six in the evening.",
    "When does the next train leave?": "The next train leaves from platform nine.",
}
FRONT_DESK = Package(
    name="front-desk",
    modules={
        "front_desk.py": """
            from livekit.agents import Agent, function_tool

            class FrontDesk(Agent):
                def __init__(self):
                    super().__init__(instructions="You answer visitors.")

                @function_tool
                async def find_painting(self) -> str:
                    \"\"\"Tell where the famous painting hangs.\"\"\"
                    return "The painting hangs on the second floor, next to the garden window."

                @function_tool
                async def ticket_price(self) -> str:
                    \"\"\"Tell the price of a ticket.\"\"\"
                    return "A ticket costs eleven dollars."

                @function_tool
                async def secret_word(self) -> str:
                    \"\"\"Tell the secret word.\"\"\"
                    return "The secret word is harbor."

                @function_tool
                async def parking_price(self) -> str:
                    \"\"\"Tell the price of parking.\"\"\"
                    return "Parking is free after six in the evening."

                @function_tool
                async def next_train(self) -> str:
                    \"\"\"Tell when the next train leaves.\"\"\"
                    return "The next train leaves from platform nine."
        """
    },
    agents={"desk": "front_desk:FrontDesk"},
)


@pytest.mark.alone
def test_fifty_sessions_share_one_process_with_1024_descriptors_and_five_of_them_talk_in_turn(
    start_worker: StartWorker,
    api: ServerApi,
    callers: CallersProcess,
    voice: Voice,
    recogniser: Recogniser,
    tmp_path: Path,
) -> None:
    folders = [FRONT_DESK.install_into(tmp_path / "packages")]
    allowed = ("--allow", "front-desk,openrtc-offline", "--offline")
    options = (*allowed, "--agent-name", "fifty", "--max-sessions", "50", "--profile", "lean")
    worker = start_worker(*options, folders=folders, descriptors=1024)
    rooms = [f"desk-fifty-{number}" for number in range(50)]
    api.dispatch_all([Dispatch(room=room, agent_name="fifty") for room in rooms[:45]])
    assert all(len(agents) == 1 for agents in api.wait_for_agents(rooms[:45]).values())
    dispatches = {room: [Dispatch(room=room, agent_name="fifty")] for room in rooms[45:]}
    people = [callers.join(room, api.token(room, "ann", agents=dispatch)) for room, dispatch in dispatches.items()]
    for caller in people:
        caller.wait_for_agent()
    heard = {}
    said = [caller.say(voice.say(question)) for caller, question in zip(people, ANSWERS, strict=True)]
    for caller, question, asked in zip(people, ANSWERS, said, strict=True):
        answer = caller.wait_for_answer(asked.ended, quiet=1.2, timeout=30.0)
        assert answer is not None, f"no answer to {question!r}"
        (recording,) = caller.recordings()
        sound = recording.between(asked.ended, answer.ended + 0.2)
        heard[question] = recogniser.which(sound, list(ANSWERS.values()))
    assert heard == ANSWERS
    assert all(len(agents) == 1 for agents in api.agents_in(rooms).values()), "none of the others was lost"
    assert psutil.Process(worker.pid).num_threads() < 200
    assert len(worker.children()) < 10, "the recognisers and voices, and no process for a call"
    assert len(worker.records("room 'desk-fifty-.*': desk by room.prefix")) == 50
