from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import SpeechCreatedEvent
from livekit.agents.voice import SpeechHandle

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallError, Event
from openrtc.runtime.live_call import LiveCall
from openrtc.session import slow_answer
from openrtc.session.slow_answer import watch_slow_answers


class Session(rtc.EventEmitter[str]):
    """What a session emits of its speeches."""

    agent_state = "listening"
    subscribed: asyncio.Future[None] | None = None

    @property
    def room_io(self) -> Any:
        return SimpleNamespace(subscribed_fut=self.subscribed)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(slow_answer, "SLOW_SECONDS", 0.05)
    return Session()


@pytest.fixture
def emitted(session: Any) -> list[Event]:
    emitted: list[Event] = []
    events = EventStream()
    events.subscribe(emitted.append)
    watch_slow_answers(session, LiveCall(events=events, job_id="AJ_1", room="r", agent="support", distribution="d"))
    return emitted


def speak(session: Session) -> SpeechHandle:
    speech = SpeechHandle.create()
    session.emit("speech_created", SpeechCreatedEvent(user_initiated=True, source="say", speech_handle=speech))
    return speech


async def test_an_agent_that_should_answer_and_is_silent_is_told_once(
    session: Session, emitted: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        speak(session)
        await asyncio.sleep(0.2)
    (error,) = emitted
    assert isinstance(error, CallError)
    assert error.agent == "support" and not error.fatal and "hangs" in error.error
    assert "agent 'support' has been silent for" in caplog.text


async def test_no_model_is_blamed_while_nobody_has_subscribed_to_the_agent(
    session: Session, emitted: list[Event]
) -> None:
    session.subscribed = asyncio.get_running_loop().create_future()
    speak(session)
    await asyncio.sleep(0.15)
    assert emitted == []
    session.subscribed.set_result(None)
    await asyncio.sleep(0.15)
    assert len(emitted) == 1


async def test_an_agent_that_speaks_for_long_and_then_hangs_is_told(session: Session, emitted: list[Event]) -> None:
    session.agent_state = "speaking"
    speak(session)
    await asyncio.sleep(0.15)
    assert emitted == []
    session.agent_state = "thinking"
    await asyncio.sleep(0.15)
    assert len(emitted) == 1


async def test_an_answer_that_is_over_or_whose_call_is_over_is_not_told(session: Session, emitted: list[Event]) -> None:
    speak(session)._mark_done()
    speak(session)
    session.emit("close", None)
    await asyncio.sleep(0.15)
    assert emitted == []
