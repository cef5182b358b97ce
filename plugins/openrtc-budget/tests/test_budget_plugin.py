"""A call ends when its budget is spent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.agents.metrics import AgentSessionUsage, LLMModelUsage, TTSModelUsage

from openrtc import OpenRTCError
from openrtc_budget import plugin


class Call:
    """A call, and why it was ended."""

    job_id = "AJ_1"

    def __init__(self) -> None:
        self.ends: list[tuple[str, str | None]] = []

    def end(self, reason: str, goodbye: str | None) -> None:
        self.ends.append((reason, goodbye))


def use(session: rtc.EventEmitter[str], tokens: int) -> None:
    used = AgentSessionUsage(
        [
            LLMModelUsage(provider="p", model="m", input_tokens=tokens - 1, output_tokens=1),
            TTSModelUsage(provider="p", model="v", input_tokens=500, output_tokens=500),
        ]
    )
    session.emit("session_usage_updated", SimpleNamespace(usage=used))


async def test_the_tokens_of_all_sessions_of_a_call_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "TOKENS", 100.0)
    monkeypatch.setattr(plugin, "GOODBYE", "That was all.")
    call: Any = Call()
    one, other = rtc.EventEmitter[str](), rtc.EventEmitter[str]()
    for session in (one, other):
        plugin.openrtc_session(call, session)
    use(one, 60)
    use(one, 70)
    use(other, 29)
    assert call.ends == []
    use(other, 30)
    assert call.ends == [("openrtc-budget: 100 tokens are spent", "That was all.")]
    await plugin.openrtc_session_ended(call)


async def test_minutes_run_from_the_first_session_and_end_with_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "MINUTES", 0.002)
    call: Any = Call()
    for _ in range(2):
        plugin.openrtc_session(call, rtc.EventEmitter[str]())
    await asyncio.sleep(0.2)
    assert call.ends == [("openrtc-budget: 0.002 minutes are spent", None)]
    await plugin.openrtc_session_ended(call)
    plugin.openrtc_session(call, rtc.EventEmitter[str]())
    await plugin.openrtc_session_ended(call)
    await asyncio.sleep(0.2)
    assert len(call.ends) == 1


@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf"])
def test_a_wrong_limit_is_one_line(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("OPENRTC_BUDGET_X", text)
    with pytest.raises(OpenRTCError) as raised:
        plugin.read_limit("OPENRTC_BUDGET_X")
    assert str(raised.value).startswith(f"OPENRTC_BUDGET_X must be a number from 0, not '{text}'")


def test_nothing_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENRTC_BUDGET_X", " ")
    assert plugin.read_limit("OPENRTC_BUDGET_X") == plugin.read_limit("OPENRTC_BUDGET_Y") == 0
