from __future__ import annotations

import numpy as np
from livekit import rtc

from openrtc.conversation.speech import FRAME_BYTES, RATE, find_first_sound, resample, split_frames, trim_silence


def tone(seconds: float, rate: int = RATE) -> bytes:
    moments = np.arange(int(seconds * rate)) / rate
    return (8000 * np.sin(2 * np.pi * 440 * moments)).astype(np.int16).tobytes()


def silence(seconds: float, rate: int = RATE) -> bytes:
    return bytes(2 * int(seconds * rate))


def test_silence_before_and_after_speech_is_cut_off() -> None:
    trimmed = trim_silence(silence(0.5) + tone(1.0) + silence(0.7))
    assert abs(len(trimmed) / 2 / RATE - 1.0) < 0.01


def test_nothing_but_silence_is_nothing() -> None:
    assert trim_silence(silence(0.5)) == b""
    assert find_first_sound(silence(0.5)) is None


def test_the_first_sound_is_found() -> None:
    found = find_first_sound(silence(0.5) + tone(0.1))
    assert found is not None
    assert abs(found - 0.5) < 0.01


def test_every_frame_is_20_ms_long() -> None:
    cut = list(split_frames(tone(0.05)))
    assert [len(frame) for frame in cut] == [FRAME_BYTES] * 3
    assert cut[-1].endswith(bytes(FRAME_BYTES // 2))


def test_other_rates_and_stereo_become_16_khz_mono() -> None:
    mono = np.frombuffer(tone(0.5, 24_000), dtype=np.int16)
    stereo = np.repeat(mono, 2).tobytes()
    pcm = resample(rtc.AudioFrame(stereo, 24_000, 2, len(mono)))
    assert abs(len(pcm) / 2 / RATE - 0.5) < 0.03
    spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, dtype=np.int16).astype(float)))
    assert abs(np.argmax(spectrum) * RATE / (len(pcm) / 2) - 440) < 5
