"""`Stage`: stands in the place of a room in a rehearsal, and keeps what happens there."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from livekit.agents import (
    Agent,
    AgentHandoffEvent,
    AgentSession,
    ChatMessageEvent,
    ConversationItemAddedEvent,
    FunctionCallEvent,
    FunctionCallOutputEvent,
    FunctionToolsExecutedEvent,
    RunResult,
)

from openrtc.model.call import Call
from openrtc.model.cast_member import current_role
from openrtc.session.build import list_built
from openrtc.session.failure import CallFailed

RunEvent = ChatMessageEvent | FunctionCallEvent | FunctionCallOutputEvent | AgentHandoffEvent

Say = Callable[[str], Awaitable[None]]


class Stage:
    """Where one agent, or a cast, is talked to in text; the frontend of a job without a room.

    Args:
        starts: Whether the sessions are started, or only built.
    """

    text_only = True

    def __init__(self, *, starts: bool = True) -> None:
        self.call: Call | None = None
        self.sessions: dict[str, AgentSession[Any]] = {}
        """By role of the member of a cast; by an empty name for a single agent."""
        self.context: contextvars.Context | None = None
        """In which the code of the call runs."""
        self.say: Say | None = None
        """Says something to a cast, and waits until everybody has answered; None for a single agent."""
        self.events: list[tuple[str, RunEvent]] = []
        """What has happened: the role of the member, and the event."""
        self.starts = starts
        self.ready = asyncio.Event()
        """Set when it can be talked to, or is built where it is not started."""
        self.entered = asyncio.Event()
        self._over = asyncio.Event()
        self._open: list[AgentSession[Any]] = []

    async def before_start(self, call: Call, session: AgentSession[Any]) -> None:
        """Take the session of a single agent."""
        for agent in list_built(call.job_id):
            self._watch_entry(agent)
        await self._take(call, session, "")

    async def after_start(self, call: Call, session: AgentSession[Any]) -> None:
        """Let the agent be talked to until the rehearsal is over."""
        self._begin()
        await self._over.wait()

    async def before_member(self, call: Call, session: AgentSession[Any], name: str, *, is_ear: bool) -> None:
        """Take the session of a member of a cast."""
        await self._take(call, session, current_role())

    async def with_cast(self, say: Say, quiet: Callable[[], Awaitable[None]]) -> None:
        """Let the cast be talked to until the rehearsal is over."""

        async def say_and_listen(text: str) -> None:
            await say(text)
            await quiet()

        await quiet()
        self.entered.set()
        self.say = say_and_listen
        self._begin()
        await self._over.wait()

    def end(self) -> None:
        """End the rehearsal."""
        self._over.set()

    def list_texts(self, since: int = 0) -> Sequence[tuple[str, str]]:
        """Return what was said from an event on: the role of the member, and the words."""
        said = ((role, event.item) for role, event in self.events[since:] if isinstance(event, ChatMessageEvent))
        return [(role, item.text_content or "") for role, item in said if item.role == "assistant"]

    def collect(self, since: int = 0) -> RunResult[Any]:
        """Return the events from one on, as livekit-agents returns those of a run."""
        result: RunResult[Any] = RunResult(output_type=None)
        result.events.extend(event for _, event in self.events[since:])
        return result

    def _watch_entry(self, agent: Agent) -> None:
        """Notice when the ``on_enter`` of a single agent has ended."""
        enter = agent.on_enter

        async def on_enter() -> None:
            try:
                await enter()
            finally:
                self.entered.set()

        vars(on_enter).update(vars(enter))  # the mark of what guards it
        agent.on_enter = on_enter  # type: ignore[method-assign]  # on this one

    async def _take(self, call: Call, session: AgentSession[Any], role: str) -> None:
        self.call = call
        self.sessions[role] = session
        session.on("conversation_item_added", lambda event: self._note_item(role, session, event))
        session.on("function_tools_executed", lambda event: self._note_tools(role, event))
        self.context = contextvars.copy_context()
        if not self.starts:
            self.ready.set()
            await self._over.wait()
            raise CallFailed("it was only built")

    def _begin(self) -> None:
        self.context = contextvars.copy_context()
        self.ready.set()

    def _note_item(self, role: str, session: AgentSession[Any], event: ConversationItemAddedEvent) -> None:
        item: Any = event.item
        if item.type == "message":
            if item.role == "assistant":
                self.events.append((role, ChatMessageEvent(item=item)))
        elif item.type == "agent_handoff" and item.old_agent_id is not None:
            new = session.current_agent
            self.events.append((role, AgentHandoffEvent(item=item, old_agent=None, new_agent=new)))

    def _note_tools(self, role: str, event: FunctionToolsExecutedEvent) -> None:
        for call, output in event.zipped():
            self.events.append((role, FunctionCallEvent(item=call)))
            self.events.append((role, FunctionCallOutputEvent(item=output)))
