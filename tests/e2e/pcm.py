"""Sound as arrays of 16-bit samples at 16 kHz, one channel, and its way to and from WAV files."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
Pcm: TypeAlias = NDArray[np.int16]


def read_wav(path: Path) -> Pcm:
    """Return a 16-bit mono WAV file, resampled to 16 kHz where it has another rate."""
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise ValueError(f"{path} is not 16-bit mono")
        rate = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return resample(samples, rate)


def write_wav(path: Path, sound: Pcm) -> None:
    """Write a 16 kHz mono WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.tobytes())


def resample(sound: Pcm, rate: int) -> Pcm:
    """Return ``sound``, which has ``rate`` samples a second, at 16 kHz, by way of its spectrum."""
    if rate == RATE or not len(sound):
        return sound
    length = round(len(sound) * RATE / rate)
    spectrum = np.fft.rfft(sound.astype(np.float64))
    resized = np.zeros(length // 2 + 1, complex)
    kept = min(len(spectrum), len(resized))
    resized[:kept] = spectrum[:kept]
    return to_pcm(np.fft.irfft(resized, length) * length / len(sound))


def to_pcm(samples: NDArray[np.float64]) -> Pcm:
    """Round to 16-bit samples, and limit what is too loud."""
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def silence(seconds: float) -> Pcm:
    """Return digital silence."""
    return np.zeros(round(seconds * RATE), np.int16)


def tone(frequency: float, seconds: float, amplitude: float = 0.3) -> Pcm:
    """Return a sine tone; ``amplitude`` is 1 at full scale."""
    times = np.arange(round(seconds * RATE)) / RATE
    return to_pcm(amplitude * 32767 * np.sin(2 * np.pi * frequency * times))


def seconds_of(sound: Pcm) -> float:
    """Return how long ``sound`` lasts."""
    return len(sound) / RATE
