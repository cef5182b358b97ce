"""`openrtc dev` takes edits while a caller talks to the agent, and another one listens to an agent beside it."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.callers import Caller, CallersProcess
from e2e.edited_call import ADDED, EditedCall, find_longest_hole
from e2e.reporting import show_log_on_failure
from e2e.server_api import ServerApi
from e2e.worker import TRACEBACK, WorkerProcess
from openrtc.server import LocalServer

pytestmark = pytest.mark.realtime

LONG_HZ = 650.0
SLOW_IMPORT = 2.0
HOLE = 1.0
"""Seconds for which another call may be silent on a busy machine: an import on the loop of the calls would be heard.
`benchmarks/reload.py` measures what it is."""


class Edits:
    """A worker, a caller who talks to the agent that is edited, and one who listens to another agent."""

    def __init__(self, call: EditedCall, worker: WorkerProcess, caller: Caller, steady: Caller) -> None:
        self.call = call
        self.worker = worker
        self.caller = caller
        self.steady = steady
        self.began = time.time()

    def take(self, name: str, text: str, *, in_place: bool = False) -> str:
        """Save a file, wait until the call has the new code, and return what the agent answers then."""
        at = self.call.edit(name, text, in_place=in_place)
        self.call.wait_for("call_reloaded", at, reason="")
        return str(self.call.ask()["said"])


@pytest.fixture(scope="module")
def edits(
    server: LocalServer, api: ServerApi, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Edits]:
    folder = tmp_path_factory.mktemp("reload")
    call = EditedCall(folder)
    allowed = "edited-agents,steady-agents,added-agents,openrtc-offline"
    command = ["-m", "openrtc", "dev", "--allow", allowed, *call.options]
    folders = [call.packages, call.helpers]
    worker = WorkerProcess(command, api=api, log=folder / "dev.log", folders=folders)
    with worker, CallersProcess(server.url, folder / "callers") as people:
        show_log_on_failure(request.node, worker)
        worker.wait_until_ready()
        steady = people.join("steady-1", api.token("steady-1", "ben"), speaks=False)
        caller = call.join(people, api)
        call.wait_for("turn_completed", room="desk-1")
        made = Edits(call, worker, caller, steady)
        steady.wait_for_agent()
        made.call.ask()
        made.began = time.time()
        yield made
        (heard,) = steady.recordings()
        assert find_longest_hole(heard, made.began, time.time() - 0.5) <= HOLE
        for one in (caller, steady):
            one.leave()
        worker.signal(signal.SIGINT)
        assert worker.wait(15.0) == 0
        assert TRACEBACK not in worker.log()


def test_code_prompts_and_helpers_are_in_the_next_turn_with_the_conversation(edits: Edits) -> None:
    said = [edits.take("edited_helper.py", "VERSION = 'version-2'\n", in_place=True)]
    said += [
        edits.take("prompt.txt", "prompt-2"),
        edits.take("voice.py", edits.call.read("voice.py").replace("8", "5")),
    ]
    assert [one.split(" heard ")[0] for one in said] == ["version-2 prompt-1", *["version-2 prompt-2"] * 2]
    counts = [int(re.findall(r"heard (\d+)", one)[0]) for one in said]
    assert counts == sorted(set(counts)) and counts[0] >= 2, "it knows what was said before"
    assert all(f"reloads {number} kept True" in one for number, one in enumerate(said, 1)), said
    edits.call.wait_for_tone(500.0)  # its new voice
    spoken = [turn["said"] for turn in edits.call.events("turn_completed", room="desk-1")]
    assert spoken.count("hello there") == 1 and "good bye" not in spoken
    edits.worker.wait_for_log(r"^  reloaded +new code after \d+ ms")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("class Desk(Agent):", "class Desk(Agent:", r"SyntaxError: .* at \S+edited/__init__\.py:\d+"),
        ("self.reloads = 0", "self.reloads = 1 / 0", r"ZeroDivisionError: .* at \S+edited/__init__\.py:\d+"),
    ],
)
def test_a_broken_edit_is_one_line_and_the_call_goes_on(edits: Edits, old: str, new: str, why: str) -> None:
    source = edits.call.read("__init__.py")
    at = edits.call.edit("__init__.py", source.replace(old, new))
    edits.call.wait_for("code_reloaded", at)
    edits.worker.wait_for_log(rf"edited-agents is as it was \(__init__\.py\): {why}")
    assert edits.call.ask()["said"].startswith("version-2 prompt-2")
    assert edits.take("__init__.py", f"{source}\n# {new}\n").startswith("version-2 prompt-2")


def test_an_edit_in_mid_sentence_waits_for_its_end_and_loses_nothing(edits: Edits) -> None:
    source = edits.call.read("voice.py")
    at = edits.call.edit("voice.py", source.replace("HZ = 500.0", f"HZ = {LONG_HZ}").replace("0.6", "4.0"))
    edits.call.wait_for("call_reloaded", at, reason="")
    began = time.time()
    edits.call.start_asking()
    edits.call.wait_for_tone(LONG_HZ)
    at = edits.call.edit("edited_helper.py", "VERSION = 'version-3'\n")
    edits.call.wait_for("code_reloaded", at, reason="")
    told = edits.call.wait_for("call_reloaded", at, reason="")
    (sentence,) = edits.call.events("turn_completed", began, room="desk-1")
    assert sentence["time"] <= told["time"] and not sentence["interrupted"]
    assert edits.take("voice.py", source).startswith("version-3")


def test_hooks_new_entry_points_and_installed_packages_count_for_the_next_call(
    edits: Edits, api: ServerApi, tmp_path: Path
) -> None:
    slow = edits.call.read("hooks.py").replace("hook-1", "hook-2") + f"import time\ntime.sleep({SLOW_IMPORT})\n"
    at = edits.call.edit("hooks.py", slow)
    edits.call.wait_for("code_reloaded", at, reason="")
    at = time.time()
    ADDED.install_into(edits.call.packages)
    edits.call.wait_for("code_reloaded", at, agents=["added"], timeout=30.0)
    edits.call.edit("hooks.py", slow.replace(str(SLOW_IMPORT), "0.0"))
    edits.call.edit("edited_helper.py", "VERSION = 'version-4'\n")
    edits.worker.wait_for_log(r"reloaded added-agents, edited-agents in .*edited_helper\.py")
    people = edits.caller.process
    rooms = [f"{agent}-9" for agent in ("added", "pinned")]
    callers = [people.join(room, api.token(room, "eve"), speaks=False) for room in rooms]
    for agent in ("added", "pinned"):
        edits.worker.wait_for_log(f"CASE hook-2 {agent}")
        edits.call.wait_for("turn_completed", room=f"{agent}-9")
    at = edits.call.edit("edited_helper.py", "VERSION = 'version-5'\n")
    edits.call.wait_for("call_reloaded", at, room="added-9", reason="")
    kept = edits.call.wait_for("call_reloaded", at, room="pinned-9")
    assert kept["reason"].startswith("pin_reload")
    for caller in callers:
        caller.leave()
    assert edits.call.ask()["said"].startswith("version-5")


def test_a_resource_that_was_made_at_the_start_is_told_to_want_a_restart(edits: Edits) -> None:
    edits.take("voice.py", edits.call.read("voice.py") + "\n")
    source = edits.call.read("__init__.py")
    edits.take("__init__.py", source.replace("def warm(process):\n    ", "def warm(process):\n    len('edited')\n    "))
    edits.worker.wait_for_log(
        r"restart to have all of it: .*what the agent 'desk' prewarms is as it was made at the start"
    )
