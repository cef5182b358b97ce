"""Questions as sound: flite or espeak-ng where the machine has them, else the package espeakng-loader."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from e2e.child import Child
from e2e.energy import find_sounds
from e2e.pcm import RATE, Pcm, read_wav, resample

# The recogniser understands this voice; of espeak-ng's plain one it gets one sentence in four.
ESPEAK_VOICE = "en-us+f2"
ESPEAK_WORDS_A_MINUTE = 150
FLITE_VOICE = "slt"


class Voice:
    """Speaks sentences; each is synthesised once, and cut to what can be heard.

    Args:
        engine: ``flite``, ``espeak-ng`` or ``espeakng-loader``; by default the first of them that is here.
    """

    def __init__(self, engine: str = "") -> None:
        self.engine = engine or next((name for name in ("flite", "espeak-ng") if shutil.which(name)), "espeakng-loader")
        self._said: dict[str, Pcm] = {}
        self._child = Child("e2e.espeak_child")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close()

    def say(self, sentence: str) -> Pcm:
        """Return ``sentence`` as sound, without silence before and after it."""
        if sentence not in self._said:
            engines: dict[str, Callable[[str], Pcm]] = {
                "flite": _flite,
                "espeak-ng": _espeak,
                "espeakng-loader": self._espeak_library,
            }
            self._said[sentence] = _trim(engines[self.engine](" ".join(sentence.split())))
        return self._said[sentence]

    def _espeak_library(self, sentence: str) -> Pcm:
        request = {"text": sentence, "voice": ESPEAK_VOICE, "words_a_minute": ESPEAK_WORDS_A_MINUTE}
        answer, samples = self._child.ask(request)
        return resample(np.frombuffer(samples, np.int16), answer["rate"])


def _flite(sentence: str) -> Pcm:
    return _by_command(["flite", "-voice", FLITE_VOICE, "-t", sentence, "-o"])


def _espeak(sentence: str) -> Pcm:
    return _by_command(["espeak-ng", "-v", ESPEAK_VOICE, "-s", str(ESPEAK_WORDS_A_MINUTE), sentence, "-w"])


def _by_command(command: list[str]) -> Pcm:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        subprocess.run([*command, str(path)], check=True, capture_output=True)
        return read_wav(path)


def _trim(sound: Pcm) -> Pcm:
    spans = find_sounds(sound)
    return sound[round(spans[0].start * RATE) : round(spans[-1].end * RATE)] if spans else sound
