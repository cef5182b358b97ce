"""Recognises speech with pocketsphinx, in a process of its own: it holds the interpreter for a second at a time."""

from __future__ import annotations

import math
import re
import sys
from functools import cache
from typing import Any

from pocketsphinx import Decoder, get_model_path, set_loglevel

from e2e.child import read_message, write_message
from e2e.pcm import RATE

_PADDING = bytes(RATE // 5 * 2)
# pocketsphinx scales the score of a whole path by this.
_SCALE = 1024


@cache
def closed_decoder() -> Decoder:
    """Return the decoder for closed grammars."""
    # Wider beams than for free speech; with much wider ones the ends of sentences are lost.
    return Decoder(samprate=RATE, lm=None, beam=1e-60, wbeam=1e-40, pbeam=1e-60, loglevel="FATAL")


@cache
def phone_decoder() -> Decoder:
    """Return the decoder that hears sounds instead of words: how good a match can be at all."""
    return Decoder(
        samprate=RATE,
        lm=None,
        allphone=get_model_path("en-us/en-us-phone.lm.bin"),
        lw=1.0,
        beam=1e-80,
        pbeam=1e-80,
        loglevel="FATAL",
    )


@cache
def open_decoder() -> Decoder:
    """Return the decoder for any English sentence."""
    return Decoder(samprate=RATE, loglevel="FATAL")


def decode(decoder: Decoder, samples: bytes) -> tuple[str, float]:
    """Return the text, and the score of its path for each frame of 10 ms; minus infinity where nothing was found."""
    decoder.start_utt()
    decoder.process_raw(_PADDING + samples + _PADDING, full_utt=True)
    decoder.end_utt()
    hypothesis, frames = decoder.hyp(), decoder.n_frames()
    if hypothesis is None or not frames or hypothesis.best_score <= 0:
        return "", -math.inf
    return re.sub(r"\(\d+\)", "", hypothesis.hypstr), math.log(hypothesis.best_score) * _SCALE / frames


def best_of(sentences: list[str], samples: bytes) -> dict[str, Any]:
    """Return the best of ``sentences`` and how much worse it fits than free sounds do."""
    decoder = closed_decoder()
    unknown = sorted({word for line in sentences for word in line.split() if decoder.lookup_word(word) is None})
    if unknown:
        return {"error": f"not in the recogniser's dictionary: {', '.join(unknown)}"}
    decoder.add_jsgf_string("closed", f"#JSGF V1.0;\ngrammar closed;\npublic <any> = {' | '.join(sentences)};\n")
    decoder.activate_search("closed")
    text, score = decode(decoder, samples)
    fit = score - decode(phone_decoder(), samples)[1] if text else -math.inf
    return {"text": text, "fit": fit if math.isfinite(fit) else -99.0}


def main() -> None:
    """Serve until stdin closes."""
    set_loglevel("FATAL")
    while message := read_message(sys.stdin.buffer):
        request, samples = message
        if request["sentences"] is None:
            answer: dict[str, Any] = {"text": decode(open_decoder(), samples)[0]}
        else:
            answer = best_of(request["sentences"], samples)
        write_message(sys.stdout.buffer, answer)


if __name__ == "__main__":
    main()
