"""How soon a live call has edited code, what is heard meanwhile, and what is left of many reloads.

    python benchmarks/reload.py [EDITS [BROKEN [MORE]]]  # 100, 20 and 200 by default

A real LiveKit server and one `openrtc dev`. A caller talks to an agent whose package is edited, in place and as editors
do it, prompts and helpers too, and asks after each edit; another caller listens to an agent that never stops.
Broken edits are each followed by a question. At the end the package is edited many times more without questions, and
the worker's memory is read.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from e2e.callers import CallersProcess
from e2e.reload_agents import EditedCall, find_longest_hole
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess
from openrtc.server import LocalServer

BROKEN = (
    ("def (:\n", ""),
    ("import nope\n", "+"),
    ("1 / 0\n", "+"),
    ("import sys; sys.exit(3)\n", "+"),
    ("self.reloads = 1 / 0", "self.reloads = 0"),
    ("class Disk(Agent)", "class Desk(Agent)"),
)


def main(edits: int, broken: int, more: int) -> None:
    """Measure, and print what came of it."""
    with tempfile.TemporaryDirectory() as name, LocalServer(port=0) as server:
        folder = Path(name)
        call = EditedCall(folder)
        api = ServerApi(server.url, server.api_key, server.api_secret)
        command = ["-m", "openrtc", "dev", "--allow", "edited-agents,steady-agents,openrtc-offline", *call.options]
        worker = WorkerProcess(command, api=api, log=folder / "dev.log", folders=[call.packages, call.helpers])
        try:
            with worker, CallersProcess(server.url, folder / "callers") as people:
                measure(call, api, worker.wait_until_ready(), people, (edits, broken, more))
        except BaseException:
            print(worker.log()[-6000:])
            raise


def measure(
    call: EditedCall, api: ServerApi, worker: WorkerProcess, people: CallersProcess, counts: tuple[int, int, int]
) -> None:
    """Hold both calls, and edit."""
    steady = people.join("steady-1", api.token("steady-1", "ben"))
    steady.wait_for_agent()
    call.join(people, api)
    call.wait_for("turn_completed", room="desk-1")
    heard_before = read_count(call.ask()["said"])
    began = time.time()
    saved = []
    for number in range(counts[0]):
        word = f"version-{number + 2}"
        name = "edited_helper.py"
        at = call.edit(name, f"VERSION = {word!r}\n", in_place=number % 2 == 0)
        told = call.wait_for("call_reloaded", at, reason="")
        saved.append(told["time"] - at)
        turn = call.ask()
        assert turn["said"].startswith(word) and turn["said"].endswith("kept True"), turn
        count = read_count(turn["said"])
        assert count > heard_before, turn  # with all that was said before
        heard_before = count
    source = call.read("__init__.py")
    for number in range(counts[1]):
        text, instead = BROKEN[number % len(BROKEN)]
        changed = (
            text + f"# {number}\n"
            if not instead
            else source + text
            if instead == "+"
            else source.replace(instead, text)
        )
        at = call.edit("__init__.py", changed, in_place=number % 2 == 0)
        told = call.wait_for("code_reloaded", at)
        assert told["reason"] and told["place"], told
        turn = call.ask()
        assert turn["said"].startswith(word), turn
        count = read_count(turn["said"])
        assert count > heard_before, turn
        heard_before = count
    call.wait_for("code_reloaded", call.edit("__init__.py", source + "\n"), reason="")
    ended = time.time()
    time.sleep(1.0)
    (heard,) = steady.recordings()
    process = psutil.Process(worker.pid)
    print(
        f"{counts[0]} edits: new code in the call after p50 {statistics.median(saved) * 1000:.0f} ms, "
        f"most {max(saved) * 1000:.0f} ms; {counts[1]} broken ones changed nothing"
    )
    hole = find_longest_hole(heard, began, ended)
    print(f"longest hole of the bystander in {ended - began:.0f} s: {hole * 1000:.0f} ms")
    sizes = []
    for number in range(counts[2]):
        at = call.edit("edited_helper.py", f"VERSION = 'more-{number}'\n")
        call.wait_for("code_reloaded", at, reason="")
        if number in (counts[2] // 10, counts[2] // 2, counts[2] - 1):
            sizes.append((number, process.memory_full_info().uss / 1e6))
    print(
        "memory of the worker:", ", ".join(f"{size:.1f} MB after {number + 1} more reloads" for number, size in sizes)
    )


def read_count(said: str) -> int:
    """Return how many questions an answer says that it knows of."""
    found = re.search(r"heard (\d+)", said)
    assert found, said
    return int(found[1])


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    main(*(given + [100, 20, 200][len(given) :]))
