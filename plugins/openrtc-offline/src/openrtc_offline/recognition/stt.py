"""`OfflineSTT`: speech to text in child processes, biased to what the agent is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectionError, LanguageCode, stt, utils
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions, NotGivenOr

from openrtc_offline.child_pool import ChildError, ChildPool
from openrtc_offline.recognition.audio import SAMPLE_RATE
from openrtc_offline.recognition.vocabulary import Vocabulary


class OfflineSTT(stt.STT[str]):
    """Recognises English, one utterance at a time; `AgentSession` cuts utterances with its VAD.

    Args:
        children: The worker's recogniser processes.
        vocabulary: Called for each utterance: the phrases that are likely now.
    """

    def __init__(self, children: ChildPool, vocabulary: Callable[[], Vocabulary]) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._children = children
        self._vocabulary = vocabulary
        self._prepared = ""

    @property
    def model(self) -> str:
        """Name of the model."""
        return "pocketsphinx-en-us"

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return "offline"

    def prewarm(self) -> None:
        """Start a recogniser and teach it the vocabulary, without waiting for it."""
        vocabulary = self._vocabulary()
        if vocabulary.key != self._prepared:
            self._prepared = vocabulary.key
            self._children.submit({"vocabulary": vocabulary.to_json()})

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
    ) -> stt.SpeechEvent:
        # Not on the loop: ten minutes of speech without a pause take 0.6 s.
        heard = await self._ask(lambda: to_pcm(utils.merge_frames(buffer)))
        alternative = stt.SpeechData(
            language=LanguageCode("en"), text=heard.get("text", ""), confidence=heard.get("confidence", 0.0)
        )
        return stt.SpeechEvent(
            type=stt.SpeechEventType.FINAL_TRANSCRIPT, request_id=utils.shortuuid(), alternatives=[alternative]
        )

    async def _ask(self, pcm: Callable[[], bytes]) -> dict[str, Any]:
        try:
            answer, _ = await self._children.ask({"vocabulary": self._vocabulary().to_json()}, pcm)
        except ChildError as error:
            # Retryable: the next child starts with a clean slate, and the utterance is not lost.
            raise APIConnectionError(f"offline speech recognition failed: {error}") from error
        return answer


def to_pcm(frame: rtc.AudioFrame) -> bytes:
    """Return the audio of ``frame``, of any rate and number of channels, as 16 kHz mono PCM16."""
    samples = np.frombuffer(frame.data, dtype=np.int16).reshape(-1, frame.num_channels)
    mono = samples[:, 0] if frame.num_channels == 1 else samples.mean(axis=1).astype(np.int16)
    if frame.sample_rate == SAMPLE_RATE:
        return mono.tobytes()
    resampler = rtc.AudioResampler(frame.sample_rate, SAMPLE_RATE, quality=rtc.AudioResamplerQuality.HIGH)
    pushed = resampler.push(rtc.AudioFrame(mono.tobytes(), frame.sample_rate, 1, len(mono)))
    return b"".join(bytes(part.data) for part in [*pushed, *resampler.flush()])
