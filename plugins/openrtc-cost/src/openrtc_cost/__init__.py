"""What the models of a call cost: tokens by the prices of genai-prices, anything else by prices of your own."""

from __future__ import annotations

from openrtc_cost.prices import price_usage

__all__ = ["price_usage"]
