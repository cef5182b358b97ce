"""`SpeechDetector`: tells from audio when speech begins and ends, with the rules of livekit-agents' own VAD."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from livekit import rtc
from livekit.agents.vad import VADEvent, VADEventType
from livekit.local_inference import VAD as VadModel

from openrtc.worker.speed.speech_buffer import SpeechBuffer, frame_of
from openrtc.worker.speed.windows import WINDOW, WINDOW_SECONDS, Windows


@dataclass(slots=True)
class _Progress:
    """How far a stream has come since its start or its last flush; all durations in seconds."""

    speaking: bool = False
    speech: float = 0.0
    silence: float = 0.0
    samples: int = 0
    seconds: float = 0.0
    speech_run: float = 0.0
    silence_run: float = 0.0


class SpeechDetector:
    """Runs the voice activity model over one stream of audio, in the calling thread: a window takes it about 20 µs.

    Args:
        rate: Samples a second.
        options: Thresholds and durations, as in livekit-agents' VAD; they may change at any time.
        tell: Called with each event.
    """

    def __init__(self, rate: int, options: Any, tell: Callable[[VADEvent], None]) -> None:
        self._rate = rate
        self._options = options
        self._tell = tell
        self._model = VadModel()
        self._windows = Windows(rate)
        self._buffer = SpeechBuffer(rate, options)
        self._now = _Progress()

    def push(self, frame: rtc.AudioFrame) -> Iterator[None]:
        """Hear a frame; a step for each window that is complete with it."""
        started = time.perf_counter()
        for window, heard in self._windows.push(frame):
            probability = self._model.predict(window)
            self._buffer.append(heard)
            self._hear(probability, frame_of(heard, self._rate), time.perf_counter() - started)
            yield
            started = time.perf_counter()

    def flush(self) -> None:
        """Begin anew: what was heard so far counts no more."""
        self._model.reset()
        self._windows = Windows(self._rate)
        self._buffer.clear()
        self._now = _Progress()

    def options_changed(self, *, grown: bool) -> None:
        """Follow changed options.

        Args:
            grown: Whether ``max_buffered_speech`` has become more.
        """
        self._buffer.resize(grown=grown)

    def _hear(self, probability: float, heard: rtc.AudioFrame, took: float) -> None:
        now = self._now
        now.samples += WINDOW
        now.seconds += WINDOW_SECONDS
        if now.speaking:
            now.speech += WINDOW_SECONDS
        else:
            now.silence += WINDOW_SECONDS
        self._tell_window(probability, heard, took)
        options = self._options
        if probability >= options.activation_threshold or (
            now.speaking and probability > options.deactivation_threshold
        ):
            self._hear_speech()
        else:
            self._hear_silence()

    def _hear_speech(self) -> None:
        now = self._now
        now.speech_run += WINDOW_SECONDS
        now.silence_run = 0.0
        if not now.speaking and now.speech_run >= self._options.min_speech_duration:
            now.speaking, now.silence, now.speech = True, 0.0, now.speech_run
            self._tell_edge(VADEventType.START_OF_SPEECH, now.speech)

    def _hear_silence(self) -> None:
        now = self._now
        now.silence_run += WINDOW_SECONDS
        now.speech_run = 0.0
        if not now.speaking:
            self._buffer.keep_prefix()
        elif now.silence_run >= self._options.min_silence_duration:
            now.speaking, now.silence = False, now.silence_run
            self._tell_edge(VADEventType.END_OF_SPEECH, max(0.0, now.speech - now.silence_run))
            now.speech = 0.0
            self._buffer.keep_prefix()

    def _tell_window(self, probability: float, heard: rtc.AudioFrame, took: float) -> None:
        now = self._now
        self._tell(
            VADEvent(
                type=VADEventType.INFERENCE_DONE,
                samples_index=now.samples,
                timestamp=now.seconds,
                silence_duration=now.silence,
                speech_duration=now.speech,
                probability=probability,
                inference_duration=took,
                frames=[heard],
                speaking=now.speaking,
                raw_accumulated_silence=now.silence_run,
                raw_accumulated_speech=now.speech_run,
            )
        )

    def _tell_edge(self, kind: VADEventType, speech: float) -> None:
        now = self._now
        self._tell(
            VADEvent(
                type=kind,
                samples_index=now.samples,
                timestamp=now.seconds,
                silence_duration=now.silence,
                speech_duration=speech,
                frames=[self._buffer.frame()],
                speaking=now.speaking,
            )
        )
