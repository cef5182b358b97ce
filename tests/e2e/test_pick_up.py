"""Packages are installed, upgraded and removed under a live call, in a worker that lets new ones join."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2e.callers import CallersProcess
from e2e.edited_call import find_longest_hole
from e2e.packages import Package
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import SOURCE
from e2e.worker import TRACEBACK, WorkerProcess

HOLE = 1.0
"""Seconds for which the call may be silent on a busy machine; `test_reload.py` says why."""
LONG = "class Long(ToneAgent):\n    frequency = 440.0\n    seconds = 300.0\n"
HURRIED = "from openrtc.worker import drift_watch\n\ndrift_watch.DRIFT_LOOK_SECONDS = 2.0\n"
"""Lets the worker look every two seconds for what has changed, in the place of ten."""
LIVE = Package(
    name="live-agents",
    modules={"live_tones.py": SOURCE + LONG, "hurried.py": HURRIED},
    agents={"live": "live_tones:Long"},
    plugins={"hurried": "hurried"},
)
LATE = Package(name="late-agents", modules={"late_tones.py": SOURCE}, agents={"late": "late_tones:Beta"})
CRASHING = Package(
    name="crashing-agents",
    modules={"crashing.py": "import os\nimport signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"},
    agents={"crashing": "crashing:Agent"},
)


def ask(worker: WorkerProcess, path: str) -> dict[str, Any]:
    address = worker.wait_for_log(r"HTTP server listening on").split("listening on ")[1].split('"')[0]
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        assert answer.status == 200
        document: dict[str, Any] = json.load(answer)
        return document


@pytest.mark.realtime
def test_new_packages_join_and_others_are_told_while_a_call_goes_on(
    start_worker: Callable[..., WorkerProcess], api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    folder, file = LIVE.install_into(tmp_path / "packages"), tmp_path / "events.jsonl"
    worker = start_worker(
        *("--allow", "live-agents,late-agents,crashing-agents", "--agent-name", "per-agent", "--pick-up", "new"),
        *("--metrics-jsonl", str(file)),
        folders=[folder],
    )
    live, late = (Dispatch(room=f"{name}-1", agent_name=name) for name in ("live", "late"))
    listener = callers.join("ann", api.token("live-1", "ann", agents=[live]), speaks=False)
    listener.wait_for_agent()
    time.sleep(1.0)
    began = time.time()
    CRASHING.install_into(folder)
    LATE.install_into(folder)
    worker.wait_for_log(r"late-agents 1\.0\.0 has joined this worker after \d+ ms, agents: late", timeout=60.0)
    worker.wait_for_log(r"crashing-agents cannot join this worker, .*: the import crashed Python \(SIGSEGV\)")
    worker.wait_for_log(r"registered worker.*late")
    caller = callers.join("ben", api.token("late-1", "ben", agents=[late]), speaks=False)
    caller.wait_for_agent()
    caller.leave()
    shutil.rmtree(folder / "late_agents-1.0.0.dist-info")
    shutil.rmtree(folder / "live_agents-1.0.0.dist-info")
    replace(LIVE, version="1.1.0").install_into(folder)
    worker.wait_for_log(r"live-agents 1\.1\.0 was installed after this worker loaded 1\.0\.0: calls go on")
    worker.wait_for_log(r"late-agents 1\.0\.0 was removed after this worker loaded it: calls go on")
    drift = [(one["distribution"], one["what"]) for one in ask(worker, "/ready")["drift"]]
    assert drift == [("crashing-agents", "installed"), ("late-agents", "removed"), ("live-agents", "upgraded")]
    (heard,) = listener.recordings()
    assert find_longest_hole(heard, began, time.time() - 0.5) <= HOLE
    events = [json.loads(line) for line in file.read_text().splitlines()]
    told = [(one["distribution"], one["what"]) for one in events if one["event"] == "plugins_changed"]
    assert sorted(told) == sorted([*drift, ("late-agents", "installed"), ("late-agents", "picked_up")]), (
        "each change once"
    )
    assert TRACEBACK not in worker.log()
    listener.leave()
