"""How the time of a call counts: from when, and for how long no person speaks."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import UserStateChangedEvent

from openrtc.model.call_limits import CallLimits
from openrtc.observe.event_stream import EventStream
from openrtc.runtime.live_call import LiveCall
from openrtc.session import call_limits as module
from openrtc.session.call_limits import LimitClock
from openrtc.session.hang_up import HangUp
from waiting import wait_until

SILENT = 0.4
MINUTES = SILENT / 60


class Room(rtc.EventEmitter[str]):
    """A room that a person joins."""

    def __init__(self) -> None:
        super().__init__()
        self.remote_participants: dict[str, Any] = {}

    def isconnected(self) -> bool:
        return True

    def join(self) -> None:
        self._add()
        self.emit("participant_connected", self.remote_participants["ann"])

    def be_there(self) -> None:
        """Be found in the room when the agent has connected to it."""
        self._add()
        self.emit("connection_state_changed", rtc.ConnectionState.CONN_CONNECTED)

    def _add(self) -> None:
        kind = rtc.ParticipantKind.PARTICIPANT_KIND_STANDARD
        ann = SimpleNamespace(identity="ann", kind=kind, permissions=SimpleNamespace(hidden=False))
        self.remote_participants["ann"] = ann


class Scene:
    """A call with limits, and why it was ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *limits: CallLimits) -> None:
        self.room = Room()
        self.session: Any = rtc.EventEmitter()
        self.ended: list[str] = []
        self.live = LiveCall(events=EventStream(), job_id="AJ", room="r", agent="a", distribution="")
        hang_up = HangUp(self.room, 60.0)  # type: ignore[arg-type]
        monkeypatch.setattr(module, "find_hang_up", lambda _: hang_up)
        context: Any = SimpleNamespace(room=self.room, add_shutdown_callback=lambda _: None)
        self.clock = LimitClock(context, self.live, limits, self.ended.append)

    def speak(self, old: Any, new: Any) -> None:
        self.session.emit("user_state_changed", UserStateChangedEvent(old_state=old, new_state=new))


async def test_the_strictest_minutes_run_from_when_the_first_person_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, CallLimits(minutes=5), CallLimits(minutes=MINUTES), CallLimits(sessions=1, minutes=0))
    scene.clock.start()
    await asyncio.sleep(2 * SILENT)
    assert scene.ended == []
    joined = asyncio.get_running_loop().time()
    scene.room.be_there()
    await wait_until(lambda: bool(scene.ended))
    assert scene.ended == [f"its limit of {MINUTES:g} minutes is reached"]
    assert asyncio.get_running_loop().time() - joined >= SILENT


async def test_the_minutes_of_a_call_that_needs_nobody_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, CallLimits(minutes=MINUTES, silent_seconds=SILENT / 2))
    scene.clock.hear(scene.session)
    scene.clock.start(waits=False)
    await wait_until(lambda: bool(scene.ended))
    assert scene.ended == [f"its limit of {MINUTES:g} minutes is reached"], "nobody is there who could be silent"


async def test_who_speaks_or_types_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, CallLimits(silent_seconds=SILENT))
    scene.clock.hear(scene.session)
    scene.room.join()
    scene.clock.start()
    scene.speak("listening", "speaking")
    await asyncio.sleep(2 * SILENT)
    assert scene.ended == []
    scene.speak("speaking", "listening")
    scene.live.typed_at = typed = time.monotonic() + SILENT / 2
    await wait_until(lambda: bool(scene.ended))
    assert scene.ended == [f"nobody has spoken or typed for {SILENT:g} s"]
    assert time.monotonic() - typed >= SILENT


async def test_what_is_heard_of_others_is_no_person(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, CallLimits(silent_seconds=SILENT))
    scene.clock.hear(scene.session, lambda: False)
    scene.room.join()
    scene.clock.start()
    scene.speak("listening", "speaking")
    await wait_until(lambda: bool(scene.ended))


async def test_nobody_counts_as_silent_whom_no_session_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, CallLimits(silent_seconds=SILENT))
    scene.room.join()
    scene.clock.start()
    await asyncio.sleep(2 * SILENT)
    assert scene.ended == []
