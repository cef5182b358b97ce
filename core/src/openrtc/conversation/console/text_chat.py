"""`TextChat`: somebody at a terminal or at a pipe talks with an agent in text."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from livekit.agents import AgentSession

from openrtc.conversation.console.chat_screen import ChatScreen
from openrtc.conversation.console.terminal_input import TerminalInput
from openrtc.conversation.console_logging import ReportedErrors
from openrtc.conversation.idle import wait_until_quiet
from openrtc.conversation.offline import models_fix
from openrtc.conversation.session_events import Ended, Failed, SessionEvent, SessionWatch
from openrtc.conversation.text_io import CallbackTextOutput, send_text
from openrtc.model.call import Call
from openrtc.runtime.providers import OFFLINE
from openrtc.session.failure import CallFailed

QUIT = "/quit"
TOOL_TASK = "tool_exec_"
"""How livekit-agents' names of the tasks begin in which tools run."""

FIRST_WORDS_QUIET = 0.2
"""Seconds of silence after which what the agent says by itself is over: text comes without pauses."""

FIRST_WORDS_LIMIT = 30.0
"""Seconds after which the caller may type even if the agent has not stopped."""


class TextChat:
    """Talks with an agent, or with a cast, in text: the frontend of a job without a room.

    Args:
        terminal: What the caller types.
        screen: Shows the chat.
        errors: What the chat shows and the log need not.
        assumed_offline: Whether the offline language model was chosen because nobody chose one.
    """

    text_only = True

    def __init__(
        self, terminal: TerminalInput, screen: ChatScreen, errors: ReportedErrors, *, assumed_offline: bool
    ) -> None:
        self.problem: str | None = None
        self.unanswered = 0
        self.started = False
        self._terminal = terminal
        self._screen = screen
        self._errors = errors
        self._assumed_offline = assumed_offline
        self._over = asyncio.Event()
        self._failure_shown = False

    async def before_start(self, call: Call, session: AgentSession[Any]) -> None:
        """Take the agent's words.

        Raises:
            CallFailed: The agent has no language model; the chat's `problem` says so.
        """
        if not call.models.get("llm"):
            self.problem = f"agent {call.agent_name!r} has no language model ({models_fix()})"
            raise CallFailed(self.problem)
        if self._assumed_offline and call.models["llm"] == OFFLINE:
            self._screen.show_note(
                "no language model is set: using the offline one, which only knows the agent's tools"
            )
        self._screen.show_note(f"{QUIT} or Ctrl-D ends the chat")
        session.output.transcription = CallbackTextOutput(self._screen.add_words, self._screen.end_words)
        SessionWatch(session, self._on_event, self._errors)

    async def after_start(self, call: Call, session: AgentSession[Any]) -> None:
        """Chat until the caller or the agent ends it."""
        self.started = True
        await wait_until_quiet(session, quiet=FIRST_WORDS_QUIET, limit=FIRST_WORDS_LIMIT)
        await self._chat(partial(self._ask, session))

    async def before_member(self, call: Call, session: AgentSession[Any], name: str, *, is_ear: bool) -> None:
        """Take the words of one of several agents."""
        session.output.transcription = CallbackTextOutput(
            partial(self._screen.add_words, who=name), self._screen.end_words
        )
        SessionWatch(session, self._on_event if is_ear else self._on_member_event, self._errors)

    async def with_cast(self, say: Callable[[str], Awaitable[None]], quiet: Callable[[], Awaitable[None]]) -> None:
        """Chat with several agents until the caller or their ear ends it."""

        async def ask(line: str) -> None:
            self._screen.show_question(line)
            await say(line)
            await quiet()

        self.started = True
        self._screen.show_note(f"{QUIT} or Ctrl-D ends the chat")
        await self._await_unless_over(quiet())
        await self._chat(ask)

    def hang_up(self) -> None:
        """End the chat now."""
        self._over.set()

    async def _chat(self, ask: Callable[[str], Awaitable[None]]) -> None:
        while not self._over.is_set():
            line = await self._await_unless_over(self._terminal.read())
            if line is None or line.strip() == QUIT:
                self._over.set()
            elif line.strip():
                await self._await_unless_over(ask(line.strip()))

    async def _ask(self, session: AgentSession[Any], line: str) -> None:
        self._screen.show_question(line)
        self._failure_shown = False
        if problem := await send_text(session, line):
            self.unanswered += 1
            if not self._failure_shown:  # a model's failure is an event of the session, too
                self._screen.show_event(Failed(problem))

    async def _await_unless_over(self, work: Awaitable[Any]) -> Any:
        task, over = asyncio.ensure_future(work), asyncio.create_task(self._over.wait())
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if task.done() and not self._over.is_set():
            return task.result()
        task.cancel()
        _cancel_tools()
        return None

    def _on_event(self, event: SessionEvent) -> None:
        if self._over.is_set():
            return
        self._failure_shown = self._failure_shown or isinstance(event, Failed)
        if isinstance(event, Ended):
            self._end(event)
        else:
            self._screen.show_event(event)

    def _on_member_event(self, event: SessionEvent) -> None:
        if not isinstance(event, Ended):  # the others go on
            self._on_event(event)

    def _end(self, ended: Ended) -> None:
        self.problem = ended.error and f"the session ended: {ended.error}"
        if not ended.error:
            self._screen.show_note("the agent has ended the call")
        self._over.set()


def _cancel_tools() -> None:
    # Closing a session waits a minute for a tool that does not return.
    for task in asyncio.all_tasks():
        if task.get_name().startswith(TOOL_TASK):
            task.cancel()
