"""The ledger of calls on the real server: what was said, which tools were called, what the models have used."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from e2e.agent_packages import CAST_AGENTS
from e2e.callers import CallersProcess
from e2e.cast_room import HELLO, CastRoom, events_of
from e2e.child import environment
from e2e.ledger_agents import LEDGER, reported_usage
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess

pytestmark = pytest.mark.realtime


@pytest.fixture
def runtime_folder() -> Iterator[str]:
    """A folder for the sockets; pytest's own would make their paths too long."""
    with tempfile.TemporaryDirectory(prefix="rt") as folder:
        yield folder


def openrtc(*arguments: str, **variables: str) -> str:
    """Return what a command prints."""
    command = [sys.executable, "-m", "openrtc", *arguments]
    return subprocess.run(command, env=environment(**variables), capture_output=True, text=True, check=True).stdout


def answered_turns(worker: WorkerProcess, room: CastRoom) -> list[dict[str, Any]]:
    """Return the turns of the person that were answered."""
    return [turn for turn in events_of(worker, room.room, "turn_completed") if turn["answered"]]


def has_answered(turns: int, worker: WorkerProcess, room: CastRoom) -> bool:
    """Whether so many turns of the person were answered."""
    return len(answered_turns(worker, room)) == turns


def test_the_ledger_of_a_class_in_a_process_of_a_cast_and_of_an_entrypoint(
    start_worker: Callable[..., WorkerProcess],
    api: ServerApi,
    callers: CallersProcess,
    tmp_path: Path,
    runtime_folder: str,
) -> None:
    for package in (CAST_AGENTS, LEDGER):
        folder = package.install_into(tmp_path / "packages")
    worker = start_worker(
        *("--allow", f"{CAST_AGENTS.name},{LEDGER.name}", "--isolate", "tim=process"),
        *("--metrics-jsonl", str(tmp_path / "events.jsonl"), "--words", "full"),
        folders=[folder],
        isolates=True,
        variables={"XDG_RUNTIME_DIR": runtime_folder},
    )
    rooms = {name: CastRoom(api, callers, f"{name}-1") for name in ("tim", "desk", "quiet")}
    for name, room in rooms.items():
        room.wait_until(partial(events_of, worker, room.room, "call_started"), 60.0)
        if name != "desk":
            room.wait_for_words("this is Tim at the dispatch desk")
    said = {name: room.say(HELLO) for name, room in rooms.items()}
    for name, room in rooms.items():
        room.wait_for("Tim", since=said[name].ended)
        room.type("Tim wait(0.2)")
    for room in rooms.values():
        room.wait_for_words("Tim was told done")
        room.type("Tim wait(soon)")
    for room in rooms.values():
        room.wait_until(partial(has_answered, 3, worker, room))
    for room in rooms.values():
        room.close()
    api.delete_all_rooms()

    for name, room in rooms.items():
        room.wait_until(partial(events_of, worker, room.room, "call_ended"))
        (started,), (ended,) = (events_of(worker, room.room, kind) for kind in ("call_started", "call_ended"))
        assert started["identity"] == "ann"
        assert ended["people"] == ["ann"]
        turns = events_of(worker, room.room, "turn_completed")
        assert ended["turns"] == sum(turn["answered"] for turn in turns) == 3
        assert ended["tool_calls"] == 2
        assert [(turn["heard"], turn["said"], turn["interrupted"]) for turn in answered_turns(worker, room)] == [
            ("hello there", "Tim speaks line 1 and answers you", False),
            ("Tim wait(0.2)", "Tim was told done", False),
            ("Tim wait(soon)", "Tim was told An internal error occurred", False),
        ]
        by_itself = [turn["said"] for turn in turns if not turn["answered"]]
        assert by_itself == ([] if name == "desk" else ["this is Tim at the dispatch desk"])
        waited, failed = events_of(worker, room.room, "tool_called")
        assert (waited["name"], waited["arguments"], waited["result"]) == ("wait", '{"words": ["0.2"]}', "done")
        assert 0.2 <= waited["seconds"] < 1.0 and not waited["failed"]
        assert failed["failed"] and "could not convert string to float" in failed["error"]
        assert not events_of(worker, room.room, "member_spoke") or name == "quiet"

        # To the last digit.
        usage = events_of(worker, room.room, "usage")
        told = [
            {"type": one["type"], "provider": one["provider"], "model": one["model"]} | one["counts"] for one in usage
        ]
        reported = reported_usage(worker, name)
        assert told == ended["usage"] == [one for session in reported for one in session] and told
        assert {"llm_usage", "tts_usage"} <= {one["type"] for one in told}
        assert all(one > 0 for model in told for one in model.values() if not isinstance(one, str))
        models = {"models dispatcher": 2, "models driver": 0} if name == "quiet" else {"models": 2}
        assert ended["records"] == {LEDGER.name: {"reason": ended["reason"], **models}}
    file = tmp_path / "events.jsonl"
    shown = openrtc("calls", "--metrics-jsonl", str(file))
    assert all(f"{name}-1" in shown for name in rooms) and "ann" in shown
    shown = openrtc("calls", ended["job_id"], "--metrics-jsonl", str(file))
    assert 'heard "hello there", said "Tim speaks line 1' in shown
    # The running worker says which file it writes.
    assert "forgot 3 calls of 'ann'" in openrtc("calls", "forget", "ann", XDG_RUNTIME_DIR=runtime_folder)
    assert "hello there" not in file.read_text() and "worker_registered" in file.read_text()
    worker.signal()
    assert worker.wait() == 0
    assert json.loads(file.read_text().splitlines()[-1])["event"] == "worker_stopped", "it writes on"

    assert all("it cannot be JSON: TypeError" in one["message"] for one in worker.records("call.record"))
    assert worker.records("call.record")
