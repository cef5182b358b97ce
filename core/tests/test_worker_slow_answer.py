from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from livekit import rtc
from livekit.agents import SpeechCreatedEvent
from livekit.agents.voice import SpeechHandle

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallError, Event
from openrtc.worker import slow_answer
from openrtc.worker.live_call import LiveCall
from openrtc.worker.slow_answer import SlowAnswers


class Session(rtc.EventEmitter[str]):
    """What a session tells of its speeches."""

    agent_state = "listening"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(slow_answer, "SLOW_SECONDS", 0.05)
    return Session()


@pytest.fixture
def told(session: Any) -> list[Event]:
    told: list[Event] = []
    events = EventStream()
    events.subscribe(told.append)
    SlowAnswers(session, LiveCall(events=events, job_id="AJ_1", room="r", agent="support", distribution="d"))
    return told


def speak(session: Session) -> SpeechHandle:
    speech = SpeechHandle.create()
    session.emit("speech_created", SpeechCreatedEvent(user_initiated=True, source="say", speech_handle=speech))
    return speech


async def test_an_agent_that_should_answer_and_is_silent_is_told_once(
    session: Session, told: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        speak(session)
        await asyncio.sleep(0.2)
    (error,) = told
    assert isinstance(error, CallError)
    assert error.agent == "support" and not error.fatal and "hangs" in error.error
    assert "agent 'support' has been silent for" in caplog.text


async def test_an_agent_that_speaks_for_long_and_then_hangs_is_told(session: Session, told: list[Event]) -> None:
    session.agent_state = "speaking"
    speak(session)
    await asyncio.sleep(0.15)
    assert told == []
    session.agent_state = "thinking"
    await asyncio.sleep(0.15)
    assert len(told) == 1


async def test_an_answer_that_is_over_or_whose_call_is_over_is_not_told(session: Session, told: list[Event]) -> None:
    speak(session)._mark_done()
    speak(session)
    session.emit("close", None)
    await asyncio.sleep(0.15)
    assert told == []
