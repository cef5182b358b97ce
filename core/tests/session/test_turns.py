from __future__ import annotations

from typing import Any

import pytest
from livekit.agents import (
    AgentStateChangedEvent,
    CloseEvent,
    CloseReason,
    ConversationItemAddedEvent,
    UserStateChangedEvent,
)
from livekit.agents.llm import ChatMessage

from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import Event, TurnCompleted
from openrtc.runtime.live_call import LiveCall
from openrtc.session.turns import Turns


class Heard:
    """A call whose turns are kept."""

    def __init__(self, *, realtime: bool = False) -> None:
        self.turns: list[TurnCompleted] = []
        events = EventStream()
        events.subscribe(self.keep)
        self._turns = Turns(
            LiveCall(events=events, job_id="AJ_1", room="r", agent="support", distribution="my-support-agent"),
            realtime=realtime,
        )

    def keep(self, event: Event) -> None:
        assert isinstance(event, TurnCompleted)
        self.turns.append(event)

    def message(self, role: Any, text: str, *, interrupted: bool = False, **metrics: Any) -> None:
        item = ChatMessage(role=role, content=[text], interrupted=interrupted)
        item.metrics = metrics  # type: ignore[assignment]
        self._turns.on_item_added(ConversationItemAddedEvent(item=item))

    def user(self, old: Any, new: Any, at: float) -> None:
        self._turns.on_user_changed(UserStateChangedEvent(old_state=old, new_state=new, created_at=at))

    def agent_speaks(self, at: float) -> None:
        self._turns.on_agent_changed(AgentStateChangedEvent(old_state="thinking", new_state="speaking", created_at=at))

    def agent_listens(self) -> None:
        self._turns.on_agent_changed(AgentStateChangedEvent(old_state="speaking", new_state="listening"))

    def close(self) -> None:
        self._turns.on_close(CloseEvent(reason=CloseReason.USER_INITIATED))


def test_a_pipeline_reports_its_latencies_with_the_messages() -> None:
    call = Heard()
    call.message("user", "where is my order", end_of_turn_delay=0.5, stopped_speaking_at=100.0)
    call.agent_speaks(101.3)
    call.message("assistant", "on its way", llm_node_ttft=0.2, tts_node_ttfb=0.1, e2e_latency=1.25)
    call.agent_listens()
    (turn,) = call.turns
    assert turn.heard == "where is my order"
    assert (turn.end_of_turn_seconds, turn.llm_ttft_seconds, turn.tts_ttfb_seconds) == (0.5, 0.2, 0.1)
    assert turn.latency_seconds == 1.25
    assert (turn.job_id, turn.agent, turn.distribution) == ("AJ_1", "support", "my-support-agent")


def test_what_is_said_before_and_after_a_tool_is_one_turn() -> None:
    call = Heard()
    call.message("user", "where is my order", stopped_speaking_at=100.0)
    call.message("assistant", "one moment", e2e_latency=0.75, llm_node_ttft=0.2)
    assert not call.turns, "a tool runs: the agent thinks"
    call.message("assistant", "on its way", e2e_latency=3.5, llm_node_ttft=0.9)
    call.agent_listens()
    (turn,) = call.turns
    assert (turn.heard, turn.said, turn.answered) == ("where is my order", "one moment on its way", True)
    assert (turn.latency_seconds, turn.llm_ttft_seconds) == (0.75, 0.2), "the caller's wait was for the first words"


def test_what_the_agent_says_by_itself_is_told_and_answers_nothing() -> None:
    call = Heard()
    call.message("assistant", "hello", llm_node_ttft=0.3)
    call.agent_listens()
    call.message("user", "hi")
    call.message("assistant", "how can I help")
    call.agent_listens()
    call.message("assistant", "anything else", interrupted=True)
    call.agent_listens()
    assert [(turn.heard, turn.said, turn.answered, turn.interrupted) for turn in call.turns] == [
        ("", "hello", False, False),
        ("hi", "how can I help", True, False),
        ("", "anything else", False, True),
    ]
    assert call.turns[0].llm_ttft_seconds is None and call.turns[1].llm_ttft_seconds is None


def test_an_answer_that_is_cut_short_says_so() -> None:
    call = Heard()
    call.message("user", "tell me all")
    call.message("assistant", "there are", interrupted=True)
    call.message("user", "stop")
    (turn,) = call.turns
    assert (turn.heard, turn.said, turn.interrupted, turn.answered) == ("tell me all", "there are", True, True)


def test_words_that_got_no_answer_stand_with_those_that_did() -> None:
    call = Heard()
    call.message("user", "my order")
    call.message("user", "number seven")
    call.message("assistant", "on its way")
    call.agent_listens()
    call.message("user", "bye")
    call.close()
    call.close()
    assert [(turn.heard, turn.said, turn.answered) for turn in call.turns] == [
        ("my order number seven", "on its way", True),
        ("bye", "", False),
    ]


def test_latencies_that_nobody_reports_are_none() -> None:
    call = Heard()
    call.message("user", "typed")
    call.agent_speaks(5.0)
    call.message("assistant", "answer")
    call.agent_listens()
    (turn,) = call.turns
    assert turn.latency_seconds is None and turn.end_of_turn_seconds is None and turn.llm_ttft_seconds is None


def test_a_caller_who_speaks_before_the_answer_does_not_lose_the_words() -> None:
    call = Heard()
    call.message("user", "first words", stopped_speaking_at=100.0)
    call.user("listening", "speaking", 100.5)
    call.user("speaking", "listening", 100.8)
    call.agent_speaks(101.8)
    call.message("assistant", "answer")
    call.agent_listens()
    (turn,) = call.turns
    assert turn.heard == "first words"
    assert turn.latency_seconds == pytest.approx(1.0)


def test_the_turns_of_a_realtime_model_are_timed_from_the_callers_silence() -> None:
    call = Heard(realtime=True)
    for start in (10.0, 20.0):
        call.user("listening", "speaking", start)
        call.user("speaking", "listening", start + 2)
        call.agent_speaks(start + 2.6)
        call.user("listening", "speaking", start + 4)
        call.user("speaking", "listening", start + 5)
        call.message("assistant", "answer")
        call.agent_listens()
        call.message("user", "words that were recognised late")
    call.close()
    answered = [turn for turn in call.turns if turn.answered]
    assert [turn.latency_seconds for turn in answered] == [pytest.approx(0.6), pytest.approx(0.6)]
    assert [turn.heard for turn in answered] == ["", ""]
    assert [turn.heard for turn in call.turns if not turn.answered] == ["words that were recognised late"] * 2


def test_the_transcript_of_a_realtime_model_that_comes_in_time_is_told() -> None:
    call = Heard(realtime=True)
    call.user("listening", "speaking", 1.0)
    call.user("speaking", "listening", 2.0)
    call.message("user", "in time")
    call.agent_speaks(2.5)
    call.message("assistant", "answer")
    call.agent_listens()
    (turn,) = call.turns
    assert turn.heard == "in time"
    assert turn.latency_seconds == pytest.approx(0.5)
