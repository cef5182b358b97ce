"""Who listens in the place of a member that cannot any more."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from openrtc import OpenRTCError
from openrtc.cast.ear_handover import EarHandover
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import EarMoved, Event
from openrtc.runtime.live_call import LiveCall


class Somebody(SimpleNamespace):
    """A member."""

    @property
    def can_listen(self) -> bool:
        """Whether it could."""
        return self.has_ears and not self.hearing_failed


def member(role: str, *, can_listen: bool = True) -> Any:
    started = asyncio.Event()
    started.set()
    return Somebody(role=role, alive=True, has_ears=can_listen, hearing_failed=False, started=started)


class Desk:
    """A cast whose members hear nothing at all, and what happens to them."""

    def __init__(self, *members: Any, broken: str = "") -> None:
        self.members = list(members)
        self.ear = members[0]
        self.done: list[str] = []
        self.events: list[Event] = []
        stream = EventStream()
        stream.subscribe(self.events.append)
        live = LiveCall(events=stream, job_id="j", room="r", agent="desk", distribution="d")
        self._broken = broken
        desk: Any = self
        self.ear_handover = EarHandover(desk, desk, desk, live, "tim", lambda: self.done.append("lost"))

    async def prepare_to_listen(self, member: Any) -> None:
        if member.role == self._broken:
            raise RuntimeError("no such model")

    def start_listening(self, member: Any) -> None:
        self.done.append(f"{member.role} listens")

    def stop_listening(self, member: Any) -> None:
        self.done.append(f"{member.role} listens no more")

    async def wait_for_silence(self, seconds: float) -> None:
        self.done.append("silence")

    def move(self, previous: Any, member: Any) -> None:
        self.done.append(f"heard through {member.role}")


async def test_a_member_is_given_the_ear_in_a_silence() -> None:
    desk = Desk(tim := member("tim"), chris := member("chris"))
    await desk.ear_handover.give(chris, "wanted")
    assert desk.done == ["silence", "chris listens", "heard through chris", "tim listens no more"]
    assert desk.ear is chris
    await desk.ear_handover.give(chris, "wanted")
    await desk.ear_handover.give(tim, "wanted back")
    moves = [(one.member, one.previous, one.reason) for one in desk.events if isinstance(one, EarMoved)]
    assert moves == [("chris", "tim", "wanted"), ("tim", "chris", "wanted back")]


async def test_a_member_that_cannot_listen_is_not_given_the_ear() -> None:
    desk = Desk(tim := member("tim"), chris := member("chris", can_listen=False))
    with pytest.raises(OpenRTCError, match=r"'chris' cannot listen to people: it has no speech recognition"):
        await desk.ear_handover.give(chris, "wanted")
    assert desk.ear is tim and not desk.done


async def test_the_lead_hears_in_the_place_of_a_lost_ear_else_the_next_that_can() -> None:
    lost, mute, tim = member("pat"), member("chris", can_listen=False), member("tim")
    desk = Desk(lost, mute, tim)
    assert desk.ear_handover.find_successor(lost) is tim
    desk = Desk(lead := member("tim"), lost, mute)
    assert desk.ear_handover.find_successor(lead) is lost


async def test_a_successor_that_cannot_be_made_to_hear_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    tim, chris, pat = member("tim"), member("chris"), member("pat")
    desk = Desk(tim, chris, pat, broken="chris")
    desk.members.remove(tim)
    tim.alive = False
    await desk.ear_handover.replace_lost(tim, "'tim' has left")
    assert desk.ear is pat and "silence" not in desk.done
    assert "member 'chris' cannot listen to people: RuntimeError: no such model" in caplog.text


async def test_nobody_who_can_listen_is_told() -> None:
    desk = Desk(tim := member("tim"), member("chris", can_listen=False))
    await desk.ear_handover.replace_lost(tim, "'tim' has left")
    assert desk.done == ["lost"]
