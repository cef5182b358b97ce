"""The realtime models of Tim and Chris, where there is a key for them."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from typing import Any


def realtime_model(voice: str, temperature: float) -> Callable[[], Any] | None:
    """Return what makes an OpenAI realtime model, or None without a key: then the worker's own models speak.

    Args:
        voice: Its voice.
        temperature: As the first version of the API took it; the present one has none and livekit's plugin ignores it.
    """
    if not os.environ.get("OPENAI_API_KEY") or importlib.util.find_spec("livekit.plugins.openai") is None:
        return None
    # Now, and not in the first call: importing it takes a second, for which all calls would be silent.
    from livekit.plugins.openai import realtime

    return lambda: realtime.RealtimeModel(voice=voice, temperature=temperature)
