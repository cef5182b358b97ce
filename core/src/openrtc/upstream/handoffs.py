"""Tells which agent a session changes to, whether it is closing, and closes it: private names of livekit-agents.

Every agent of a session, the first one, one that a tool returns, one of ``session.update_agent`` and each `AgentTask`,
is started by ``AgentSession._update_activity``. Its events tell of a hand-off without the agent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from livekit.agents import Agent, AgentSession, CloseReason

from openrtc.upstream.digest import find_changes


def watch_agents(
    session: AgentSession[Any], on_change: Callable[[Agent], None], on_failure: Callable[[Agent, Exception], None]
) -> None:
    """Tell of each agent that a session is about to change to; with another livekit-agents, of none.

    Args:
        session: A session that has not started.
        on_change: Called with the agent before anything of it runs.
        on_failure: Called with an agent that could not take over, and why: the session has none then that answers.
    """
    if find_changes("handoffs"):
        return
    update = session._update_activity

    async def watched(agent: Agent, **options: Any) -> None:
        is_first, is_task = session._activity is None, options.get("previous_activity") == "pause"
        if options.get("new_activity") != "resume":
            on_change(agent)
        try:
            await update(agent, **options)
        except Exception as error:
            # What the start of a session raises is its caller's. An `AgentTask` that was not even begun is left to the
            # code that awaits it: the agent before it goes on.
            begun = not is_task or session._activity is agent._activity is not None
            if is_first or not begun or session._is_closing():
                raise
            on_failure(agent, error)
            if is_task:
                raise

    session._update_activity = watched  # type: ignore[method-assign]  # on this one session


def is_closing(session: AgentSession[Any]) -> bool:
    """Whether a session has begun to close, which no event tells; False where that is not known."""
    return not find_changes("handoffs") and session._is_closing()


def close_because_left(session: AgentSession[Any]) -> bool:
    """Close a session as livekit-agents does when its caller has left; whether that could be done.

    Its agent's package is told this reason, and no other one.
    """
    if find_changes("handoffs") or session._activity is None:
        return False
    session._close_soon(reason=CloseReason.PARTICIPANT_DISCONNECTED)
    return True
