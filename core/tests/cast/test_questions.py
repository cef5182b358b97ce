from __future__ import annotations

import asyncio

import pytest

from openrtc import OpenRTCError
from openrtc.cast.questions import Questions


async def test_a_ring_of_questions_is_found_however_long_it_is() -> None:
    questions = Questions()
    questions.add("a", "b")
    second = questions.add("b", "c")
    with pytest.raises(OpenRTCError, match="'a' itself waits for an answer of 'c'"):
        questions.check_can_answer("c", "a")
    questions.check_can_answer("a", "c")
    second.set_result("done")
    await asyncio.sleep(0)
    questions.check_can_answer("c", "a")
