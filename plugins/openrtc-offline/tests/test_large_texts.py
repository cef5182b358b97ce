"""Texts of megabytes, however odd, hold the loop that all calls share for milliseconds only."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import date

import pytest

from openrtc_offline.rules.conversation import LONGEST_TEXT, CallTool, Conversation, ConversationItem, Say, cut_text
from openrtc_offline.rules.llm import read_items
from openrtc_offline.speech.cleaning import LONGEST_BLOCK, clean_text, split_blocks, split_text
from openrtc_offline.toolbox import Parameter, ToolView

SIZE = 1_000_000
CPU_SECONDS = 0.25
"""What one step may take of the CPU: ten times what it does, for a slow machine."""

TOOLS = (
    ToolView(
        "book_table",
        "Book a table in the restaurant.",
        (
            Parameter("day"),
            Parameter("time"),
            Parameter("people", kind="integer"),
            Parameter("name"),
            Parameter("area", choices=("garden", "window", "quiet corner")),
            Parameter("phone_number"),
        ),
    ),
    ToolView("order_status", "Tell the status of an order.", (Parameter("order_id"),)),
    ToolView("ask", "Answer a question about the products of the company.", (Parameter("question"),)),
)
DISTINCT = " ".join(f"{a}{b}{c}{d}restaurant" for a in "abcdrst" for b in "aeiou" for c in "lmnr" for d in "aeiou")
PIECES = [
    "book a table for two people tomorrow at eight ", "order number 1 ", "a", "1", "1 ", "one ", "double one ",
    "one point ", "two hundred and five ", "at one ", "the third of may ", "my name is ", "for about ", "it's ",
    "what is the question about ", ". ", " ", "\n", "say \"", "\u00e9\u6f22\U0001f600 ", "**a _b ", f"{DISTINCT} ",
]  # fmt: skip
MARKUP = [
    "**a ", "_b ", "[c", "[c](", "<a", "</a ", "http://", "https://www.x/", "*", "__", "~~x", "`", "#", "- ", "\n# ",
    "a", "a ", "x. ", "....", "(", "\u00e9\u6f22\U0001f600", " ", "\n",
]  # fmt: skip


def fill(piece: str, size: int = SIZE) -> str:
    return (piece * (size // len(piece) + 1))[:size]


def name_piece(piece: str) -> str:
    return json.dumps(piece[:12])


def decide(*items: ConversationItem) -> Say | CallTool:
    cut = tuple(ConversationItem(item.role, cut_text(item.text), item.is_error) for item in items)
    began = time.thread_time()
    step = Conversation(name="shop", tools=TOOLS, items=cut, today=date(2026, 3, 4)).next_step()
    assert time.thread_time() - began < CPU_SECONDS
    return step


@pytest.mark.parametrize("role", ["user", "output", "instructions", "assistant"])
@pytest.mark.parametrize("piece", PIECES, ids=name_piece)
def test_the_rules_decide_at_once(piece: str, role: str) -> None:
    step = decide(ConversationItem("user", "book a table"), ConversationItem(role, fill(piece)))
    assert isinstance(step, CallTool) or len(step.text) < LONGEST_TEXT + 200


@pytest.mark.parametrize("piece", PIECES, ids=name_piece)
def test_many_long_lines_in_a_row_are_decided_at_once(piece: str) -> None:
    decide(*(ConversationItem("user", fill(piece, LONGEST_TEXT)) for _ in range(200)))


def test_a_request_at_the_beginning_of_a_long_text_is_understood() -> None:
    step = decide(ConversationItem("user", "what is the status of order number 4711, " + fill("and thank you ")))
    assert step == CallTool("order_status", {"order_id": "4711"})


def test_a_text_is_cut_at_a_word_and_never_away() -> None:
    assert cut_text("short") == "short"
    assert cut_text(fill("word ")).split() == ["word"] * (LONGEST_TEXT // 5 - 1)
    assert cut_text("x" * SIZE) == "x" * LONGEST_TEXT
    assert cut_text(" " * SIZE) == " "


def test_what_the_model_reads_of_a_conversation_is_cut() -> None:
    from livekit.agents import llm

    context = llm.ChatContext.empty()
    context.add_message(role="user", content=fill("a "))
    context.items.append(llm.FunctionCallOutput(call_id="1", name="ask", output=fill("b "), is_error=False))
    assert all(len(item.text) <= LONGEST_TEXT for item in read_items(context))


@pytest.mark.parametrize("piece", MARKUP, ids=name_piece)
def test_a_block_is_cleaned_and_cut_at_once(piece: str) -> None:
    text = fill(piece, 30_000)
    blocks = list(split_blocks(text))
    assert "".join(blocks) == text
    for block in blocks:
        assert len(block) <= LONGEST_BLOCK
        began = time.thread_time()
        split_text(clean_text(block))
        assert time.thread_time() - began < CPU_SECONDS


async def test_a_text_without_anything_to_pronounce_lets_others_run() -> None:
    from livekit.agents import APIConnectOptions

    from openrtc_offline.speech.engines import Speech
    from openrtc_offline.speech.tts import OfflineTTS

    class Mute:
        name, sample_rate = "mute", 16_000
        voices: tuple[str, ...] = ("one",)

        def has_voice(self, voice: str) -> bool:
            return True

        async def speak(self, text: str, voice: str) -> Speech:
            raise AssertionError(text)

    longest, latest = 0.0, time.thread_time()

    async def beat() -> None:
        nonlocal longest, latest
        while True:
            latest = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - latest)

    beating = asyncio.create_task(beat())
    stream = OfflineTTS(Mute(), "one").synthesize(fill("... ", 300_000), conn_options=APIConnectOptions(max_retry=0))
    assert [event async for event in stream]
    beating.cancel()
    assert longest < CPU_SECONDS
