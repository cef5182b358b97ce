"""`OfflineTTS`: text to speech with the engines of this machine."""

from __future__ import annotations

import asyncio
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectionError, tts, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions

from openrtc_offline.speech.cleaning import clean_text, split_blocks, split_text
from openrtc_offline.speech.engines import Engine, SpeechError

SILENCE_SECONDS = 0.02
"""How much silence stands for a text that has nothing to pronounce."""


class OfflineTTS(tts.TTS[str]):
    """Speaks sentence by sentence.

    Args:
        engine: What speaks.
        voice: One of its voices.
    """

    def __init__(self, engine: Engine, voice: str) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=engine.sample_rate, num_channels=1
        )
        self.engine = engine
        self.voice = voice

    @property
    def model(self) -> str:
        """Engine and voice."""
        return f"{self.engine.name}/{self.voice}"

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return "offline"

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        """Return ``text`` as a stream of audio; text without anything to pronounce is silence."""
        return _Stream(tts=self, input_text=text, conn_options=conn_options)


class _Stream(tts.ChunkedStream):
    def __init__(self, *, tts: OfflineTTS, **options: Any) -> None:
        super().__init__(tts=tts, **options)
        self._engine, self._voice, self._rate = tts.engine, tts.voice, tts.sample_rate

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(), sample_rate=self._rate, num_channels=1, mime_type="audio/pcm"
        )
        spoken = False
        for block in split_blocks(self._input_text):
            for piece in split_text(clean_text(block)):
                output_emitter.push(await self._speak(piece))
                spoken = True
            await asyncio.sleep(0)  # a text of megabytes without anything to pronounce must not hold the loop
        if not spoken and self._input_text.strip():
            # AgentSession takes a text that gives no audio for a failure.
            output_emitter.push(bytes(2 * int(SILENCE_SECONDS * self._rate)))
        output_emitter.flush()

    async def _speak(self, text: str) -> bytes:
        try:
            spoken = await self._engine.speak(text, self._voice)
        except SpeechError as error:
            raise APIConnectionError(f"offline speech synthesis failed: {error}") from error
        if spoken.sample_rate == self._rate:
            return spoken.pcm
        resampler = rtc.AudioResampler(spoken.sample_rate, self._rate)
        frame = rtc.AudioFrame(spoken.pcm, spoken.sample_rate, 1, len(spoken.pcm) // 2)
        return b"".join(bytes(part.data) for part in [*resampler.push(frame), *resampler.flush()])
