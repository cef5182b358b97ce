"""Speech as the demo handles it: 16 kHz, mono, 16 bit, in frames of 20 ms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from livekit import rtc

RATE = 16_000
FRAME_SECONDS = 0.02
FRAME_SAMPLES = RATE // 50
FRAME_BYTES = FRAME_SAMPLES * 2
LOUD = 400
"""A sample beyond this is sound; synthetic speech and the network's noise stay far away from it on either side."""


def resample(frame: rtc.AudioFrame) -> bytes:
    """Return a frame's samples at 16 kHz, mono."""
    samples = np.frombuffer(bytes(frame.data), dtype=np.int16)
    if frame.num_channels > 1:
        samples = samples.reshape(-1, frame.num_channels).mean(axis=1).astype(np.int16)
    if frame.sample_rate == RATE:
        return samples.tobytes()
    resampler = rtc.AudioResampler(frame.sample_rate, RATE, num_channels=1, quality=rtc.AudioResamplerQuality.HIGH)
    pieces = [*resampler.push(bytearray(samples.tobytes())), *resampler.flush()]
    return b"".join(bytes(piece.data) for piece in pieces)


def trim(pcm: bytes) -> bytes:
    """Return speech without the silence before and after it."""
    loud = _loud_samples(pcm)
    return pcm[2 * int(loud[0]) : 2 * (int(loud[-1]) + 1)] if len(loud) else b""


def length(pcm: bytes) -> float:
    """Return how many seconds speech takes."""
    return len(pcm) / 2 / RATE


def frames(pcm: bytes) -> Iterator[bytes]:
    """Yield speech in frames of 20 ms, the last one filled up with silence."""
    for start in range(0, len(pcm), FRAME_BYTES):
        yield pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


def first_loud_second(pcm: bytes, rate: int = RATE) -> float | None:
    """Return after how many seconds there is sound, None when there is none."""
    loud = _loud_samples(pcm)
    return float(loud[0]) / rate if len(loud) else None


def to_frame(pcm: bytes) -> rtc.AudioFrame:
    """Return samples as LiveKit takes them."""
    return rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2)


def _loud_samples(pcm: bytes) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    found: np.ndarray[tuple[int], np.dtype[np.intp]] = np.flatnonzero(
        np.abs(np.frombuffer(pcm, dtype=np.int16).astype(np.int32)) > LOUD
    )
    return found
