"""The plugin: ends a call politely when it has taken so many minutes, tokens or US dollars."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Any

from openrtc import Call, OpenRTCError, hookimpl


def read_limit(name: str) -> float:
    """Return the limit in a variable, 0 for none.

    Raises:
        OpenRTCError: It is no number, or a negative one.
    """
    text = os.environ.get(name, "").strip()
    try:
        limit = float(text or 0)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise OpenRTCError(f"{name} must be a number from 0, not {text!r}", fix="0, or nothing, for no limit")
    return limit


MINUTES, TOKENS, USD = map(read_limit, ("OPENRTC_BUDGET_MINUTES", "OPENRTC_BUDGET_TOKENS", "OPENRTC_BUDGET_USD"))
GOODBYE = os.environ.get("OPENRTC_BUDGET_GOODBYE")
if USD:
    try:
        from openrtc_cost import price_usage
    except ModuleNotFoundError:
        fix = "add it where openrtc-budget came from"
        raise OpenRTCError("OPENRTC_BUDGET_USD needs the prices of openrtc-cost", fix=fix) from None

_usage: dict[str, dict[int, list[Any]]] = {}
"""What each session of a call has used so far, by the job's id; a cast has several."""
_clocks: dict[str, asyncio.TimerHandle] = {}


@hookimpl
def openrtc_session(call: Call, session: Any) -> None:
    """Follow what a session uses."""
    sessions = _usage.setdefault(call.job_id, {})
    if MINUTES and call.job_id not in _clocks:
        reason = f"openrtc-budget: {MINUTES:g} minutes are spent"
        end = partial(call.end, reason, GOODBYE)
        _clocks[call.job_id] = asyncio.get_running_loop().call_later(MINUTES * 60, end)

    def check(event: Any) -> None:
        sessions[id(session)] = event.usage.model_usage
        used = [one for models in sessions.values() for one in models]
        if TOKENS and sum(one.input_tokens + one.output_tokens for one in used if one.type == "llm_usage") >= TOKENS:
            call.end(f"openrtc-budget: {TOKENS:g} tokens are spent", GOODBYE)
        if USD and price_usage(used)["usd"] >= USD:
            call.end(f"openrtc-budget: {USD:g} USD are spent", GOODBYE)

    session.on("session_usage_updated", check)


@hookimpl
async def openrtc_session_ended(call: Call) -> None:
    """Forget the call."""
    _usage.pop(call.job_id, None)
    if clock := _clocks.pop(call.job_id, None):
        clock.cancel()
