"""Speech as callers handle it: 16 kHz, mono, 16 bit, in frames of 20 ms; such samples are called ``pcm``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import tts

from openrtc.errors import OpenRTCError

# What speech recognition and voice activity detection work with; frames are as long as WebRTC's for speech.
RATE = 16_000
FRAME_SECONDS = 0.02
FRAME_BYTES = RATE // 50 * 2
LOUD = 400
"""A sample beyond this is sound; synthetic speech and the network's noise stay far away from it on either side."""


async def synthesize(voice: tts.TTS[Any], text: str) -> bytes:
    """Return a sentence as speech, without the silence before and after it.

    Args:
        voice: Text-to-speech.
        text: The sentence.

    Raises:
        OpenRTCError: The voice made no sound.
    """
    stream = voice.synthesize(text)
    try:
        spoken = await stream.collect()
    finally:
        await stream.aclose()
    pcm = trim_silence(resample(spoken))
    if not pcm:
        raise OpenRTCError(f"the voice {voice.label} made no sound of {text!r}")
    return pcm


def resample(frame: rtc.AudioFrame) -> bytes:
    """Return the samples of a frame of any rate and number of channels at 16 kHz, mono."""
    samples = np.frombuffer(bytes(frame.data), dtype=np.int16)
    if frame.num_channels > 1:
        samples = samples.reshape(-1, frame.num_channels).mean(axis=1).astype(np.int16)
    if frame.sample_rate == RATE:
        return samples.tobytes()
    resampler = rtc.AudioResampler(frame.sample_rate, RATE, num_channels=1, quality=rtc.AudioResamplerQuality.HIGH)
    pieces = [*resampler.push(bytearray(samples.tobytes())), *resampler.flush()]
    return b"".join(bytes(piece.data) for piece in pieces)


def trim_silence(pcm: bytes) -> bytes:
    """Return speech without the silence before and after it."""
    loud = _find_loud_samples(pcm)
    return pcm[2 * int(loud[0]) : 2 * (int(loud[-1]) + 1)] if len(loud) else b""


def count_seconds(pcm: bytes) -> float:
    """Return how many seconds speech takes."""
    return len(pcm) / 2 / RATE


def split_frames(pcm: bytes) -> Iterator[bytes]:
    """Yield speech in frames of 20 ms, the last one filled up with silence."""
    for start in range(0, len(pcm), FRAME_BYTES):
        yield pcm[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0")


def find_first_sound(pcm: bytes, rate: int = RATE) -> float | None:
    """Return after how many seconds there is sound, None when there is none.

    Args:
        pcm: Samples of 16 bit, mono.
        rate: Samples a second.
    """
    loud = _find_loud_samples(pcm)
    return float(loud[0]) / rate if len(loud) else None


def build_frame(pcm: bytes) -> rtc.AudioFrame:
    """Return samples as LiveKit takes them."""
    return rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2)


def _find_loud_samples(pcm: bytes) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    # In 32 bits, because the absolute value of -32768 does not fit into 16.
    found: np.ndarray[tuple[int], np.dtype[np.intp]] = np.flatnonzero(
        np.abs(np.frombuffer(pcm, dtype=np.int16).astype(np.int32)) > LOUD
    )
    return found
