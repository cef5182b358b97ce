"""Prices what livekit-agents counts of each model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from genai_prices import Usage, calc_price

from openrtc import OpenRTCError

UNITS = {"input": 1e6, "cached": 1e6, "output": 1e6, "characters": 1e6, "minute": 60.0}
COUNTS = ("input_tokens", "input_cached_tokens", "output_tokens", "characters_count", "audio_duration")
"""What a price of one's own is for, for how many, and what livekit-agents calls that."""

TOKENS = {
    **{name: name for name in ("input_tokens", "input_audio_tokens", "output_tokens", "output_audio_tokens")},
    "input_cached_tokens": "cache_read_tokens",
    "input_cached_audio_tokens": "cache_audio_read_tokens",
    "input_cache_creation_tokens": "cache_write_tokens",
}
"""Tokens as livekit-agents counts them, and as genai-prices calls them."""


def price_usage(usage: Iterable[Any]) -> dict[str, Any]:
    """Return ``usd`` in all, of each of the ``models`` by ``provider/model``, and those that are ``unpriced``.

    Args:
        usage: The ``model_usage`` of one or several of livekit-agents' ``AgentSessionUsage``.
    """
    found = [(f"{one.provider}/{one.model}", _price(one)) for one in usage]
    priced = [(name, usd) for name, usd in found if usd is not None]
    models = {name: sum(usd for other, usd in priced if other == name) for name, _ in priced}
    unpriced = list(dict.fromkeys(name for name, usd in found if usd is None))
    return {"usd": sum(models.values()), "models": models, "unpriced": unpriced}


def read_prices(text: str) -> dict[str, dict[str, float]]:
    """Return prices of one's own; raises `OpenRTCError` where they are not as the README says."""
    try:
        prices: dict[str, dict[str, float]] = json.loads(text or "{}")
        if all(table and all(map(_is_price, table.items())) for table in prices.values()):
            return prices
    except (AttributeError, TypeError, ValueError):
        pass
    fix = f'as in {{"cartesia/sonic-3": {{"characters": 30}}}}; there are {", ".join(UNITS)}'
    raise OpenRTCError("OPENRTC_COST_PRICES must be JSON, with prices from 0 for each model", fix=fix)


def _is_price(item: tuple[str, float]) -> bool:
    return item[0] in UNITS and 0 <= item[1] < 1e9


def _price(usage: Any) -> float | None:
    if own := OWN_PRICES.get(f"{usage.provider}/{usage.model}") or OWN_PRICES.get(usage.model):
        counted = {unit: getattr(usage, name, 0) for unit, name in zip(UNITS, COUNTS, strict=True)}
        counted["input"] -= counted["cached"] if "cached" in own else 0
        return sum(price * counted[unit] / UNITS[unit] for unit, price in own.items())
    tokens = {ours: count for theirs, ours in TOKENS.items() if (count := getattr(usage, theirs, 0))}
    return _price_tokens(usage.provider, usage.model, tuple(tokens.items())) if tokens else None


@lru_cache(maxsize=256)  # the same count is told again and again
def _price_tokens(provider: str, model: str, tokens: tuple[tuple[str, int], ...]) -> float | None:
    maker, _, name = model.rpartition("/")  # LiveKit's inference says openai/gpt-4.1-mini
    for provider_id in filter(None, (maker, provider)):
        try:
            return float(calc_price(Usage(**dict(tokens)), name, provider_id=provider_id).total_price)
        except (LookupError, ValueError):
            continue
    return None


OWN_PRICES = read_prices(os.environ.get("OPENRTC_COST_PRICES", ""))
calc_price(Usage(input_tokens=1), "gpt-4.1-mini")  # reads all prices, for most of a second: not in a call
