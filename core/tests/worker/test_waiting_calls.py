"""Which calls hold no slot, and which of them go first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from livekit.protocol import agent as proto

from openrtc.observe.events import CallAttended, CallEnded, CallWaiting, WorkerDraining
from openrtc.worker import waiting_calls as module
from openrtc.worker.waiting_calls import WaitingCalls


class Scene:
    """Jobs that run, and what was ended."""

    def __init__(self, jobs: int) -> None:
        self.ended: list[tuple[str, str]] = []
        self.spares: dict[str, Callable[[], None]] = {}
        self.waiting = WaitingCalls(self._end, lambda job_id, reason: self.ended.append((job_id, reason)))
        self.jobs = [proto.Job(id=f"AJ_{number}") for number in range(jobs)]

    def _end(self, job_id: str, room: str, reason: str, spare: Callable[[], None]) -> None:
        assert room == "r"
        self.ended.append((job_id, reason))
        self.spares[job_id] = spare

    def wait(self, number: int, cause: str = "left", *, at: float = 1.0, may_be_ended: bool = True) -> None:
        fields: dict[str, Any] = {"job_id": f"AJ_{number}", "room": "r", "agent": "support"}
        self.waiting(CallWaiting(**fields, cause=cause, may_be_ended=may_be_ended, time=at))

    @property
    def taken(self) -> int:
        return self.waiting.count_attended(self.jobs)

    @property
    def gone(self) -> list[str]:
        return [job_id for job_id, _ in self.ended]


def test_a_call_holds_a_slot_unless_it_waits_or_is_over() -> None:
    scene = Scene(4)
    assert scene.taken == 4
    scene.wait(0)
    scene.wait(1, "nobody_yet")
    assert scene.taken == 2
    assert len(scene.waiting) == 2
    scene.waiting(CallAttended(job_id="AJ_1", room="r"))
    assert scene.taken == 3
    scene.waiting(CallEnded(job_id="AJ_2", room="r", reason="x", seconds=1.0))
    assert scene.taken == 2, "its job still shuts down"
    assert not scene.waiting.holds_slot(scene.jobs[2])
    assert scene.waiting.holds_slot(scene.jobs[3])


def test_what_was_known_of_jobs_that_are_gone_is_forgotten() -> None:
    scene = Scene(2)
    scene.wait(0)
    del scene.jobs[0]
    assert scene.taken == 1
    assert len(scene.waiting) == 0


def test_an_entrypoint_whose_sessions_have_closed_goes_first_whoever_is_there() -> None:
    scene = Scene(3)
    scene.wait(0, at=1.0)
    scene.wait(1, "closed", at=2.0)
    scene.waiting.make_room(scene.jobs, 2)
    assert scene.ended == [("AJ_1", "its sessions have closed, and the worker is full")]
    assert not scene.spares, "nobody is asked who is there"


def test_those_that_everybody_has_left_go_first_and_of_these_the_one_that_has_waited_longest() -> None:
    scene = Scene(5)
    scene.wait(0, "nobody_yet", at=1.0)
    scene.wait(1, at=3.0)
    scene.wait(2, at=2.0)
    scene.wait(3, at=0.0, may_be_ended=False)
    scene.waiting.make_room(scene.jobs, 5)
    assert scene.gone == []
    scene.waiting.make_room(scene.jobs, 4)
    assert scene.ended == [("AJ_2", "nobody is there, and the worker is full")]
    scene.waiting.make_room(scene.jobs, 4)
    assert scene.gone == ["AJ_2"], "it is going already"
    scene.waiting.make_room(scene.jobs, 0)
    assert scene.gone == ["AJ_2", "AJ_1", "AJ_0"], "an entrypoint is left alone, and so is who talks"


def test_only_calls_that_count_make_room() -> None:
    scene = Scene(3)
    scene.wait(0)
    scene.wait(2)
    scene.waiting.make_room(scene.jobs[2:], 0)
    assert scene.gone == ["AJ_2"]


@pytest.mark.parametrize("cause", ["left", "nobody_yet"])
def test_when_the_worker_drains_they_go_at_once_and_so_do_later_ones(cause: str) -> None:
    scene = Scene(4)
    scene.wait(0, cause)
    scene.wait(1, may_be_ended=False)
    scene.waiting(WorkerDraining(reason="signal", live=1))
    assert scene.ended == [("AJ_0", "nobody is there, and the worker drains")]
    scene.wait(2)
    assert scene.gone == ["AJ_0", "AJ_2"]
    scene.wait(2)
    assert scene.gone == ["AJ_0", "AJ_2"], "once"


def test_one_to_which_somebody_has_just_come_is_spared_and_another_one_goes_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(3)
    for number in range(3):
        scene.wait(number, "nobody_yet", at=number)
    scene.waiting.make_room(scene.jobs[:2], 1)
    scene.spares["AJ_0"]()
    assert scene.gone == ["AJ_0", "AJ_1"], "AJ_2 is no call of the agent that is full"
    scene.spares["AJ_1"]()
    assert scene.gone == ["AJ_0", "AJ_1"], "neither is asked about again as long as its agent may not know"
    scene.waiting(CallAttended(job_id="AJ_0", room="r"))
    monkeypatch.setattr(module, "UNKNOWN_SECONDS", 0.0)
    scene.waiting.make_room(scene.jobs, 0)
    assert scene.gone == ["AJ_0", "AJ_1", "AJ_1", "AJ_2"], "its agent talks to somebody"


def test_a_call_that_is_spared_when_the_worker_drains_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(1)
    scene.wait(0)
    scene.waiting.end_if_draining()
    assert scene.gone == []
    scene.waiting(WorkerDraining(reason="signal", live=1))
    scene.spares["AJ_0"]()
    scene.waiting.end_if_draining()
    assert scene.gone == ["AJ_0"]
    monkeypatch.setattr(module, "UNKNOWN_SECONDS", 0.0)
    scene.waiting.end_if_draining()
    assert scene.gone == ["AJ_0", "AJ_0"]


def test_somebody_who_is_seen_while_the_server_is_asked_takes_a_slot() -> None:
    scene = Scene(1)
    scene.wait(0)
    scene.waiting.make_room(scene.jobs, 0)
    assert scene.taken == 0
    scene.waiting(CallAttended(job_id="AJ_0", room="r"))
    assert scene.taken == 1
