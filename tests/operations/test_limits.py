"""What a worker does at its limits: sessions of one agent, memory, a LiveKit server that is not there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e.callers import CallersProcess
from e2e.cli import run_openrtc
from e2e.server_api import Dispatch, ServerApi
from e2e.tone_agents import TONE_AGENTS
from e2e.worker import WorkerProcess
from openrtc.observe.health.connections import KEPT_DESCRIPTORS

StartWorker = Callable[..., WorkerProcess]

MOST_DESCRIPTORS = 360
"""Of 1,024, the share of a dozen sessions: as many as join at once, as fifty do on a larger machine."""


def agents_after(api: ServerApi, seconds: float, rooms: list[str]) -> dict[str, int]:
    time.sleep(seconds)
    return {room: len(agents) for room, agents in api.agents_in(rooms).items()}


def test_one_agent_takes_no_more_sessions_than_its_limit_while_others_go_on(
    start_worker: StartWorker, api: ServerApi, tmp_path: Path
) -> None:
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    worker = start_worker("--allow", "tone-agents", "--agent-name", "limited", "--limit", "alpha=2", folders=folders)
    alphas = [f"alpha-limited-{number}" for number in range(4)]
    api.dispatch_all([Dispatch(room=room, agent_name="limited") for room in [*alphas, "beta-limited"]])
    worker.wait_for_log("all 2 sessions of agent 'alpha' are taken", timeout=20.0)
    found = agents_after(api, 3.0, [*alphas, "beta-limited"])
    assert sum(found[room] for room in alphas) == 2
    assert found["beta-limited"] == 1


def test_a_burst_takes_every_free_slot_of_two_workers_and_no_more(
    start_worker: StartWorker, api: ServerApi, callers: CallersProcess, tmp_path: Path
) -> None:
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    options = ("--allow", "tone-agents", "--agent-name", "spread", "--max-sessions", "3")
    workers = [start_worker(*options, folders=folders) for _ in range(2)]
    rooms = [f"alpha-spread-{number}" for number in range(6)]
    for room in rooms:  # an agent alone has no slot
        callers.join(room, api.token(room, "ann"), speaks=False)
    api.dispatch_all([Dispatch(room=room, agent_name="spread") for room in rooms])
    assert {room: len(agents) for room, agents in api.wait_for_agents(rooms).items()} == dict.fromkeys(rooms, 1)
    taken = [len(worker.records("^room 'alpha-spread-.*': alpha by")) for worker in workers]
    assert taken == [3, 3], "what one of them had no slot for went to the other"
    api.dispatch("alpha-spread-late", "spread")
    assert agents_after(api, 2.0, ["alpha-spread-late"]) == {"alpha-spread-late": 0}


def test_a_worker_takes_and_serves_as_many_sessions_as_it_has_descriptors_for(
    start_worker: StartWorker, api: ServerApi, tmp_path: Path
) -> None:
    folders = [TONE_AGENTS.install_into(tmp_path / "packages")]
    events, sockets = tmp_path / "events.jsonl", tmp_path / "sockets"
    sockets.mkdir(mode=0o700)
    options = ("--allow", "tone-agents", "--agent-name", "narrow", "--metrics-jsonl", str(events))
    variables = {"XDG_RUNTIME_DIR": str(sockets)}
    worker = start_worker(*options, folders=folders, variables=variables, descriptors=MOST_DESCRIPTORS)
    (line,) = worker.records("^max_sessions is ")
    fitting = int(line["message"].split()[2])
    assert 5 < fitting < 20 and f"this process may open {MOST_DESCRIPTORS};" in line["message"]
    started = next(event for event in map(json.loads, events.open()) if event["event"] == "worker_started")
    assert started["max_sessions"] == fitting
    rooms = [f"alpha-narrow-{number}" for number in range(fitting + 1)]
    api.dispatch_all([Dispatch(room=room, agent_name="narrow") for room in rooms])
    until = time.monotonic() + 60.0
    while sum(map(len, api.agents_in(rooms).values())) < fitting and time.monotonic() < until:
        time.sleep(0.2)
    assert sum(agents_after(api, 2.0, rooms).values()) == fitting
    (seen,) = top(variables)["workers"]
    # With nobody in them, they hold no slot after a second.
    assert (seen["sessions"] + seen["waiting"], seen["max_sessions"], seen["failed"]) == (fitting, fitting, 0)
    assert len(os.listdir(f"/proc/{worker.pid}/fd")) < MOST_DESCRIPTORS - KEPT_DESCRIPTORS


def top(variables: dict[str, str]) -> dict[str, Any]:
    """Return what `openrtc top` shows once."""
    found: dict[str, Any] = json.loads(run_openrtc("top", "--json", variables=variables).stdout)
    return found


@pytest.mark.parametrize("agent_name", ["", "per-agent"])
def test_a_worker_that_cannot_reach_the_server_says_so_and_exits_with_a_code_of_its_own(
    tmp_path: Path, agent_name: str
) -> None:
    packages = TONE_AGENTS.install_into(tmp_path / "packages")
    options = ("--allow", "tone-agents", "--agent-name", agent_name, "--max-retry", "1", "--port", "0")
    nowhere = {"LIVEKIT_URL": "ws://127.0.0.1:9", "LIVEKIT_API_KEY": "devkey", "LIVEKIT_API_SECRET": "secret"}
    done = run_openrtc("start", *options, folders=[packages], variables=nowhere)
    assert done.returncode == 4, done.stderr
    assert "the LiveKit server cannot be reached" in done.stderr and "giving up" in done.stderr
    assert "Traceback" not in done.stderr
