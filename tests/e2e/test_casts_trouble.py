"""Casts on the real server whose members fail, are slow, are lost, or have nobody to talk to any more."""

from __future__ import annotations

import os
import signal

import pytest

from e2e.agent_packages import APART, CAST_AGENTS
from e2e.cast_room import NewCastRoom, events_of, leave_and_wait_for_end, overlap
from e2e.packages import Package
from e2e.worker import WorkerProcess

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def cast_packages() -> list[Package]:
    return [CAST_AGENTS, APART]


def test_a_member_that_fails_at_the_start_is_left_out_and_the_others_go_on(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("faulty", speaks=False)
    room.wait_for("Tim", "Pat")
    assert sorted(room.members().values()) == ["Pat", "Tim"]
    assert cast_worker.records(
        r"member 'driver': failed in on_enter: KeyError: 'no truck' at .*; the other members go on"
    )


def test_another_member_answers_when_a_turn_fails(cast_room: NewCastRoom, cast_worker: WorkerProcess) -> None:
    room = cast_room("quiet", speaks=False)
    room.wait_for("Tim")
    typed = room.type("Chris break down")
    room.wait_for("Tim", since=typed)
    (error,) = [one for one in events_of(cast_worker, room.room, "call_error") if one["where"] == "turn"]
    assert error["member"] == "driver" and "LookupError" in error["error"] and not error["fatal"]


def test_another_member_answers_when_one_is_too_slow(cast_room: NewCastRoom) -> None:
    room = cast_room("slow", speaks=False)
    room.wait_for("Tim")
    typed = room.type("Chris wait(6)")
    speeches = room.wait_for("Tim", since=typed)
    assert 1.0 < speeches[0].began - typed < 2.5


@pytest.mark.parametrize("cast", ["quiet", "strict"])
def test_a_member_that_is_removed_from_the_room_ends_the_call_only_where_the_cast_wants_it(
    cast_room: NewCastRoom, cast_worker: WorkerProcess, cast: str
) -> None:
    room = cast_room(cast, speaks=False)
    room.wait_for("Tim")
    room.api.remove_participant(room.room, room.identity("driver"))
    room.wait_until(lambda: events_of(cast_worker, room.room, "member_left"))
    if cast == "strict":
        room.wait_until(lambda: not room.members())
        (ended,) = events_of(cast_worker, room.room, "call_ended")
        assert ended["failed"]
    else:
        typed = room.type("hello")
        room.wait_for("Tim", since=typed)
        assert list(room.members().values()) == ["Tim"]


def test_nobody_stays_when_the_last_person_has_left(cast_room: NewCastRoom, cast_worker: WorkerProcess) -> None:
    room = cast_room("lively")
    room.wait_until(lambda: "Chris" in room.spoken())
    leave_and_wait_for_end(room, cast_worker)


def test_a_cast_runs_in_the_process_that_a_member_asks_for_and_nobody_stays_when_that_dies(
    cast_room: NewCastRoom, cast_worker: WorkerProcess
) -> None:
    room = cast_room("apart", speaks=False)
    speeches = room.wait_for("Tim", "Chris", "Tim", "Chris", timeout=40.0)
    assert overlap(speeches) <= 0.2
    spoke = events_of(cast_worker, room.room, "member_spoke")
    (pid,) = {one["pid"] for one in spoke}
    assert pid != cast_worker.pid
    typed = room.type("dispatcher add(porter)")
    room.wait_until(lambda: len(room.members()) == 3)
    room.wait_for("Tim", since=typed)
    os.kill(pid, signal.SIGKILL)
    room.wait_until(lambda: not room.members(), 5.0)
    (ended,) = cast_worker.records("agent 'apart': ")
    assert ended["message"].startswith("agent 'apart': its process was ended by signal 9; this call is ended")
    assert cast_worker.running
