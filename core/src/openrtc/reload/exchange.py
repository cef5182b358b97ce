"""Exchanges the agent of one running session for one of the new code, between two turns, with the conversation so far.

The session stays, with its models, its room and its userdata; what livekit-agents calls a hand-off is made, without
the good-bye of the one agent and the greeting of the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from collections.abc import Callable
from typing import Any

from livekit.agents import Agent, AgentSession, AgentTask
from livekit.agents.llm import Tool
from livekit.agents.utils import is_given

from openrtc.catalog.catalog import Catalog
from openrtc.errors import summarize_error
from openrtc.model.agents import AgentSpec
from openrtc.reload.identity import find_current, renew
from openrtc.runtime.live_session import LiveSession
from openrtc.session.build import build_agent
from openrtc.session.cleanup import limit_build_time
from openrtc.session.failure import find_failing_line
from openrtc.upstream.handoffs import is_closing

logger = logging.getLogger("openrtc.reload")

WAIT_FOR_SILENCE_SECONDS = 30.0
"""How long an exchange waits until neither side speaks; then the next call has the new code."""
LATE_ANSWER_SECONDS = 4.0
"""How long after the caller has fallen silent an answer may still begin: recognition and the end of turn take time, and
what was said would be lost with the agent that has heard it."""
POLL_SECONDS = 0.02
TAKE_OVER_SECONDS = 5.0
"""How long the new agent has to take over, and an ``on_reload`` to end."""

_TURN_STATES = ("speaking", "thinking", "initializing")


class NotExchanged(Exception):
    """Why a session keeps its agent."""


class TurnWatch:
    """Tells whether a session is between two turns; from its start, to know what waits for an answer.

    Args:
        live: The session.
    """

    def __init__(self, live: LiveSession) -> None:
        self._live = live
        self._session: AgentSession[Any] = live.session
        self._heard_at: float | None = None
        self._session.on("user_state_changed", self._on_user)
        self._session.on("user_input_transcribed", self._on_heard)
        self._session.on("agent_state_changed", self._on_agent)

    @property
    def is_between(self) -> bool:
        """Whether nobody speaks, is about to, or waits for an answer."""
        session = self._session
        if (
            session.agent_state in _TURN_STATES
            or session.user_state == "speaking"
            or session.current_speech is not None
        ):
            return False
        if self._heard_at is not None and time.monotonic() - self._heard_at < LATE_ANSWER_SECONDS:
            return False
        return self._live.is_idle()

    def _on_user(self, event: Any) -> None:
        if "speaking" in (event.new_state, event.old_state):
            self._heard_at = time.monotonic()

    def _on_heard(self, _: Any) -> None:
        self._heard_at = time.monotonic()

    def _on_agent(self, event: Any) -> None:
        if event.new_state == "speaking":
            self._heard_at = None  # it is answered


async def exchange(live: LiveSession, watch: TurnWatch, find_catalog: Callable[[], Catalog]) -> bool:
    """Exchange a session's agent as soon as it is between two turns; whether there was anything to exchange.

    Args:
        live: The session; on its own loop.
        watch: Tells when it is between two turns.
        find_catalog: Returns the agents as they are now.

    Raises:
        NotExchanged: It keeps its agent, and why.
    """
    until = time.monotonic() + WAIT_FOR_SILENCE_SECONDS
    while True:
        while not watch.is_between or not _runs(live.session):
            if is_closing(live.session):
                raise NotExchanged("it has ended")
            if time.monotonic() > until:
                raise NotExchanged(
                    f"nobody was silent for {WAIT_FOR_SILENCE_SECONDS:.0f} s: the next call has the new code"
                )
            await asyncio.sleep(POLL_SECONDS)
        exchanging = asyncio.create_task(_exchange_now(live, watch, find_catalog()), context=live.context.copy())
        if (done := await asyncio.shield(exchanging)) is not None:
            return done


async def try_to_build(live: LiveSession, catalog: Catalog) -> None:
    """Build the agent that a session would have by another catalogue, to see whether that can be done.

    Raises:
        Exception: Whatever the package's code raises.
    """
    spec = live.find_spec(catalog)
    if spec is not None and spec.agent is not None and spec.agent is not live.spec.agent:
        await asyncio.create_task(_build(live, spec), context=live.context.copy())


def is_outdated(live: LiveSession, catalog: Catalog) -> bool:
    """Whether a session runs an agent of old code."""
    if not _runs(live.session):
        return False
    spec, current = live.find_spec(catalog), live.session.current_agent
    built_anew = spec is not None and spec.agent is not live.spec.agent
    return (built_anew and current is live.agent) or find_current(type(current)) is not None


def _runs(session: AgentSession[Any]) -> bool:
    try:
        return isinstance(session.current_agent, Agent)
    except RuntimeError:  # it has not started
        return False


async def _build(live: LiveSession, spec: AgentSpec) -> Agent:
    async with limit_build_time(spec.name):
        agent = await build_agent(spec, live.call)
    await live.amend(agent)
    return agent


async def _exchange_now(live: LiveSession, watch: TurnWatch, catalog: Catalog) -> bool | None:
    """Return whether the agent was exchanged, and None where somebody has begun to speak meanwhile."""
    session: AgentSession[Any] = live.session
    old, spec = session.current_agent, live.find_spec(catalog)
    if not is_outdated(live, catalog):
        return False
    try:
        new = await _make_new(live, old, spec)
        _renew_userdata(session)
        if new is None:
            return True
        await _hand_down(old, new, session, by_cast=bool(live.role))
    except (Exception, SystemExit) as error:  # the package's, whatever it is: the call goes on with the old agent
        place = find_failing_line(error)
        raise NotExchanged(f"its new agent failed: {summarize_error(error)} at {place}") from error
    if not watch.is_between or session.current_agent is not old or is_closing(session):
        return None
    is_first = old is live.agent
    await _take_over(session, old, new)
    if is_first and spec is not None:
        live.agent, live.spec = new, spec
    return True


async def _make_new(live: LiveSession, old: Agent, spec: AgentSpec | None) -> Agent | None:
    """Return the agent that takes an old one's place; None where the old one itself was made one of the new class."""
    if old is live.agent and spec is not None and spec.agent is not live.spec.agent:
        return await _build(live, spec)
    kind = find_current(type(old))
    assert kind is not None, "it is outdated"
    # One that another agent has made, with what only that one knows; unless it needs nothing to be made.
    if not isinstance(old, AgentTask) and _takes_nothing(kind):
        agent: Agent = kind()
        await live.amend(agent)
        return agent
    await _become(old, kind)
    return None


def _takes_nothing(kind: type) -> bool:
    try:
        inspect.signature(kind).bind()
    except (TypeError, ValueError):
        return False
    return True


async def _become(agent: Agent, kind: type) -> None:
    """Make an agent one of the new class, with the methods and tools of that; what it holds stays."""
    own = {tool.id for tool in _list_tools(agent)}
    given = [tool for tool in agent.tools if tool.id not in own]
    object.__setattr__(agent, "__class__", kind)
    for name, value in list(vars(agent).items()):
        if not name.startswith("_"):
            setattr(agent, name, renew(value))
    await agent.update_tools([*given, *_list_tools(agent)])


def _list_tools(agent: Agent) -> list[Tool]:
    """Return the tools of an agent's class; livekit-agents' own function reads all attributes of one that runs."""
    kind = type(agent)
    return [getattr(agent, name) for name in dir(kind) if isinstance(getattr(kind, name, None), Tool)]


async def _hand_down(old: Agent, new: Agent, session: AgentSession[Any], *, by_cast: bool) -> None:
    """Give the new agent the conversation, and what else was the old one's."""
    chat = old.chat_ctx.copy(exclude_instructions=True, exclude_handoff=True, exclude_config_update=True)
    await new.update_chat_ctx(chat)
    for name in ("stt", "llm", "tts"):
        had, has = getattr(old, name), getattr(new, name)
        # What its class does not bring any more, the session has not, which was built with it.
        if is_given(had) and had is not None and not is_given(has) and getattr(session, name) is None:
            new.update_options(**{name: had})
    if by_cast:  # which opens and closes a member's ears
        given = {name: getattr(old, name) for name in ("stt", "vad") if is_given(getattr(old, name))}
        new.update_options(**given)
    if on_reload := getattr(new, "on_reload", None):
        for name, value in list(vars(old).items()):
            if not name.startswith("_"):
                with contextlib.suppress(AttributeError):
                    setattr(old, name, renew(value))
        result = on_reload(old)
        if inspect.isawaitable(result):
            await asyncio.wait_for(result, TAKE_OVER_SECONDS)


async def _take_over(session: AgentSession[Any], old: Agent, new: Agent) -> None:
    entered = asyncio.Event()

    async def leave() -> None:
        """Say no good-bye: the call goes on."""

    async def enter() -> None:
        """Say no greeting: the call has begun. When the session comes back to this agent, it enters as ever."""
        if entered.is_set():
            await type(new).on_enter(new)
        entered.set()

    old.on_exit = leave  # type: ignore[method-assign]  # on this one
    new.on_enter = enter  # type: ignore[method-assign]  # on this one
    session.update_agent(new)
    try:
        await asyncio.wait_for(entered.wait(), TAKE_OVER_SECONDS)
    except TimeoutError:
        raise NotExchanged(f"its new agent has not taken over within {TAKE_OVER_SECONDS:g} s") from None


def _renew_userdata(session: AgentSession[Any]) -> None:
    with contextlib.suppress(ValueError):  # it has none
        userdata = session.userdata
        if (renewed := renew(userdata)) is not userdata:
            session.userdata = renewed
