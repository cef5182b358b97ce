from __future__ import annotations

import asyncio
import logging

import pytest
from livekit.agents import AgentStateChangedEvent

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import CallError, Event
from openrtc.worker import slow_answer
from openrtc.worker.live_call import LiveCall
from openrtc.worker.slow_answer import SlowAnswers


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def watch(told: list[Event], monkeypatch: pytest.MonkeyPatch) -> SlowAnswers:
    monkeypatch.setattr(slow_answer, "SLOW_SECONDS", 0.05)
    events = EventStream()
    events.subscribe(told.append)
    return SlowAnswers(LiveCall(events=events, job_id="AJ_1", room="r", agent="support", distribution="d"))


def changed(new: str) -> AgentStateChangedEvent:
    return AgentStateChangedEvent(old_state="listening", new_state=new)  # type: ignore[arg-type]


async def test_an_agent_that_thinks_for_long_is_told_once(
    watch: SlowAnswers, told: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        watch.agent_changed(changed("thinking"))
        await asyncio.sleep(0.2)
    (error,) = told
    assert isinstance(error, CallError)
    assert error.agent == "support" and not error.fatal and "does not answer" in error.error
    assert "agent 'support' has been thinking for" in caplog.text


async def test_an_agent_that_answers_in_time_or_whose_call_is_over_is_not_told(
    watch: SlowAnswers, told: list[Event]
) -> None:
    watch.agent_changed(changed("thinking"))
    watch.agent_changed(changed("speaking"))
    watch.agent_changed(changed("thinking"))
    watch.stop()
    await asyncio.sleep(0.1)
    assert told == []
