"""What a worker still takes after a hundred hang-ups: rooms of sixty people, and many callers at once.

A hundred callers hang up in a minute, each second one before its agent is there, and none says that it has hung up.
Then ten agents are dispatched at once while twenty calls wait for callers who have left, and then sixty people come to
one room, ten times::

    python benchmarks/crowds.py

Run it with the Python of this project's tests; ``--hang-ups 0`` leaves the first part out. CPU time is that of the
server, the worker and those who come, with all processes that each has started. Takes 6 minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from concurrent.futures import wait as wait_for_all
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.append(str(Path(__file__).resolve().parent / "calls"))

import callers_who_leave
from callers_who_leave import METADATA, NAME, Stage, open_stage, run_hang_ups, tell, wait
from process_tree import cpu_seconds

from e2e.callers import CallersProcess
from e2e.server_api import Dispatch

ROUNDS = 10
PEOPLE = 60
AT_ONCE = 10
WAITING = 20
JOIN_SECONDS = 90.0
AGENT_SECONDS = 60.0


class CpuClock:
    """CPU time of the processes of a stage, and of the people who come, with those that they have started."""

    def __init__(self, stage: Stage, people: CallersProcess) -> None:
        server = next(one for one in psutil.Process().children() if "livekit-server" in one.name())
        self._trees = {"server": server.pid, "worker": stage.worker.pid, "people": people.pid}
        self._began = self._read()
        self._since = time.monotonic()

    def _read(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self._trees.items()}

    def tell(self) -> str:
        """Return what each has taken."""
        taken = {name: seconds - self._began[name] for name, seconds in self._read().items()}
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in taken.items())
        return f"{time.monotonic() - self._since:.1f} s; CPU seconds: {parts}"


def crowd(stage: Stage, number: int) -> tuple[bool, str]:
    """Let sixty people come to a room, from a process of their own; whether its agent came, and what that took."""
    with tempfile.TemporaryDirectory() as folder, CallersProcess(stage.server.url, Path(folder)) as people:
        room = f"crowd-{number}"
        wish = Dispatch(room=room, agent_name=NAME, metadata=METADATA)
        tokens = [stage.server.token(room, f"p{person}", agents=[wish]) for person in range(PEOPLE)]
        clock, began = CpuClock(stage, people), time.monotonic()
        joining = [people.start_joining(token, token, speaks=False, subscribes=False)[1] for token in tokens]
        seconds = wait(lambda: bool(stage.agents(room)), AGENT_SECONDS)
        wait_for_all(joining, timeout=JOIN_SECONDS)
        joined = sum(one.done() and not one.exception() for one in joining)
        agents, there = len(stage.agents(room)), time.monotonic() - began
        came = f"agent after {tell(seconds, AGENT_SECONDS)}, {agents} there"
        text = f"{came}; {joined} of {PEOPLE} people after {there:.1f} s; {clock.tell()}"
    stage.server.delete_room(room)
    wait(lambda: stage.slots <= 1)
    return agents == 1, text


def come_at_once(stage: Stage) -> str:
    """Dispatch ten agents at once while calls wait in which nobody is any more; how many come."""
    callers = [stage.call(f"waits-{number}") for number in range(WAITING)]
    for caller in callers:
        caller.wait_for_agent(AGENT_SECONDS)
    for caller in callers:
        caller.leave()
    rooms = [f"at-once-{number}" for number in range(AT_ONCE)]
    began = time.monotonic()
    waiting = stage.worker.snapshot()["waiting"] if stage.ours else "?"
    stage.server.dispatch_all([Dispatch(room=one, agent_name=NAME, metadata=METADATA) for one in rooms])
    all_there = wait(lambda: all(stage.server.agents_in(rooms).values()), AGENT_SECONDS)
    found = sum(map(bool, stage.server.agents_in(rooms).values()))
    for room in rooms:
        stage.server.delete_room(room)
    took = "" if all_there is None else f" after {time.monotonic() - began:.1f} s"
    return f"{found} of {AT_ONCE} dispatches have an agent{took}, onto {waiting} waiting calls"


def main() -> None:
    """Run all and print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("ours", "stock"), default="ours", help="which worker")
    parser.add_argument("--hang-ups", type=int, default=callers_who_leave.HANG_UPS, help="how many")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how many rooms of sixty")
    args = parser.parse_args()
    callers_who_leave.HANG_UPS = args.hang_ups
    with open_stage(args.only, None) as stage:
        if args.hang_ups:
            clock = CpuClock(stage, stage.people)
            print(f"{args.hang_ups} hang-ups: {run_hang_ups(stage)}; {clock.tell()}", flush=True)
        print(come_at_once(stage), flush=True)
        served = 0
        for number in range(args.rounds):
            came, text = crowd(stage, number)
            served += came
            print(f"room of {PEOPLE}, {number + 1}: {text}", flush=True)
            if not came:
                print(*(line for line in stage.worker.log().splitlines() if f"crowd-{number}" in line), sep="\n")
        print(f"{served} of {args.rounds} rooms of {PEOPLE} got their agent", flush=True)


if __name__ == "__main__":
    main()
