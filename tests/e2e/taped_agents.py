"""Agents for tests of recordings: one answers in tones, as long as what it says takes, another one has no voice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from livekit import rtc
from livekit.agents import Agent
from livekit.agents.voice.room_io import RoomOptions

from e2e.agent_packages import ANSWER_SECONDS, HELLO, VOICE_HZ, WHERE
from e2e.cast_agents import TURNS
from e2e.cast_models import SECONDS_A_WORD, TalkLLM, ToneSTT, ToneTTS
from e2e.pcm import RATE, tone
from openrtc import AgentSpec

ANSWER = " ".join(["ann@example.com", *["word"] * (round(ANSWER_SECONDS / SECONDS_A_WORD) - 1)])
SENTENCES = {"write to ann at example dot com": HELLO, "my card is 4111 1111 1111 1111": WHERE}
"""What a caller says with each tone."""


class Taped(Agent):
    """Answers everything with the same long tone."""

    def __init__(self) -> None:
        super().__init__(instructions="You talk.")

    async def llm_node(self, *_: Any) -> str:
        """Answer."""
        return ANSWER


class Voiceless(Agent):
    """Plays a tone, and cannot say a word."""

    def __init__(self) -> None:
        super().__init__(instructions="You play a tone.")

    async def on_enter(self) -> None:
        """Play it."""
        self.session.say("a tone", audio=_play())


async def _play() -> AsyncIterator[rtc.AudioFrame]:
    sound = tone(VOICE_HZ, 1.0)
    yield rtc.AudioFrame(sound.tobytes(), RATE, 1, len(sound))


def _build_spec(**options: Any) -> AgentSpec:
    models: dict[str, Any] = {"llm": lambda: TalkLLM("Tim", "dispatcher"), "tts": lambda: ToneTTS(VOICE_HZ)}
    return AgentSpec(agent=Taped, stt=lambda: ToneSTT(SENTENCES), session_options=TURNS, **(models | options))


taped = _build_spec()
processed = _build_spec(isolation="process")
typed = _build_spec(room_options=lambda: RoomOptions(audio_input=False, audio_output=False))
voiceless = AgentSpec(agent=Voiceless, session_options=TURNS)
