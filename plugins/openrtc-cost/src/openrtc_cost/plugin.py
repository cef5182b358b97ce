"""The plugin: adds what a call has cost to its event ``call_ended``."""

from __future__ import annotations

from typing import Any

from openrtc import Call, hookimpl
from openrtc_cost.prices import price_usage

_sessions: dict[str, list[Any]] = {}
"""The sessions of each call, by the job's id; a cast has several."""


@hookimpl
def openrtc_session(call: Call, session: Any) -> None:
    """Note a session, which counts what its models use."""
    _sessions.setdefault(call.job_id, []).append(session)


@hookimpl
def openrtc_session_ended(call: Call) -> None:
    """Record what its sessions cost."""
    if sessions := _sessions.pop(call.job_id, None):
        used = [one for session in sessions for one in session.usage.model_usage]
        call.record("cost", price_usage(used))
