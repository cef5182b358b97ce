"""`LiveSession`: a session of a running call, as far as its agent can be exchanged for one of edited code."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from openrtc.catalog.catalog import Catalog
from openrtc.model.agents import AgentSpec
from openrtc.model.call import Call


async def _leave_alone(_: Any) -> None:
    """Do nothing with an agent."""


def _is_idle() -> bool:
    return True


@dataclass(eq=False, kw_only=True)
class LiveSession:
    """A session of a running call.

    Args:
        session: LiveKit's session.
        agent: The agent that was built from the spec: the one that it has started with, or has got since.
        spec: How that agent was built.
        call: The call, as the agent was built for it.
        find_spec: Returns how the agent is built by a catalogue; None where that has none of its name.
        role: Of a member of a cast, its role.
        amend: Called with an agent that takes another one's place, before it does.
        is_idle: Whether nothing else is under way that the session does not know of.
        context: In which its code runs.
        loop: On which it runs.
    """

    session: Any
    agent: Any
    spec: AgentSpec
    call: Call
    find_spec: Callable[[Catalog], AgentSpec | None]
    role: str = ""
    amend: Callable[[Any], Awaitable[None]] = _leave_alone
    is_idle: Callable[[], bool] = _is_idle
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
