"""The agent that every worker runs: the real audio path and the real voice activity detection; stand-ins for models.

Imported by livekit-agents' workers, by the peer's and by ours, so that it knows none of them.

The speech recogniser gives its transcript 250 ms after the caller falls silent, the language model gives 40 tokens in
one second, and the voice gives 3 s of audio four times as fast as it is heard, without any pause: a hole in what the
caller hears is the worker's. Each worker notes how late its loops run, and how long after the caller's last sound that
it has heard its reply begins: what callers hear later than that comes about outside the worker, or in its audio.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession, get_job_context, inference, llm, stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN

NAME = "bench"
RATE = 24000
REPLY_SECONDS = 3.0
PIECE_SECONDS = 0.1
SPEED = 4.0
LOUD = 600
SPOKEN_SECONDS = 0.3
SILENT_SECONDS = 0.25
ANSWER = (
    "certainly let me look at that for you right away and tell you what I can find about your order it seems that the "
    "parcel left our store this morning and should reach you by tomorrow noon and you need not be at home today"
).split()
TOKENS = [f"{word} " for word in (ANSWER * 2)[:40]]
LAG_EVERY = 0.05


def spoken() -> bytes:
    """Return a voiced sound without pauses: harmonics of 140 Hz with vibrato."""
    times = np.arange(int(RATE * REPLY_SECONDS)) / RATE
    phase = 2 * np.pi * np.cumsum(140 + 4 * np.sin(2 * np.pi * 5 * times)) / RATE
    sound = sum(np.sin(number * phase) / number for number in range(1, 12))
    return bytes((sound / np.abs(sound).max() * 12000).astype("<i2").tobytes())


AUDIO = spoken()


class Hearing(stt.STT):
    """Tells the same transcript whenever somebody has spoken."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

    async def _recognize_impl(self, buffer: Any, *, language: Any, conn_options: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(self, *, language: Any = NOT_GIVEN, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> Any:
        return _HearingStream(stt=self, conn_options=conn_options)


class _HearingStream(stt.RecognizeStream):
    async def _run(self) -> None:
        loud = quiet = 0.0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            if np.abs(np.frombuffer(frame.data, np.int16)[::4]).max(initial=0) > LOUD:
                loud, quiet = loud + frame.duration, 0.0
                _last_heard[_job()] = time.monotonic()
                continue
            quiet += frame.duration
            if loud > SPOKEN_SECONDS and quiet > SILENT_SECONDS:
                loud = 0.0
                self._event_ch.send_nowait(_transcript())


def _transcript() -> stt.SpeechEvent:
    return stt.SpeechEvent(
        type=stt.SpeechEventType.FINAL_TRANSCRIPT,
        request_id=uuid.uuid4().hex,
        alternatives=[stt.SpeechData(language="en", text="where is my order please")],
    )


class Thinking(llm.LLM):
    """Gives the same 40 tokens."""

    def chat(
        self, *, chat_ctx: Any, tools: Any = None, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS, **_: Any
    ) -> Any:
        return _ThinkingStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _ThinkingStream(llm.LLMStream):
    async def _run(self) -> None:
        answer = uuid.uuid4().hex
        for token in TOKENS:
            await asyncio.sleep(1.0 / len(TOKENS))
            self._event_ch.send_nowait(llm.ChatChunk(id=answer, delta=llm.ChoiceDelta(role="assistant", content=token)))


class Speaking(tts.TTS):
    """Speaks the same sound for every text."""

    def __init__(self) -> None:
        super().__init__(capabilities=tts.TTSCapabilities(streaming=True), sample_rate=RATE, num_channels=1)

    def synthesize(self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> Any:
        return self._synthesize_with_stream(text, conn_options=conn_options)

    def stream(self, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> Any:
        return _SpeakingStream(tts=self, conn_options=conn_options)


class _SpeakingStream(tts.SynthesizeStream):
    async def _run(self, output: tts.AudioEmitter) -> None:
        output.initialize(
            request_id=uuid.uuid4().hex, sample_rate=RATE, num_channels=1, mime_type="audio/pcm", stream=True
        )
        speaking: asyncio.Task[None] | None = None
        async for text in self._input_ch:
            if isinstance(text, str) and text.strip() and speaking is None:
                speaking = asyncio.create_task(_speak(output))
        if speaking is not None:
            await speaking
            output.end_input()


async def _speak(output: tts.AudioEmitter) -> None:
    await asyncio.sleep(0.05)
    _note_reply()
    output.start_segment(segment_id=uuid.uuid4().hex)
    piece = int(RATE * PIECE_SECONDS) * 2
    for at in range(0, len(AUDIO), piece):
        output.push(AUDIO[at : at + piece])
        await asyncio.sleep(PIECE_SECONDS / SPEED)


_last_heard: dict[str, float] = {}
"""When each job's caller was last heard to speak, on the monotonic clock."""


def _job() -> str:
    context = get_job_context(required=False)
    return context.job.id if context else ""


def _note_reply() -> None:
    if (job := _job()) in _last_heard:
        now = time.monotonic()
        with (Path(os.environ["BENCH_LAG_FOLDER"]) / f"{os.getpid()}.replies").open("a") as file:
            file.write(f"{now:.2f} {(now - _last_heard[job]) * 1e3:.3f}\n")


class BenchAgent(Agent):
    """Answers whatever is said."""

    def __init__(self) -> None:
        super().__init__(instructions="You are a support agent.")

    async def on_enter(self) -> None:
        """Begin to note how late this process's loop runs."""
        note_lag()


def models() -> dict[str, Any]:
    """Return the models of one session."""
    return {"stt": Hearing(), "llm": Thinking(), "tts": Speaking()}


def turn_handling() -> dict[str, Any]:
    """Return when the agent's turn begins: after a silence, or when livekit-agents' turn detector says so."""
    detection: Any = inference.TurnDetector() if os.environ.get("BENCH_TURN_DETECTOR") == "1" else "vad"
    return {"turn_detection": detection, "interruption": {"mode": "vad"}}


def make_session(vad: Any) -> AgentSession[Any]:
    """Return the session of one call."""
    return AgentSession(vad=vad, turn_handling=turn_handling(), **models())  # type: ignore[arg-type]


def start_options() -> dict[str, Any]:
    """Return what livekit-agents' own worker and the peer's are started with."""
    return {
        "load_threshold": 0.99,
        "load_fnc": lambda server: len(server.active_jobs) / 200,
        "port": int(os.environ["BENCH_HEALTH_PORT"]),
        "host": "127.0.0.1",
    }


_noted: dict[int, asyncio.Task[None]] = {}


def note_lag() -> None:
    """Note how late this loop runs, once for each loop: lines of time and milliseconds in a file of its own."""
    loop = asyncio.get_running_loop()
    if id(loop) in _noted:
        return
    path = Path(os.environ["BENCH_LAG_FOLDER"]) / f"{os.getpid()}-{id(loop):x}.lags"
    # In a context of its own, because it outlives the call that began it.
    _noted[id(loop)] = loop.create_task(_note_lag(path), context=contextvars.Context())


async def _note_lag(path: Path) -> None:
    with path.open("a", buffering=1) as file:
        while True:
            due = time.monotonic() + LAG_EVERY
            await asyncio.sleep(LAG_EVERY)
            now = time.monotonic()
            file.write(f"{now:.2f} {(now - due) * 1e3:.3f}\n")
