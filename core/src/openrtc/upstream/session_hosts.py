"""Tells a session who hosts it: a private name of livekit-agents."""

from __future__ import annotations

from typing import Any

from livekit.agents import AgentSession
from livekit.agents.voice.remote_session import SessionHost

from openrtc.upstream.digest import find_changes


def note_host(session: AgentSession[Any], host: SessionHost) -> None:
    """Let a session report to its host what it has no event for: predictions of ends of turns and of machines.

    With another livekit-agents, these are not reported.

    Args:
        session: A session that has started without a host.
        host: Its host.
    """
    if not find_changes("hosts"):
        session._session_host = host
