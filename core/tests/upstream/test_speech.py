"""Contract with livekit-agents: how a session's speech is held back until it may be heard."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from livekit.agents import Agent, AgentSession, JobContext, llm
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice.agent_activity import AgentActivity
from livekit.agents.voice.room_io import RoomIO
from livekit.agents.voice.room_io._output import _ParticipantAudioOutput

from openrtc.upstream.jobs import get_server_url
from openrtc.upstream.speech import hold_speech, release_speech


class Hello(llm.LLM[str]):
    """Says hello."""

    def chat(self, *, chat_ctx: llm.ChatContext, **options: Any) -> llm.LLMStream:
        return _Stream(self, chat_ctx=chat_ctx, tools=[], conn_options=DEFAULT_API_CONNECT_OPTIONS)


class _Stream(llm.LLMStream):
    async def _run(self) -> None:
        delta = llm.ChoiceDelta(role="assistant", content="hello")
        self._event_ch.send_nowait(llm.ChatChunk(id="x", delta=delta))


async def test_what_is_held_back_is_heard_when_it_is_released() -> None:
    session: AgentSession[Any] = AgentSession(llm=Hello(), vad=None, turn_handling={"turn_detection": "manual"})
    await session.start(Agent(instructions="x"))
    session.on("speech_created", lambda _: hold_speech(session))
    speech = session.generate_reply()
    await asyncio.sleep(0.3)
    assert not speech.done() and speech.chat_items == []
    release_speech(session)
    await asyncio.wait_for(speech.wait_for_playout(), 60.0)
    assert [item.text_content for item in speech.chat_items if item.type == "message"] == ["hello"]
    await session.aclose()


def test_a_speech_is_announced_before_it_begins() -> None:
    for maker in (AgentActivity.say, AgentActivity._generate_reply, AgentActivity._on_generation_created):
        source = inspect.getsource(maker)
        assert source.index('"speech_created"') < source.index("_create_speech_task(")


def test_every_reply_waits_for_the_authorisation() -> None:
    waiting = [
        member
        for member in vars(AgentActivity).values()
        if inspect.isfunction(member) and "self._authorization_allowed.wait()" in inspect.getsource(member)
    ]
    assert len(waiting) >= 4, "say, reply, realtime reply and realtime generation"


def test_what_a_session_recognises_goes_to_the_room_by_one_handler() -> None:
    source = inspect.getsource(RoomIO)
    assert 'on("user_input_transcribed", self._on_user_input_transcribed)' in source
    assert "self._user_transcript_ch.send_nowait(ev)" in inspect.getsource(RoomIO._on_user_input_transcribed)
    assert "RoomIO" in inspect.getsource(AgentSession.room_io.fget)  # type: ignore[attr-defined]


def test_a_paused_output_drops_what_its_track_holds_only_with_the_next_piece_and_counts_what_it_drops() -> None:
    pause = inspect.getsource(_ParticipantAudioOutput.pause)
    assert "self._playback_enabled.clear()" in pause and "\n        self._audio_source.clear_queue()" not in pause
    forward = inspect.getsource(_ParticipantAudioOutput._forward_audio)
    assert "self._source_discarded_duration += queued" in forward and "self._audio_source.clear_queue()" in forward
    assert "_audio_output" in inspect.getsource(RoomIO.__init__)


def test_a_job_knows_the_address_of_its_server() -> None:
    assert "self._info.url" in inspect.getsource(JobContext)
    assert get_server_url.__doc__
