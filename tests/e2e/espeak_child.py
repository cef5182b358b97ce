"""Speaks with the espeak-ng library of the package espeakng-loader, in a process of its own."""

from __future__ import annotations

import ctypes
import sys

import espeakng_loader  # type: ignore[import-untyped]

from e2e.child import read_message, write_message

_SYNCHRONOUS = 2
_WORDS_A_MINUTE = 1
_UTF8 = 1


class Espeak:
    """The library.

    Args:
        voice: Name of the voice.
        words_a_minute: How fast it speaks.
    """

    def __init__(self, voice: str, words_a_minute: int) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._samples = bytearray()
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        # The library keeps only the pointer: the object must live as long as it.
        self._callback = kind(self._collect)
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
        if self.rate <= 0:
            raise SystemExit("espeak-ng cannot be started")
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise SystemExit(f"espeak-ng has no voice {voice}")
        self._library.espeak_SetParameter(_WORDS_A_MINUTE, words_a_minute, 0)

    def say(self, text: str) -> bytes:
        """Return ``text`` as 16-bit samples."""
        self._samples.clear()
        spoken = text.encode()
        self._library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        return bytes(self._samples)

    def _collect(self, block: int | None, count: int, _events: int | None) -> int:
        if block and count > 0:
            self._samples.extend(ctypes.string_at(block, count * 2))
        return 0


def main() -> None:
    """Serve until stdin closes."""
    espeak: Espeak | None = None
    while message := read_message(sys.stdin.buffer):
        request, _ = message
        espeak = espeak or Espeak(request["voice"], request["words_a_minute"])
        write_message(sys.stdout.buffer, {"rate": espeak.rate}, espeak.say(request["text"]))


if __name__ == "__main__":
    main()
