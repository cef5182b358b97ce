"""WAV files of any rate become what a caller says; others are one line of error."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from openrtc.conversation.call.utterances import read_wav
from openrtc.conversation.speech import RATE, count_seconds
from openrtc.errors import OpenRTCError


def save(path: Path, *, rate: int, channels: int = 1, width: int = 2, loud: bool = True) -> Path:
    moments = np.arange(rate) / rate
    tone = (8000 * np.sin(2 * np.pi * 440 * moments) * loud).astype(np.int16)
    silence = np.zeros(rate // 2, np.int16)
    samples = np.repeat(np.concatenate([silence, tone, silence]), channels)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(samples.tobytes() if width == 2 else bytes(len(samples)))
    return path


@pytest.mark.parametrize(("rate", "channels"), [(RATE, 1), (48_000, 2), (8_000, 1)])
def test_a_file_is_resampled_and_the_silence_around_it_taken_off(tmp_path: Path, rate: int, channels: int) -> None:
    assert count_seconds(read_wav(save(tmp_path / "a.wav", rate=rate, channels=channels))) == pytest.approx(
        1.0, abs=0.05
    )


def problem(path: Path) -> str:
    with pytest.raises(OpenRTCError) as raised:
        read_wav(path)
    return str(raised.value)


def test_what_cannot_be_played_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    assert "text.wav cannot be read: " in problem(tmp_path / "text.wav")
    assert "empty.wav cannot be read: " in problem(tmp_path / "empty.wav")
    assert "missing.wav cannot be read: " in problem(tmp_path / "missing.wav")
    assert problem(save(tmp_path / "bytes.wav", rate=RATE, width=1)).startswith("--wav: ")
    assert "samples of 8 bit" in problem(tmp_path / "bytes.wav")
    assert "is silent" in problem(save(tmp_path / "silent.wav", rate=RATE, loud=False))
