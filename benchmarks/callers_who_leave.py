"""What callers who leave, and requests that are never finished, take from three workers.

OpenRTC, livekit-agents by itself (a process for each call), and openrtc 0.20.1, another project of that name, whose
interpreter is given (see ``benchmarks/peer_faults.py``)::

    python benchmarks/callers_who_leave.py --peer peer/bin/python

Run it with the Python of this project's tests. A slot is what counts against the worker's limit: OpenRTC's sessions,
and the others' active jobs. Takes 12 minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from clusters import NAME, Workers, api_of

from e2e.callers import Caller, CallersProcess
from e2e.packages import Package
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess
from openrtc.server import LocalServer

HANG_UPS = 100
HANG_UP_SECONDS = 0.6
HALF_SENT = 400
DESCRIPTORS = 400
"""How many the worker may open then."""
HALF_SENT_SECONDS = 20.0
"""How long a good request, and a call, are waited for beside them."""
AWAY_SECONDS = 4.0
WATCHED_SECONDS = 45.0
"""How long an agent is watched that nobody comes to, or comes back to."""
READY_SECONDS = 30.0
ANSWER_SECONDS = 15.0
RECALL = Package(
    name="bystander-agents",
    modules={
        "bystander_agents.py": """
            from livekit.agents import Agent, llm
            from tone_agents import ToneAgent


            class Nobody(llm.LLM):
                def chat(self, **more):
                    raise NotImplementedError("the agent answers itself")


            class Bystander(ToneAgent):
                frequency = 440.0
                seconds = 2.0

                def __init__(self):
                    Agent.__init__(self, instructions="x", llm=Nobody())

                async def llm_node(self, chat_ctx, tools, model_settings):
                    heard = [one.text_content for one in chat_ctx.items if getattr(one, "role", "") == "user"]
                    person = self.session.room_io.room.local_participant
                    await person.publish_data("I have heard " + ", and ".join(heard), topic="recall")
                    yield ""
        """
    },
    agents={"bystander": "bystander_agents:Bystander"},
)
"""An agent that answers with all that it has heard in its call."""
METADATA = json.dumps({"agent": "bystander"})


class Stage:
    """One worker on a server of its own, with callers.

    Args:
        server: The server.
        people: The callers.
        worker: The worker.
        ours: Whether it is OpenRTC.
    """

    def __init__(self, server: ServerApi, people: CallersProcess, worker: WorkerProcess, ours: bool) -> None:
        self.server = server
        self.people = people
        self.worker = worker
        self.ours = ours
        connections = psutil.Process(worker.pid).net_connections("tcp4")  # before any room listens, too
        self.health_port = next(one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN)

    @property
    def slots(self) -> int:
        """How many slots are taken."""
        if self.ours:
            return int(self.worker.snapshot()["sessions"])
        with urlopen(f"http://127.0.0.1:{self.health_port}/worker", timeout=5.0) as answer:
            return int(json.load(answer).get("active_jobs", 0))  # 0 is left out

    def call(self, room: str, name: str = "", *, speaks: bool = False) -> Caller:
        """Let somebody call who may be back in a moment."""
        wish = Dispatch(room=room, agent_name=NAME, metadata=METADATA)
        token = self.server.token(room, "ann", agents=[wish], hangs_up=False)
        return self.people.join(name or room, token, speaks=speaks)

    def agents(self, room: str) -> list[str]:
        """Return the agents in a room."""
        return self.server.agents_in([room])[room]


def run_hang_ups(stage: Stage) -> str:
    """Let a hundred callers hang up in a minute, each second one before its agent is there."""
    stage.call("stays").wait_for_agent(READY_SECONDS)
    most = 0
    began = time.monotonic()
    with ThreadPoolExecutor(HANG_UPS) as pool:
        leaving = []
        for number in range(HANG_UPS):
            time.sleep(max(0.0, began + number * HANG_UP_SECONDS - time.monotonic()))
            leaving.append(pool.submit(hang_up, stage, number))
            most = max(most, stage.slots)
        served = sum(one.result() for one in leaving)
    over = time.monotonic()
    held = stage.slots
    seconds = wait(lambda: stage.slots <= 1, 2 * WATCHED_SECONDS)
    freed = "not freed" if seconds is None else f"free after {seconds:.1f} s"
    text = f"{most} slots at most, {held} when the last had left, {freed}"
    return f"{text} ({over - began:.0f} s; {served} of {HANG_UPS // 2} who waited for it met their agent)"


def hang_up(stage: Stage, number: int) -> bool:
    """Call and hang up; whether the agent was there."""
    met = False
    with contextlib.suppress(TimeoutError, RuntimeError):  # where the machine is too busy for it to join or to leave
        caller = stage.call(f"hangs-up-{number}")
        if number % 2:
            with contextlib.suppress(TimeoutError):
                caller.wait_for_agent(READY_SECONDS)
                met = True
        caller.leave()
    return met


def run_leaving(stage: Stage) -> str:
    """Let somebody leave and not come back."""
    caller = stage.call("leaves")
    caller.wait_for("track_subscribed", READY_SECONDS)
    caller.leave()
    free = wait(lambda: stage.slots == 0)
    gone = wait(lambda: not stage.agents("leaves"))
    return f"slot free after {tell(free)}, agent gone after {tell(add(free, gone))}"


def run_reload(stage: Stage) -> str:
    """Let somebody leave and come back under the same identity."""
    first = stage.call("reloads", "first", speaks=True)
    first.wait_for("track_subscribed", READY_SECONDS)
    before = stage.agents("reloads")
    first.send_text("my name is Ann")
    assert hear(first, "Ann"), "it has a history to find"
    first.leave()
    time.sleep(AWAY_SECONDS)
    second = stage.call("reloads", "second", speaks=True)
    with contextlib.suppress(TimeoutError):
        second.wait_for_agent(READY_SECONDS)
    time.sleep(1.0)
    second.send_text("what is it")
    answer = hear(second, "what is it")
    after = stage.agents("reloads")
    second.leave()
    who = "the same agent" if after == before else "another agent" if after else "no agent"
    return f"{who}; {'no answer' if answer is None else 'the history' if 'Ann' in answer else 'no history'}"


def hear(caller: Caller, words: str) -> str | None:
    """Return what an agent answers that has these words in it, None where it does not."""

    def is_it(event: dict[str, Any]) -> bool:
        return event["event"] == "data" and event["caller"] == caller.name and words in event["text"]

    try:
        return str(caller.process.wait_for(is_it, ANSWER_SECONDS)["text"])
    except TimeoutError:
        return None


def run_nobody(stage: Stage) -> str:
    """Ask for an agent in a room to which nobody comes."""
    stage.server.dispatch("nobody", NAME, METADATA)
    wait(lambda: bool(stage.agents("nobody")), READY_SECONDS)
    free = wait(lambda: stage.slots == 0)
    stage.server.delete_room("nobody")
    return f"slot free after {tell(free)}"


def run_half_sent(stage: Stage) -> str:
    """Send the first bytes of 400 requests to the health port; then a good request, and call."""
    port, path = stage.health_port, "/ready" if stage.ours else "/"
    psutil.Process(stage.worker.pid).rlimit(psutil.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    with contextlib.ExitStack() as halves:
        began = time.monotonic()
        for _ in range(HALF_SENT):
            half = halves.enter_context(socket.create_connection(("127.0.0.1", port)))
            with contextlib.suppress(ConnectionError):  # one too many is closed at once
                half.sendall(b"GET / HTTP/1.1\r\nHost: 127")
        held = psutil.Process(stage.worker.pid).num_fds()
        with ThreadPoolExecutor(1) as pool:
            calling = pool.submit(call_for_agent, stage)
            seconds = wait(lambda: is_answered(port, path), HALF_SENT_SECONDS)
            met = calling.result()
        kept = time.monotonic() - began
        still = psutil.Process(stage.worker.pid).num_fds()
    answered = f"a good request answered after {tell(seconds, HALF_SENT_SECONDS)}"
    return f"{answered}, a call {'is' if met else 'is not'}; {held} descriptors, {still} after {kept:.0f} s"


def call_for_agent(stage: Stage) -> bool:
    """Call; whether an agent comes."""
    try:
        stage.call("beside").wait_for_agent(HALF_SENT_SECONDS)
    except TimeoutError:
        return False
    return True


def is_answered(port: int, path: str) -> bool:
    """Whether a good request is answered with 200 within a second."""
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=1.0) as answer:
            return int(answer.status) == 200
    except OSError:
        return False


def wait(true: Callable[[], bool], limit: float = WATCHED_SECONDS) -> float | None:
    """Return after how many seconds something was true, None where it was not in time."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        if true():
            return time.monotonic() - began
        time.sleep(0.1)
    return None


def add(first: float | None, second: float | None) -> float | None:
    """Return the sum, None where one is not known."""
    return None if first is None or second is None else first + second


def tell(seconds: float | None, limit: float = WATCHED_SECONDS) -> str:
    """Return it in words."""
    return f"more than {limit:.0f} s" if seconds is None else f"{seconds:.1f} s"


def run_while_it_lives(run: Callable[[Stage], str], stage: Stage) -> str:
    """Return what came of a run, also where it has ended the worker."""
    try:
        return run(stage)
    except OSError as error:
        if stage.worker.running:
            return f"not measured: {type(error).__name__}, the worker does not answer"
        last = stage.worker.tail(1).strip()
        return f"the worker ended with {stage.worker.exit_code}, and every call with it: {last[:200]}"


RUNS: dict[str, Callable[[Stage], str]] = {
    f"a page is loaded anew within {AWAY_SECONDS:g} s": run_reload,
    "somebody leaves and does not come back": run_leaving,
    "an agent is dispatched, and nobody comes": run_nobody,
    f"{HALF_SENT} half-sent requests to the health port, {DESCRIPTORS} descriptors": run_half_sent,
    f"{HANG_UPS} callers hang up in a minute": run_hang_ups,
}


@contextlib.contextmanager
def open_stage(kind: str, python: Path | None) -> Iterator[Stage]:
    """Open a stage with one kind of worker."""
    with tempfile.TemporaryDirectory() as folder, LocalServer(port=0) as running:
        server = api_of(running)
        workers = Workers(kind, python, Path(folder), (TONE_AGENTS, RECALL))
        with workers.start(server) as worker, CallersProcess(running.url, Path(folder) / "callers") as people:
            yield Stage(server, people, worker, kind == "ours")


def main() -> None:
    """Run all with each kind of workers and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("ours", "stock", "peer"), help="one kind of workers")
    parser.add_argument("--runs", help="only what has this in its title")
    parser.add_argument("--peer", type=Path, help="the interpreter of the environment with the peer")
    args = parser.parse_args()
    kinds = {"ours": None, "stock": None} | ({"peer": args.peer.absolute()} if args.peer else {})
    for kind, python in kinds.items():
        for title, run in RUNS.items():
            if args.only in (None, kind) and (args.runs or "") in title:
                with open_stage(kind, python) as stage:
                    print(f"{kind}: {title}: {run_while_it_lives(run, stage)}", flush=True)


if __name__ == "__main__":
    main()
