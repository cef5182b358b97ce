"""The recogniser's process: pocketsphinx holds the interpreter's lock for a second at a time."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from openrtc_offline.child_process import AnswerRequest, Message, serve
from openrtc_offline.recognition.vocabulary import Vocabulary


def start() -> AnswerRequest:
    """Load the acoustic model and return the function that answers ``{"vocabulary": …}`` with PCM16 as payload."""
    from openrtc_offline.recognition.decoder import Recognizer

    recognizer = Recognizer()

    def answer(header: dict[str, Any], pcm: bytes) -> Message:
        vocabulary = Vocabulary.from_json(header["vocabulary"])
        if not recognizer.has_vocabulary(vocabulary.key):
            recognizer.load_vocabulary(vocabulary)
        started = time.process_time()
        heard = asdict(recognizer.recognize(pcm, vocabulary.key)) if pcm else {}
        return heard | {"cpu_seconds": time.process_time() - started}, b""

    return answer


if __name__ == "__main__":
    serve(start)
