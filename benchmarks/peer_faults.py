"""What the faults of ``nox -s faults`` do to openrtc 0.20.1, another project of that name, beside one bystander.

It needs an environment of its own, since both import as ``openrtc``::

    python -m venv peer
    peer/bin/pip install "openrtc[livekit]==0.20.1" "typer<0.29" "livekit-agents==1.8.9"
    python benchmarks/peer_faults.py peer/bin/python --json peer.json

Run it with the Python of this project's tests. The agents are those of the fault tests; the peer takes no factories, so
that those cases are left out. Its turn detector, whose model would have to be downloaded, is taken out of its worker.
Every case happens beside a bystander's call; a new worker is started where the last one has ended. Takes 8 minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from e2e.callers import Caller, CallersProcess
from e2e.packages import Package
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess
from faults.failing_agents import BYSTANDER, FAULTY_AGENTS, HOW, PLACES
from faults.failing_models import CALL, FAULTY_MODELS, faults_of
from faults.silence import silence_between
from openrtc.server import LocalServer

NAME = "peer"
BURST = 12
WATCHED = 8.0
LONG_WATCHED = 30.0
"""Seconds for which a worker is watched after one fault, and after several: some end only after a while."""
PACKAGES = (TONE_AGENTS, BYSTANDER, FAULTY_AGENTS, FAULTY_MODELS)
WITHOUT_FACTORIES = [place for place in PLACES if place != "factory"]
ENDS_ITS_CALL = ("init", "enter")

SCRIPT = """
    import importlib
    import json
    import os

    import livekit.plugins.turn_detector.multilingual
    from livekit.agents.inference_runner import _InferenceRunner

    _InferenceRunner.registered_runners.clear()  # its model is not on this machine

    from openrtc import AgentPool

    pool = AgentPool(agent_name="peer", isolation="coroutine")
    for name, value in json.loads(os.environ["AGENTS"]).items():
        module_name, _, attribute = value.partition(":")
        module = importlib.import_module(module_name)
        agent = getattr(module, attribute)
        agent.__qualname__ = attribute  # the peer takes only classes that can be pickled
        setattr(module, attribute, agent)
        pool.add(name, agent)
    pool.server._host, pool.server._port = "127.0.0.1", 0

    if __name__ == "__main__":
        pool.run()
"""
# The titles are those of the fault tests.
CASES: dict[str, Sequence[str]] = {
    **{f"agent raises {HOW[how]} in {PLACES[place]}": [f"{place}-{how}"] for place in WITHOUT_FACTORIES for how in HOW},
    "agents leave an endless task, and a thousand of them, behind": ["leaks-task", "leaks-thousand"],
    "agent blocks the loop for 0.1 s": ["blocks-short"],
    "agent blocks the loop for 1 s": ["blocks-second"],
    **{f"{kind.upper()} {words}": [f"{kind}-{what}"] for kind in CALL for what, words in faults_of(kind).items()},
    "five failed calls, one after the other": ["init-raises"] * 5,
}


class Peer:
    """The peer's worker with a bystander's call in it, started anew when it has ended.

    Args:
        python: The interpreter of the peer's environment.
        folder: For packages, logs and recordings.
    """

    def __init__(self, python: Path, folder: Path) -> None:
        self._python = python
        self._folder = folder
        self._numbers = itertools.count(1)
        for package in PACKAGES:
            package.install_into(folder / "packages")

    def run(self) -> dict[str, str]:
        """Let every fault happen; return what was seen by the fault's title."""
        seen: dict[str, str] = {}
        waiting = list(CASES)
        while waiting:
            with LocalServer(port=0) as running:
                server = ServerApi(running.url, running.api_key, running.api_secret)
                folder = self._folder / str(next(self._numbers))
                with self.worker(server, folder) as worker, CallersProcess(server.url, folder / "callers") as callers:
                    bystander = self._call(server, callers, "bystander")
                    bystander.wait_for("track_subscribed", 30.0)
                    time.sleep(1.0)
                    while waiting and worker.running:
                        fault = waiting.pop(0)
                        seen[fault] = self._one(fault, server, callers, bystander, worker)
                        print(f"{fault}: {seen[fault]}", flush=True)
        seen[f"{BURST} simultaneous dispatches"] = self._burst()
        return seen

    def worker(self, server: ServerApi, folder: Path) -> WorkerProcess:
        """Return a registered worker of the peer."""
        folder.mkdir(parents=True)
        script = folder / "agents.py"
        script.write_text(dedent(SCRIPT))
        return WorkerProcess(
            [str(script), "start"],
            api=server,
            log=folder / "worker.log",
            folders=[self._folder / "packages"],
            variables={"AGENTS": json.dumps(agents_of(PACKAGES))},
            python=self._python,
            cwd=folder,
        ).wait_until_ready()

    def _one(
        self, fault: str, server: ServerApi, callers: CallersProcess, bystander: Caller, worker: WorkerProcess
    ) -> str:
        began = time.time()
        victims = [self._call(server, callers, agent) for agent in CASES[fault]]
        time.sleep(WATCHED if len(victims) == 1 else LONG_WATCHED)
        hole = silence_between(bystander.recordings(), began, time.time() - 0.5)
        left = [identity for found in server.agents_in([one.name for one in victims]).values() for identity in found]
        for victim in victims:
            victim.leave()
        if not worker.running:
            return f"the worker ended with {worker.exit_code}, and every call with it"
        ends = CASES[fault][0].partition("-")[0] in ENDS_ITS_CALL
        return f"{hole:.2f} s" + (f"; {len(left)} silent agents stayed in the room" if ends and left else "")

    def _burst(self) -> str:
        with LocalServer(port=0) as running:
            server = ServerApi(running.url, running.api_key, running.api_secret)
            with self.worker(server, self._folder / "burst"):
                rooms = [f"burst-{number}" for number in range(BURST)]
                metadata = '{"agent": "bystander"}'
                server.dispatch_all([Dispatch(room=room, agent_name=NAME, metadata=metadata) for room in rooms])
                time.sleep(2 * WATCHED)
                taken = sum(bool(found) for found in server.agents_in(rooms).values())
                return f"took {taken} of {BURST}"

    def _call(self, server: ServerApi, callers: CallersProcess, agent: str) -> Caller:
        room = f"{agent}-room-{next(self._numbers)}"
        wish = Dispatch(room=room, agent_name=NAME, metadata=json.dumps({"agent": agent}))
        return callers.join(room, server.token(room, "ann", agents=[wish]), speaks=False)


def agents_of(packages: Sequence[Package]) -> dict[str, str]:
    """Return the agents that are classes, by name, as ``module:attribute``."""
    found = {name: value for package in packages for name, value in package.agents.items()}
    return {name: value for name, value in found.items() if not name.startswith("factory")}


def main() -> None:
    """Run every case and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", type=Path, help="the interpreter of the environment with the peer")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write what was seen to PATH, by the fault's title")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        seen = Peer(args.python.absolute(), Path(folder)).run()
    if args.json:
        args.json.write_text(json.dumps(seen, indent=1) + "\n")
    else:
        print(json.dumps(seen, indent=1))


if __name__ == "__main__":
    main()
