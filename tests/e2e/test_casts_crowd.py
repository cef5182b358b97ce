"""Casts in many rooms of one worker at once, on the real server: they do not mix, and nothing of them stays open."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import psutil
import pytest

from e2e.agent_packages import ROLES
from e2e.cast_room import CastRoom, NewCastRoom, Speech, events_of, overlap
from e2e.server_api import ServerApi
from e2e.worker import WorkerProcess

pytestmark = pytest.mark.realtime

UNDER_WAY_SECONDS = 1.0


def wait_for_turns(worker: WorkerProcess, room: CastRoom, count: int) -> list[dict[str, Any]]:
    """Return the events of a room's turns once there are so many."""
    room.wait_until(lambda: len(events_of(worker, room.room, "member_spoke")) == count, 60.0)
    return events_of(worker, room.room, "member_spoke")


def wait_until_heard(room: CastRoom, turns: list[dict[str, Any]]) -> None:
    """Wait until a person has heard each turn that began when the person could hear the member."""
    due = [turn for turn in turns if room.gets_track_of(turn["member"]) <= turn["time"] - turn["seconds"]]
    assert len(due) >= 2, "ten people in one process may be late for the beginning, on a small machine"

    def done() -> bool:
        speeches = room.speeches()
        return all(any(is_of(speech, turn) for speech in speeches) for turn in due)

    room.wait_until(done, 5.0, lambda: f"due {due}, heard {room.speeches()}")


def is_of(speech: Speech, turn: dict[str, Any]) -> bool:
    """Whether a speech is of a turn, whose sound is under way for a moment."""
    began, ended = float(turn["time"] - turn["seconds"]), float(turn["time"])
    same_time = began < speech.ended and speech.began < ended + UNDER_WAY_SECONDS
    return ROLES[speech.who] == turn["member"] and same_time


def test_ten_rooms_at_once_do_not_mix_and_leave_nothing_open(
    cast_room: NewCastRoom, cast_worker: WorkerProcess, api: ServerApi
) -> None:
    first = cast_room("quiet", speaks=False)  # what is opened once for all calls is open then
    first.wait_for("Tim")
    first.close()
    first.wait_until(lambda: not api.agents_in([first.room])[first.room])
    process = psutil.Process(cast_worker.pid)
    files, threads = process.num_fds(), process.num_threads()
    rooms = []
    for number in range(10):  # two members and a person each, on a small machine: one room after the other
        rooms.append(cast_room(f"pair-{number}", speaks=False))
        time.sleep(0.3)
    for room in rooms:
        turns = wait_for_turns(cast_worker, room, 4)
        assert [turn["member"] for turn in turns] == ["dispatcher", "driver", "dispatcher", "driver"]
        wait_until_heard(room, turns)
        speeches = room.speeches()
        assert overlap(speeches) <= 0.2
        assert all(any(is_of(speech, turn) for turn in turns) for speech in speeches), (turns, speeches)
        assert {speech.identity.rpartition("-")[0] for speech in speeches} == {"dispatcher", "driver"}
        assert all(later["time"] - later["seconds"] >= sooner["time"] for sooner, later in pairwise(turns)), turns
    for room in rooms:
        room.close()
    until = time.time() + 20
    while any(api.agents_in([room.room for room in rooms]).values()) or process.num_fds() > files + 10:
        assert time.time() < until, (files, process.num_fds())
        time.sleep(0.2)
    assert process.num_threads() <= threads + 10
