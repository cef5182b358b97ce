"""The process of the espeakng-loader wheel: keeps GPL code out of the worker."""

from __future__ import annotations

import ctypes
from typing import Any

from openrtc_offline.child_process import AnswerRequest, Message, serve

# Constants of espeak-ng's speak_lib.h.
AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
POSITION_CHARACTER = 1
RATE = 1

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The espeak-ng library; one text at a time."""

    def __init__(self) -> None:
        import espeakng_loader  # type: ignore[import-untyped]

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate = self._library.espeak_Initialize(AUDIO_OUTPUT_SYNCHRONOUS, 0, data, 0)
        if self.sample_rate <= 0:
            raise RuntimeError("espeak-ng cannot be initialised")
        self._audio = bytearray()
        self._callback = _Callback(self._keep)  # kept: the library calls it after this function has returned
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: str, speed: int) -> bytes:
        """Return ``text`` as mono PCM16."""
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_SetParameter(RATE, speed, 0)
        self._audio.clear()
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, POSITION_CHARACTER, 0, CHARS_UTF8, None, None)
        self._library.espeak_Synchronize()
        return bytes(self._audio)

    def _keep(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._audio += ctypes.string_at(samples, count * 2)
        return 0


def start() -> AnswerRequest:
    """Load the library and return the function that answers ``{"text": …, "voice": …, "speed": …}`` with PCM16."""
    espeak = Espeak()

    def answer(header: dict[str, Any], _: bytes) -> Message:
        pcm = espeak.speak(header["text"], header["voice"], header["speed"])
        return {"sample_rate": espeak.sample_rate}, pcm

    return answer


if __name__ == "__main__":
    serve(start)
