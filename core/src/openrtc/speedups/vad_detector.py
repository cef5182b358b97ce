"""`SpeechDetector`: finds in audio when speech begins and ends, with the rules of livekit-agents' own VAD.

Each event is livekit-agents' own, field by field and sample by sample, which test_vad.py proves on real speech. So what
looks odd here (how windows drift, what is kept of a flush, when the buffer counts as full) is so for that reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents.log import logger  # livekit-agents': whoever filters its VAD's warning by logger still finds it
from livekit.agents.vad import VADEvent, VADEventType
from livekit.local_inference import VAD as VadModel
from livekit.local_inference import VAD_WINDOW_SAMPLES

MODEL_RATE = 16000
"""Samples a second that the model takes."""
WINDOW: int = VAD_WINDOW_SAMPLES
"""Samples of a window, at the model's rate."""
WINDOW_SECONDS = WINDOW / MODEL_RATE

Samples = np.ndarray[Any, np.dtype[np.int16]]
"""Mono audio."""


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
        emit: Called with each event.
    """

    def __init__(self, rate: int, options: Any, emit: Callable[[VADEvent], None]) -> None:
        self._rate = rate
        self._options = options
        self._emit = emit
        self._model = VadModel()
        self._windows = Windows(rate)
        self._buffer = SpeechBuffer(rate, options)
        self._now = _Progress()

    def push(self, frame: rtc.AudioFrame) -> Iterator[None]:
        """Take a frame; a step for each window that is complete with it.

        Raises:
            ValueError: The frame is not mono.
        """
        started = time.perf_counter()
        for window, heard in self._windows.push(frame):
            probability = self._model.predict(window)
            self._buffer.append(heard)
            self._advance(probability, _build_frame(heard, self._rate), time.perf_counter() - started)
            yield
            started = time.perf_counter()

    def flush(self) -> None:
        """Begin anew: what was heard so far is forgotten."""
        self._model.reset()
        self._windows = Windows(self._rate)
        self._buffer.clear()
        self._now = _Progress()

    def apply_options(self, *, grown: bool) -> None:
        """Follow changed options.

        Args:
            grown: Whether ``max_buffered_speech`` has become more.
        """
        self._buffer.resize(grown=grown)

    def _advance(self, probability: float, heard: rtc.AudioFrame, took: float) -> None:
        now, options = self._now, self._options
        now.samples += WINDOW
        now.seconds += WINDOW_SECONDS
        if now.speaking:
            now.speech += WINDOW_SECONDS
        else:
            now.silence += WINDOW_SECONDS
        self._emit_event(
            VADEventType.INFERENCE_DONE,
            now.speech,
            heard,
            probability=probability,
            inference_duration=took,
            raw_accumulated_silence=now.silence_run,
            raw_accumulated_speech=now.speech_run,
        )
        # Two thresholds: speech that is under way goes on at less than what it began with.
        if probability >= options.activation_threshold or (
            now.speaking and probability > options.deactivation_threshold
        ):
            self._add_speech()
        else:
            self._add_silence()

    def _add_speech(self) -> None:
        now = self._now
        now.speech_run += WINDOW_SECONDS
        now.silence_run = 0.0
        if not now.speaking and now.speech_run >= self._options.min_speech_duration:
            now.speaking, now.silence, now.speech = True, 0.0, now.speech_run
            self._emit_event(VADEventType.START_OF_SPEECH, now.speech, self._buffer.build_frame())

    def _add_silence(self) -> None:
        now = self._now
        now.silence_run += WINDOW_SECONDS
        now.speech_run = 0.0
        if not now.speaking:
            self._buffer.keep_prefix()
        elif now.silence_run >= self._options.min_silence_duration:
            now.speaking, now.silence = False, now.silence_run
            speech = max(0.0, now.speech - now.silence_run)
            self._emit_event(VADEventType.END_OF_SPEECH, speech, self._buffer.build_frame())
            now.speech = 0.0
            self._buffer.keep_prefix()

    def _emit_event(self, kind: VADEventType, speech: float, frame: rtc.AudioFrame, **details: float) -> None:
        now = self._now
        self._emit(
            VADEvent(
                type=kind,
                samples_index=now.samples,
                timestamp=now.seconds,
                silence_duration=now.silence,
                speech_duration=speech,
                frames=[frame],
                speaking=now.speaking,
                **details,
            )
        )


class Windows:
    """Cuts a stream of mono audio into windows at the model's rate.

    Args:
        rate: Samples a second of the stream.
    """

    def __init__(self, rate: int) -> None:
        self._ratio = rate / MODEL_RATE
        self._heard: Samples = np.empty(0, np.int16)
        self._resampled: Samples = np.empty(0, np.int16)
        self._fraction = 0.0
        """What each window is longer than its whole number of heard samples, so that nothing drifts."""
        self._resampler = None if rate == MODEL_RATE else _build_resampler(rate)

    def push(self, frame: rtc.AudioFrame) -> Iterator[tuple[Samples, Samples]]:
        """Yield each window that is complete now, and what was heard in it, at the stream's rate.

        Raises:
            ValueError: The frame is not mono.
        """
        if frame.num_channels != 1:
            raise ValueError(f"voice activity detection takes mono audio, not {frame.num_channels} channels")
        heard = _join(self._heard, frame)
        windows = heard if self._resampler is None else _join(self._resampled, *self._resampler.push(frame))
        at = heard_at = 0
        while len(windows) - at >= WINDOW:
            count = self._take_count()
            yield windows[at : at + WINDOW], heard[heard_at : heard_at + count]
            at, heard_at = at + WINDOW, heard_at + count
        # Copies, since a slice would keep the whole array, and with it the frame's memory.
        self._heard, self._resampled = heard[heard_at:].copy(), windows[at:].copy()

    def _take_count(self) -> int:
        exact = WINDOW * self._ratio + self._fraction
        count = int(exact)
        self._fraction = exact - count
        return count


def _build_resampler(rate: int) -> rtc.AudioResampler:
    quality = rtc.AudioResamplerQuality.QUICK  # as in livekit-agents: the model needs no better
    return rtc.AudioResampler(input_rate=rate, output_rate=MODEL_RATE, quality=quality)


def _join(before: Samples, *frames: rtc.AudioFrame) -> Samples:
    return np.concatenate([before, *(np.frombuffer(frame.data, np.int16) for frame in frames)])


class SpeechBuffer:
    """The samples of the speech that goes on, after those of the moment before it.

    Args:
        rate: Samples a second.
        options: ``prefix_padding_duration`` and ``max_buffered_speech`` in seconds, as in livekit-agents' VAD.
    """

    def __init__(self, rate: int, options: Any) -> None:
        self._rate = rate
        self._options = options
        self._used = 0
        self._warned = False
        self._prefix = int(options.prefix_padding_duration * rate)
        # Not filled, so that only what speech has needed so far takes memory: a minute of 24 kHz would be 2.9 MB.
        self._samples: Samples = np.empty(self._size, np.int16)

    @property
    def _size(self) -> int:
        return int(self._options.max_buffered_speech * self._rate) + self._prefix

    def append(self, samples: Samples) -> None:
        """Add what was heard, as far as there is room."""
        count = min(len(samples), len(self._samples) - self._used)
        if count > 0:
            self._samples[self._used : self._used + count] = samples[:count]
            self._used += count
        elif not self._warned:
            self._warned = True
            logger.warning("max_buffered_speech reached, ignoring further data for the current speech input")

    def keep_prefix(self) -> None:
        """Forget all but the last moment."""
        if self._used > self._prefix:
            self._warned = False
            self._samples[: self._prefix] = self._samples[self._used - self._prefix : self._used].copy()
            self._used = self._prefix

    def clear(self) -> None:
        """Forget everything."""
        self._used = 0
        self._warned = False

    def resize(self, *, grown: bool) -> None:
        """Follow changed options.

        Args:
            grown: Whether ``max_buffered_speech`` has become more.
        """
        self._prefix = int(self._options.prefix_padding_duration * self._rate)
        self._samples.resize(self._size)
        self._used = min(self._used, len(self._samples))
        self._warned = self._warned and not grown

    def build_frame(self) -> rtc.AudioFrame:
        """Return what is kept."""
        return _build_frame(self._samples[: self._used], self._rate)


def _build_frame(samples: Samples, rate: int) -> rtc.AudioFrame:
    return rtc.AudioFrame(samples.tobytes(), rate, 1, len(samples))
