"""What models cost: by genai-prices, or by prices of one's own."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.agents.metrics import LLMModelUsage, STTModelUsage, TTSModelUsage

from openrtc import OpenRTCError
from openrtc_cost import plugin, price_usage, prices
from openrtc_cost.prices import read_prices

WRONG = [
    *("{", "[]", "3", '{"a": 1}', '{"a": {}}'),
    *('{"a": {"minutes": 1}}', '{"a": {"minute": -1}}', '{"a": {"minute": ""}}'),
]


def llm(provider: str = "api.openai.com", model: str = "gpt-4.1-mini", **counts: int) -> LLMModelUsage:
    used: dict[str, Any] = {"input_tokens": 1000, "output_tokens": 100} | counts
    return LLMModelUsage(provider=provider, model=model, **used)


def test_tokens_have_the_prices_of_genai_prices_whoever_provides_the_model() -> None:
    cost = price_usage([llm(), llm()])
    assert cost["unpriced"] == [] and list(cost["models"]) == ["api.openai.com/gpt-4.1-mini"]
    once = price_usage([llm()])["usd"]
    assert cost["usd"] == pytest.approx(2 * once) and once > 0
    for same in (llm("livekit", "openai/gpt-4.1-mini"), llm("mine.openai.azure.com")):
        assert price_usage([same])["usd"] == once
    assert price_usage([llm(input_cached_tokens=900)])["usd"] < once
    sound = price_usage([llm(model="gpt-realtime", input_audio_tokens=900, output_audio_tokens=90)])
    assert sound["usd"] > price_usage([llm(model="gpt-realtime")])["usd"]


def test_what_has_no_price_is_named_once() -> None:
    stt = STTModelUsage(provider="deepgram", model="nova-3", audio_duration=60.0)
    cost = price_usage([stt, stt, llm("offline", "echo"), llm("my.own.example")])
    assert (cost["usd"], cost["models"]) == (0, {})
    assert cost["unpriced"] == ["deepgram/nova-3", "offline/echo", "my.own.example/gpt-4.1-mini"]


def test_ones_own_prices_outweigh_and_are_for_anything_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    own = '{"deepgram/nova-3": {"minute": 0.5}, "sonic": {"characters": 30}, "gpt-4.1-mini": {"input": 2, "cached": 1}}'
    monkeypatch.setattr(prices, "OWN_PRICES", read_prices(own))
    used = [
        STTModelUsage(provider="deepgram", model="nova-3", audio_duration=90.0),
        TTSModelUsage(provider="cartesia", model="sonic", characters_count=2_000_000),
        llm(input_tokens=3_000_000, input_cached_tokens=1_000_000),
    ]
    expected = {"deepgram/nova-3": 0.75, "cartesia/sonic": 60.0, "api.openai.com/gpt-4.1-mini": 5.0}
    assert price_usage(used)["models"] == pytest.approx(expected)


@pytest.mark.parametrize("text", WRONG)
def test_wrong_prices_are_one_line(text: str) -> None:
    with pytest.raises(OpenRTCError, match="^OPENRTC_COST_PRICES must be JSON, with prices from 0 for each model"):
        read_prices(text)


def test_the_cost_of_all_sessions_of_a_call_is_recorded_once() -> None:
    records: list[Any] = []

    class Call:
        job_id = "AJ_1"

        def record(self, key: str, value: Any) -> None:
            records.append((key, value))

    class Session:
        class usage:
            model_usage = (llm(),)

    call: Any = Call()
    for _ in range(2):
        plugin.openrtc_session(call, Session())
    for _ in range(2):
        plugin.openrtc_session_ended(call)
    assert records == [("cost", price_usage([llm(), llm()]))]
