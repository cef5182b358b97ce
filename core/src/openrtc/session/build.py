"""Builds the agent of a call."""

from __future__ import annotations

import contextlib
import inspect
import weakref
from collections.abc import Collection, Iterator
from typing import Any

from livekit.agents import Agent

from openrtc.errors import OpenRTCError
from openrtc.model.agents import AgentSpec
from openrtc.model.builders import bind_call, check_builder, is_agent, name_of
from openrtc.model.call import Call
from openrtc.model.tools import check_tools

_used: weakref.WeakKeyDictionary[Agent, str] = weakref.WeakKeyDictionary()
"""The agents of all calls so far, as long as they live, with the ids of their jobs."""


async def build_agent(spec: AgentSpec, call: Call) -> Agent:
    """Build the agent for a call.

    Args:
        spec: How to build it.
        call: The call that it will answer; handed to a factory or class that takes one argument.

    Raises:
        OpenRTCError: The factory returned something else than a fresh ``Agent``, or one with a tool that no model can
            be told of. What the factory raises passes.
    """
    assert spec.agent is not None, "a spec with an entrypoint builds its own agent"
    check_builder(spec.agent)
    built: Any = bind_call(spec.agent, call)()
    if inspect.isawaitable(built):
        built = await built
    origin = f'agent "{spec.name}", {name_of(spec.agent)}'
    if not is_agent(built):
        what = "None" if built is None else f"a {type(built).__qualname__}"
        raise OpenRTCError(f"returned {what}, not an Agent", origin=origin, fix="return Agent(…)")
    if built in _used:
        fix = "make a new one in every call of the factory"
        raise OpenRTCError("returned the same Agent a second time: two calls would share it", origin=origin, fix=fix)
    agent: Agent = built
    check_tools(agent.tools)  # also those that it was given, which its class does not show
    _used[agent] = call.job_id
    return agent


def list_built(job_id: str) -> list[Agent]:
    """Return the agents that were built for a job and are still there: those that calls begin with."""
    return [agent for agent, built_for in list(_used.items()) if built_for == job_id]


def list_holdings(job_ids: Collection[str]) -> Iterator[object]:
    """Return what the agents of calls have: their attributes, and the userdata of their sessions.

    Args:
        job_ids: The jobs of these calls.
    """
    for agent in [agent for agent, job_id in list(_used.items()) if job_id in job_ids]:
        yield vars(agent)
        with contextlib.suppress(RuntimeError, ValueError):  # it has no session now, or that has no userdata
            yield agent.session.userdata
