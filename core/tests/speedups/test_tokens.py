"""A text is cut as livekit-agents cuts it, long ones in a time that does not grow with their square."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from livekit.agents import tokenize

from openrtc.speedups import tokens
from openrtc.upstream.digest import find_changes

CPU_SECONDS = 5.0
"""What 30,000 characters may take: ten times what they do, where livekit-agents takes 10 s for words."""

KINDS: dict[str, Callable[[], Any]] = {
    "words": lambda: tokenize.basic.WordTokenizer(ignore_punctuation=False),
    "bare words": lambda: tokenize.basic.WordTokenizer(),
    "sentences": lambda: tokenize.basic.SentenceTokenizer(retain_format=True),
    "short sentences": lambda: tokenize.basic.SentenceTokenizer(min_sentence_len=5),
    "blingfire": lambda: tokenize.blingfire.SentenceTokenizer(retain_format=True),
    "markup": lambda: tokenize.blingfire.SentenceTokenizer(retain_format=True, xml_aware=True),
}
PROSE = (
    "Well, Mr. Smith paid 3.5 dollars on Jan. 5th! Did he? See https://example.com/a?b=1. \n\nThe U.S.A. is far away; "
    '"No," she said. It costs 1,200.50 <emphasis>today</emphasis>. Um... ok? '
)


@pytest.fixture(autouse=True)
def _upstream_again() -> Iterator[None]:
    yield
    tokens.uninstall()


async def cut(kind: str, pieces: Sequence[str], *, patched: bool) -> list[str]:
    (tokens.install if patched else tokens.uninstall)()
    stream = KINDS[kind]().stream()
    for piece in pieces:
        stream.push_text(piece)
    stream.end_input()
    return [event.token async for event in stream]


def stream_words(text: str) -> list[str]:
    numbers = random.Random(1)
    pieces = []
    while text:
        size = numbers.randint(1, 8)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def test_it_is_the_code_that_was_compared() -> None:
    assert find_changes("tokens") == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "at once"])
@pytest.mark.parametrize("times", [1, 4, 16])
async def test_what_people_say_is_cut_as_before(kind: str, streamed: bool, times: int) -> None:
    text = PROSE * times
    pieces = stream_words(text) if streamed else [text]
    assert await cut(kind, pieces, patched=True) == await cut(kind, pieces, patched=False)


@pytest.mark.parametrize("kind", ["words", "bare words", "sentences", "blingfire"])
async def test_a_text_without_a_full_stop_is_cut_as_before(kind: str) -> None:
    text = "so it goes on and on without an end " * 60
    for pieces in (stream_words(text), [text]):
        assert await cut(kind, pieces, patched=True) == await cut(kind, pieces, patched=False)


@pytest.mark.parametrize("kind", ["words", "sentences", "blingfire"])
@pytest.mark.parametrize("piece", ["what is the status of my order please ", "a", "<a "])
async def test_long_texts_take_little_time(kind: str, piece: str) -> None:
    text = piece * (30_000 // len(piece))
    for pieces in (stream_words(text), [text]):
        began = time.thread_time()
        await cut(kind, pieces, patched=True)
        assert time.thread_time() - began < CPU_SECONDS


async def test_a_stream_may_be_flushed_and_goes_on() -> None:
    tokens.install()
    stream = KINDS["words"]().stream()
    for _ in range(2):
        for piece in stream_words("word after word " * 500):
            stream.push_text(piece)
        stream.flush()
    stream.end_input()
    assert len([event async for event in stream]) == 3000
    with pytest.raises(RuntimeError, match="closed"):
        stream.push_text("late" * 1000)
