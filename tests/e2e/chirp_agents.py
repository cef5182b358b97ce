"""Agents that speak in a chirp, whose frequency tells where in what they say one is, and do one thing meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import Agent, AgentSession, JobContext, get_job_context, stt
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN

from e2e.agent_packages import WORDS
from e2e.chirps import FIRST_HZ, HZ_A_SECOND
from e2e.loud_vad import LoudVAD
from openrtc import AgentSpec

RATE = 24_000
PIECE = RATE // 20
ALARM = {"mode": "vad", "min_duration": 0.3, "resume_false_interruption": True, "false_interruption_timeout": 0.8}


async def chirp(seconds: float, speed: float = 0.0) -> AsyncIterator[rtc.AudioFrame]:
    """Give a chirp: at once, or so many times as fast as it is heard."""
    began = time.monotonic()
    for index in range(round(seconds * RATE / PIECE)):
        if speed and (early := began + index * PIECE / RATE / speed - time.monotonic()) > 0:
            await asyncio.sleep(early)
        times = (np.arange(PIECE) + index * PIECE) / RATE
        phase = 2 * np.pi * (FIRST_HZ * times + HZ_A_SECOND * times**2 / 2)
        yield rtc.AudioFrame((np.sin(phase) * 8000).astype(np.int16).tobytes(), RATE, 1, PIECE)


class DeafSTT(stt.STT[Any]):
    """Recognises nothing: what interrupts is a false alarm."""

    def __init__(self) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=True, interim_results=False))

    async def _recognize_impl(self, *_: Any, **__: Any) -> stt.SpeechEvent:
        raise NotImplementedError

    def stream(self, *, language: Any = NOT_GIVEN, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS) -> Any:
        """Return a stream."""
        return _DeafStream(stt=self, conn_options=conn_options)


class _DeafStream(stt.RecognizeStream):
    async def _run(self) -> None:
        async for _ in self._input_ch:
            pass


class Chirper(Agent):
    """Says 30 s at once, and notes what is told about it."""

    def __init__(self) -> None:
        super().__init__(instructions="You chirp.")

    async def on_enter(self) -> None:
        """Begin."""
        started = asyncio.Event()
        audio: Any = self.session.output.audio
        audio.on("playback_started", lambda _: self.note("started"))
        audio.on("playback_started", lambda _: started.set())
        audio.on(
            "playback_finished",
            lambda event: self.note("finished", position=event.playback_position, interrupted=event.interrupted),
        )
        self.session.on("conversation_item_added", lambda event: self.note("item", text=event.item.text_content))
        self.acting = asyncio.create_task(self.act(started))

    def note(self, what: str, **values: Any) -> None:
        """Write a line."""
        line = {"room": get_job_context().room.name, "what": what, "at": time.time(), **values}
        with Path(os.environ["NOTES"]).open("a") as file:
            file.write(json.dumps(line) + "\n")

    async def act(self, started: asyncio.Event) -> None:
        """Speak."""
        self.session.say(WORDS, audio=chirp(30.0))

    def interrupt(self) -> None:
        """End what is said."""
        self.note("interrupt")
        self.session.interrupt()

    def pause(self) -> None:
        """Be silent."""
        self.note("pause")
        self.session.output.audio.pause()  # type: ignore[union-attr]  # there is one

    def resume(self) -> None:
        """Go on."""
        self.note("resume")
        self.session.output.audio.resume()  # type: ignore[union-attr]  # there is one


class Interrupted(Chirper):
    """Is interrupted after four seconds."""

    async def act(self, started: asyncio.Event) -> None:
        """Speak and be interrupted."""
        await super().act(started)
        await started.wait()
        await asyncio.sleep(4.0)
        self.interrupt()


class Paused(Chirper):
    """Pauses for a second after three, and is interrupted later."""

    async def act(self, started: asyncio.Event) -> None:
        """Speak, pause and be interrupted."""
        await super().act(started)
        await started.wait()
        await asyncio.sleep(3.0)
        self.pause()
        await asyncio.sleep(1.0)
        self.resume()
        await asyncio.sleep(1.5)
        self.interrupt()


class Recorded(Paused):
    """Is paused and interrupted likewise, says something else, and keeps what livekit-agents has recorded of it."""

    async def act(self, started: asyncio.Event) -> None:
        """Speak, pause, be interrupted, speak again, and end the session."""
        await super().act(started)
        await asyncio.sleep(0.8)
        await self.session.say("more", audio=chirp(1.5))
        recorder: Any = self.session._recorder_io
        self.note("recording", began=recorder.recording_started_at)
        await self.session.aclose()
        shutil.copy(recorder.output_path, f"{os.environ['NOTES']}.ogg")
        self.note("recorded")


async def record(context: JobContext) -> None:
    """Hold a call that is recorded: nothing but an entrypoint can ask for that on this machine."""
    session: AgentSession[None] = AgentSession(turn_handling={"turn_detection": "manual"})
    sound_only = {"audio": True, "logs": False, "traces": False, "transcript": False}
    await session.start(Recorded(), room=context.room, record=sound_only)  # type: ignore[call-overload]  # a plain dict


class Sentence(Chirper):
    """Pauses within a short sentence, and says it to its end."""

    async def act(self, started: asyncio.Event) -> None:
        """Speak and pause."""
        self.session.say("w1 w2 w3 w4 w5 w6 w7 w8", audio=chirp(2.5))
        await started.wait()
        await asyncio.sleep(0.8)
        self.pause()
        await asyncio.sleep(0.7)
        self.resume()


class Goodbye(Chirper):
    """Says good bye, and deletes the room when that is said."""

    async def act(self, started: asyncio.Event) -> None:
        """Speak and hang up."""
        await self.session.say("good bye", audio=chirp(4.0))
        self.note("said")
        await get_job_context().delete_room()


class Blocker(Chirper):
    """Blocks the loop of all calls, again and again."""

    async def act(self, started: asyncio.Event) -> None:
        """Block."""
        for _ in range(2):
            await asyncio.sleep(2.5)
            self.note("block")
            time.sleep(3.0)  # noqa: ASYNC251 - the block is what is tried
            self.note("blocked")


def spec(agent: type[Agent]) -> AgentSpec:
    """Return an agent without models."""
    return AgentSpec(agent=agent, session_options={"turn_handling": {"turn_detection": "manual"}})


steady = spec(Chirper)
interrupted = spec(Interrupted)
paused = spec(Paused)
recorded = AgentSpec(entrypoint=record)
sentence = spec(Sentence)
goodbye = spec(Goodbye)
blocker = spec(Blocker)
alarmed = AgentSpec(
    agent=Chirper,
    stt=DeafSTT,
    session_options={
        "vad": LoudVAD(),
        "turn_handling": {"turn_detection": "stt", "interruption": ALARM},
        "aec_warmup_duration": None,
    },
)
