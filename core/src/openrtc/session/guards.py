"""Guards what an agent's code does in a session: of the first agent and of each one that the session changes to.

livekit-agents only logs what ``on_enter`` raises, and the agent stays in the room and says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

from livekit.agents import Agent, AgentSession, get_job_context

from openrtc.session.containment import contain_tool_exits
from openrtc.session.failure import LoopBroken, mark_reported
from openrtc.session.hang_up import CallWasEnded, find_hang_up, limit_method, limit_tool
from openrtc.session.room_connect import wait_until_joined
from openrtc.upstream.handoffs import watch_agents
from openrtc.upstream.jobs import guard_tools

logger = logging.getLogger("openrtc.worker")

OnFailure = Callable[[str, BaseException], None]

_SPEECH = ("say", "generate_reply")
"""What an ``on_enter`` that only speaks calls of its session."""


def contain_tools() -> None:
    """From now on, let no tool of a call in this process end the worker by ``sys.exit``, or outlive its call."""
    guard_tools(_call_tool)


async def _call_tool(called: Callable[[], Any]) -> Any:
    with limit_tool():
        return await contain_tool_exits(called)()


def guard_agents(
    session: AgentSession[Any],
    agent: Agent,
    on_failure: OnFailure,
    on_entered: Callable[[], None] = lambda: None,
    prepare: Callable[[Agent], None] = lambda _: None,
) -> None:
    """Guard the agents of a session: report one that fails to enter, and limit one that hangs when all have left.

    Args:
        session: A session, before it starts.
        agent: The agent that it starts with.
        on_failure: Called with what an agent has failed in, and what was raised: it says nothing from then on.
        on_entered: Called when an ``on_enter`` has ended, well or not.
        prepare: Called with each agent before anything of it runs.
    """

    def guard(one: Agent) -> None:
        if hang_up := find_hang_up(get_job_context(required=False)):
            hang_up.note_agent()
        prepare(one)
        _guard_methods(one, lambda error: on_failure("failed in on_enter", error), on_entered)

    def report(one: Agent, error: Exception) -> None:
        mark_reported(error)  # livekit-agents logs it as well
        on_failure(f"could not hand over to {type(one).__name__}", error)

    guard(agent)  # also with a livekit-agents whose hand-offs are not known
    watch_agents(session, guard, report)


@contextlib.contextmanager
def hold_handoffs(session: AgentSession[Any]) -> Iterator[None]:
    """Let a hand-off that is asked for while a session starts in the body be made afterwards.

    livekit-agents forgets it, and the first agent says nothing any more: an ``on_enter`` that hands over, or whose
    model calls a tool that does, is mostly quicker than the start.
    """
    asked: list[Agent] = []

    def note(agent: Agent) -> None:
        asked.append(agent)

    session.update_agent = note  # type: ignore[method-assign]  # on this one, while it starts
    try:
        yield
    finally:
        del session.update_agent
    for agent in asked[-1:]:
        session.update_agent(agent)


def _guard_methods(agent: Agent, on_error: Callable[[BaseException], None], on_entered: Callable[[], None]) -> None:
    enter, leave = agent.on_enter, agent.on_exit
    if hasattr(enter, "_openrtc_guarded"):
        return  # a session may come back to an agent
    speaks_only = only_speaks(agent)

    async def on_enter() -> None:
        try:
            with limit_method("on_enter"):
                if speaks_only or await _join():
                    await enter()
        except (asyncio.CancelledError, LoopBroken):
            raise  # the session is closing, or the whole call is ended
        except CallWasEnded:
            logger.debug("on_enter of %s was ended with its call", type(agent).__name__)
        except BaseException as error:  # sys.exit() as well: it would end the worker with all calls
            on_error(error)
        finally:
            on_entered()

    async def on_exit() -> None:
        with limit_method("on_exit"):
            await leave()

    on_enter._openrtc_guarded = True  # type: ignore[attr-defined]  # a mark of ours
    # On the instance: its class may be that of other calls' agents, too.
    agent.on_enter, agent.on_exit = on_enter, on_exit  # type: ignore[method-assign]


async def _join() -> bool:
    context = get_job_context(required=False)
    return context is None or context.is_fake_job() or await wait_until_joined(context.room)


def only_speaks(agent: Agent) -> bool:
    """Whether an agent's ``on_enter`` does nothing but speak, in words that stand there or by its model.

    It need not wait for the room then: livekit-agents holds back what is said until somebody hears it, and the models
    begin meanwhile.
    """
    function = getattr(agent.on_enter, "__func__", None)
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or code.co_freevars or any(isinstance(one, CodeType) for one in code.co_consts):
        return False
    words = {**function.__globals__, **vars(agent)}  # type: ignore[union-attr]  # it has a code
    speech = {name for name in _SPEECH if not hasattr(agent, name)}  # else it may be a method of its own
    if type(agent).session is Agent.session:
        speech.add("session")
    return all(name in speech or isinstance(words.get(name), str) for name in code.co_names)
