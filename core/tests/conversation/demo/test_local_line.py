"""The microphone, the loudspeaker and the line between a caller and an agent, with real audio in real time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import pytest
from livekit import rtc
from livekit.agents import Agent, AgentSession, stt, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

from openrtc.conversation.demo.call_record import CallRecord
from openrtc.conversation.demo.caller import hold_conversation
from openrtc.conversation.demo.local_line import Loudspeaker, Microphone, SpokenLine
from openrtc.conversation.session_events import SessionWatch
from openrtc.conversation.speech import FRAME_BYTES, LOUD, RATE, synthesize
from openrtc.errors import OpenRTCError


def tone(seconds: float) -> bytes:
    moments = np.arange(int(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * 440 * moments)).astype(np.int16).tobytes()


class ToneVoice(tts.TTS[Any]):
    """Stands for a paid voice: a tone, as long as the text."""

    def __init__(self, loudness: float = 1.0) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=False), sample_rate=RATE, num_channels=1)
        self.loudness = loudness

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> tts.ChunkedStream:
        return ToneStream(tts=self, input_text=text, conn_options=conn_options)


class ToneStream(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        samples = np.frombuffer(tone(0.02 * len(self._input_text)), dtype=np.int16)
        loudness = self._tts.loudness if isinstance(self._tts, ToneVoice) else 1.0
        output_emitter.initialize(request_id=utils.shortuuid(), sample_rate=RATE, num_channels=1, mime_type="audio/pcm")
        output_emitter.push((samples * loudness).astype(np.int16).tobytes())
        output_emitter.flush()


class ToneEar(stt.STT[Any]):
    """Stands for paid speech recognition: reports how long a tone it has heard."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

    async def _recognize_impl(self, buffer: Any, **_: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(self, *, language: Any = None, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> stt.RecognizeStream:
        return ToneEarStream(stt=self, conn_options=conn_options)


class ToneEarStream(stt.RecognizeStream):
    async def _run(self) -> None:
        heard, quiet = 0.0, 0.0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            if np.abs(np.frombuffer(frame.data, dtype=np.int16).astype(int)).max() > LOUD:
                heard, quiet = heard + frame.duration, 0.0
                continue
            quiet += frame.duration
            if heard and quiet > 0.3:
                told = [stt.SpeechData(language="en", text=f"a tone of {heard:.1f} seconds")]  # type: ignore[arg-type]
                self._event_ch.send_nowait(
                    stt.SpeechEvent(type=stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=told)
                )
                self._event_ch.send_nowait(stt.SpeechEvent(type=stt.SpeechEventType.END_OF_SPEECH))
                heard = 0.0


class Parrot(Agent):
    """Says what it heard."""

    def __init__(self) -> None:
        super().__init__(instructions="Repeat.")

    async def on_enter(self) -> None:
        self.session.say("hello")

    async def on_user_turn_completed(self, turn_ctx: Any, new_message: Any) -> None:
        self.session.say(f"I heard {new_message.text_content}")


async def test_the_microphone_sends_50_frames_a_second() -> None:
    microphone = Microphone()
    started = time.monotonic()
    got = [await anext(microphone) for _ in range(50)]
    assert 0.9 < time.monotonic() - started < 20.0
    assert all(len(bytes(frame.data)) == FRAME_BYTES for frame in got)
    assert not any(any(bytes(frame.data)) for frame in got)


async def test_the_microphone_tells_when_the_last_word_was_sent() -> None:
    microphone = Microphone()
    said = asyncio.create_task(microphone.say(tone(0.3)))
    await asyncio.sleep(0)
    loud = [any(bytes((await anext(microphone)).data)) for _ in range(20)]
    assert loud == [True] * 15 + [False] * 5
    assert time.monotonic() - await said < 10.0


async def test_the_loudspeaker_plays_in_real_time() -> None:
    loudspeaker = Loudspeaker()
    started = time.monotonic()
    await loudspeaker.capture_frame(_frame(tone(0.5)))
    loudspeaker.flush()
    event = await loudspeaker.wait_for_playout()
    assert 0.45 < time.monotonic() - started < 20.0
    assert event.playback_position == pytest.approx(0.5)
    assert not event.interrupted


async def test_the_loudspeaker_notes_the_first_sound_not_the_silence_before_it() -> None:
    loudspeaker = Loudspeaker()
    started = time.monotonic()
    await loudspeaker.capture_frame(_frame(bytes(RATE)))
    await loudspeaker.capture_frame(_frame(tone(0.2)))
    (heard,) = loudspeaker.heard_at
    assert 0.45 < heard - started < 20.0


async def test_an_interruption_ends_the_utterance_at_once() -> None:
    loudspeaker = Loudspeaker()
    await loudspeaker.capture_frame(_frame(tone(5.0)))
    loudspeaker.flush()
    await asyncio.sleep(0.2)
    loudspeaker.clear_buffer()
    event = await asyncio.wait_for(loudspeaker.wait_for_playout(), 60.0)
    assert event.interrupted
    assert 0.1 < event.playback_position < 2.0


async def test_a_pause_is_not_played() -> None:
    loudspeaker = Loudspeaker()
    started = time.monotonic()
    await loudspeaker.capture_frame(_frame(tone(0.3)))
    loudspeaker.flush()
    loudspeaker.pause()
    await asyncio.sleep(0.5)
    loudspeaker.resume()
    await loudspeaker.wait_for_playout()
    assert 0.75 < time.monotonic() - started < 20.0


async def test_a_voice_without_sound_is_an_error() -> None:
    with pytest.raises(OpenRTCError, match="made no sound of 'hello'"):
        await synthesize(ToneVoice(loudness=0.001), "hello")


async def test_a_caller_speaks_and_hears_the_agent_speak() -> None:
    voice = ToneVoice()
    session: AgentSession[Any] = AgentSession(
        stt=ToneEar(), tts=ToneVoice(), vad=None, turn_handling={"turn_detection": "stt"}
    )
    record = CallRecord("room", "parrot", ("tell me a rather long story", "and another one"))
    line = SpokenLine(session, voice)
    SessionWatch(session, record.add_event)
    await session.start(Parrot())
    try:
        await hold_conversation(record, session, line)
    finally:
        await session.aclose()
    assert record.good, record
    shown = [[type(what).__name__ for what in turn.events] for turn in record.turns]
    assert shown == [["Said"], ["Heard", "Said"], ["Heard", "Said"]]
    assert record.turns[1].events[1].text == "I heard a tone of 0.5 seconds"  # type: ignore[union-attr]
    assert len(line.loudspeaker.heard_at) == 3
    assert all(turn.latency is not None and turn.latency > 0.2 for turn in record.turns[1:])


def _frame(pcm: bytes) -> rtc.AudioFrame:
    return rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2)
