"""What a restart of a LiveKit server with redis, and the death of one of two nodes, do to the calls of three workers.

OpenRTC, livekit-agents by itself (a process for each call), and openrtc 0.20.1, another project of that name, whose
interpreter is given (see ``benchmarks/peer_faults.py``)::

    python benchmarks/clusters.py --peer peer/bin/python

Run it with the Python of this project's tests. Four calls each, by token. «Two agents» counts the calls whose caller
sees more than one agent when all has settled, «none» those whose caller sees none. Takes 6 minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from textwrap import dedent

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from e2e.callers import Caller, CallersProcess
from e2e.packages import Package
from e2e.redis import redis_server
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess, openrtc_worker
from faults.failing_agents import BYSTANDER
from faults.nodes import agents_seen, build_node, kill, read_node_id
from openrtc.server import LocalServer

NAME = "keep"
CALLS = 4
PACKAGES = (TONE_AGENTS, BYSTANDER)
DOWN_SECONDS = 1.0
SETTLED_SECONDS = 45.0
READY_SECONDS = 60.0

StartWorker = Callable[[ServerApi], WorkerProcess]

STOCK = """
    from bystander_agents import Bystander
    from livekit.agents import AgentServer, AgentSession, JobContext, cli

    server = AgentServer(host="127.0.0.1", port=0, load_fnc=lambda _: 0.0, num_idle_processes=1)

    @server.rtc_session(agent_name="keep")
    async def run(context: JobContext):
        await AgentSession(vad=None).start(Bystander(), room=context.room)

    if __name__ == "__main__":
        cli.run_app(server)
"""
PEER = """
    import livekit.plugins.turn_detector.multilingual
    from bystander_agents import Bystander
    from livekit.agents.inference_runner import _InferenceRunner
    from openrtc import AgentPool

    _InferenceRunner.registered_runners.clear()  # its model is not on this machine
    pool = AgentPool(agent_name="keep", isolation="coroutine")
    pool.add("bystander", Bystander)
    pool.server._host, pool.server._port = "127.0.0.1", 0
    type(pool.server)._coroutine_load_fnc = lambda _: 0.0  # a machine that is busy otherwise is offered no call

    if __name__ == "__main__":
        pool.run()
"""


class Workers:
    """Starts one kind of workers.

    Args:
        kind: ``ours``, ``stock`` or ``peer``.
        python: The interpreter; None for this one.
        folder: For packages and logs.
        packages: Packages of agents, one of them `bystander`.
    """

    def __init__(self, kind: str, python: Path | None, folder: Path, packages: Sequence[Package] = PACKAGES) -> None:
        self._kind = kind
        self._python = python
        self._folder = folder
        self._packages = packages
        self._started = 0
        for package in packages:
            package.install_into(folder / "packages")

    def start(self, server: ServerApi) -> WorkerProcess:
        """Return a registered worker."""
        self._started += 1
        log, folders = self._folder / f"worker-{self._started}.log", [self._folder / "packages"]
        if self._kind == "ours":
            allowed = ",".join(package.name for package in self._packages)
            worker = openrtc_worker(server, log, "--allow", allowed, "--agent-name", NAME, folders=folders)
        else:
            script = self._folder / "agents.py"
            script.write_text(dedent(STOCK if self._kind == "stock" else PEER))
            more = {"python": self._python, "cwd": self._folder}
            worker = WorkerProcess([str(script), "start"], api=server, log=log, folders=folders, **more)
        return worker.wait_until_ready()


def run_restart(start: StartWorker, folder: Path) -> str:
    """Restart a server with redis, with one worker and four calls."""
    with redis_server() as redis, build_node(redis, folder / "server.log") as running:
        server = api_of(running)
        with start(server), CallersProcess(running.url, folder / "callers") as people:
            callers = [call(people, server, f"bystander-{number}") for number in range(CALLS)]
            kill(running)
            time.sleep(DOWN_SECONDS)
            running.start()
            time.sleep(SETTLED_SECONDS)
            return describe(callers)


def run_death(start: StartWorker, folder: Path) -> str:
    """Kill one of two nodes, each with a worker; the callers, and half of the rooms, are at the other one."""
    with (
        redis_server() as redis,
        build_node(redis, folder / "dead.log") as dies,
        build_node(redis, folder / "alive.log") as lives,
    ):
        dead, alive = (read_node_id(folder / f"{name}.log") for name in ("dead", "alive"))
        server = api_of(lives)
        with CallersProcess(lives.url, folder / "callers") as people, start(api_of(dies)):
            callers = [call(people, server, f"bystander-{where}-1", where) for where in (dead, alive)]
            with start(server):
                callers += [call(people, server, f"bystander-{where}-2", where) for where in (dead, alive)]
                kill(dies)
                time.sleep(SETTLED_SECONDS)
                return describe(callers)


def call(people: CallersProcess, server: ServerApi, room: str, where: str = "") -> Caller:
    """Call by token, in a room on one of the nodes, and wait for the agent's voice."""
    wish = Dispatch(room=room, agent_name=NAME, metadata=json.dumps({"agent": "bystander"}))
    if where:
        server.create_room(room, agents=[wish], node=where)
    caller = people.join(room, server.token(room, "ann", agents=[wish]), speaks=False)
    caller.wait_for("track_subscribed", READY_SECONDS)
    return caller


def describe(callers: list[Caller]) -> str:
    """Return how many of the callers see two agents, and how many none."""
    counts = [len(agents_seen(caller)) for caller in callers]
    two, none = sum(count > 1 for count in counts), counts.count(0)
    return f"{two} of {len(callers)} calls have two agents" + (f", {none} none" if none else "")


def api_of(server: LocalServer) -> ServerApi:
    """Return a server's API."""
    return ServerApi(server.url, server.api_key, server.api_secret)


# The titles are those of the fault tests.
RUNS = {
    f"LiveKit server with redis killed, and started again {DOWN_SECONDS:g} s later": run_restart,
    "one of two LiveKit nodes killed, with a worker connected to each": run_death,
}


def main() -> None:
    """Run both with each kind of workers and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("ours", "stock", "peer"), help="one kind of workers")
    parser.add_argument("--peer", type=Path, help="the interpreter of the environment with the peer")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write what was seen of the last kind to PATH")
    args = parser.parse_args()
    kinds = {"ours": None, "stock": None} | ({"peer": args.peer.absolute()} if args.peer else {})
    seen: dict[str, str] = {}
    for kind, python in kinds.items():
        if args.only not in (None, kind):
            continue
        for title, run in RUNS.items():
            with tempfile.TemporaryDirectory() as folder:
                seen[title] = run(Workers(kind, python, Path(folder)).start, Path(folder))
                print(f"{kind}: {title}: {seen[title]}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(seen, indent=1) + "\n")


if __name__ == "__main__":
    main()
