"""`TextChat`: somebody at a terminal or at a pipe talks with an agent in text."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from livekit.agents import AgentSession

from openrtc.call import Call
from openrtc.conversation.audition import MODELS_FIX
from openrtc.conversation.calm_logs import ToldFailures
from openrtc.conversation.chat_screen import ChatScreen
from openrtc.conversation.happenings import Ended, Failed, Happening
from openrtc.conversation.quiet import wait_until_quiet
from openrtc.conversation.session_watch import SessionWatch, describe_error
from openrtc.conversation.typed_lines import TypedLines
from openrtc.conversation.words import Words
from openrtc.providers.providers import OFFLINE
from openrtc.worker.failure import CallFailed

QUIT = "/quit"
TOOL_TASK = "tool_exec_"
FIRST_WORDS_QUIET = 0.2
FIRST_WORDS_LIMIT = 30.0


class TextChat:
    """Talks with an agent in text; a frontend of jobs without a room.

    Args:
        lines: What the caller types.
        screen: Shows the chat.
        failures: What the chat shows and the log need not.
        assumed_offline: Whether the offline language model was chosen because nobody chose one.
    """

    text_only = True

    def __init__(self, lines: TypedLines, screen: ChatScreen, failures: ToldFailures, *, assumed_offline: bool) -> None:
        self.problem: str | None = None
        self.unanswered = 0
        self.started = False
        self._lines = lines
        self._screen = screen
        self._failures = failures
        self._assumed_offline = assumed_offline
        self._over = asyncio.Event()
        self._told_now = False

    async def before_start(self, call: Call, session: AgentSession[Any]) -> None:
        """Take the agent's words.

        Raises:
            CallFailed: The agent has no language model; the chat's `problem` says so.
        """
        if not call.models.get("llm"):
            self.problem = f"agent {call.agent_name!r} has no language model ({MODELS_FIX})"
            raise CallFailed(self.problem)
        if self._assumed_offline and call.models["llm"] == OFFLINE:
            self._screen.note("no language model is set: using the offline one, which only knows the agent's tools")
        self._screen.note(f"{QUIT} or Ctrl-D ends the chat")
        session.output.transcription = Words(self._screen.piece, self._screen.complete)
        SessionWatch(session, self._happened, self._failures)

    async def after_start(self, call: Call, session: AgentSession[Any]) -> None:
        """Chat until the caller or the agent ends it."""
        self.started = True
        await wait_until_quiet(session, quiet=FIRST_WORDS_QUIET, limit=FIRST_WORDS_LIMIT)
        await self._chat(partial(self._ask, session))

    async def before_member(self, call: Call, session: AgentSession[Any], name: str, *, is_ear: bool) -> None:
        """Take the words of one of several agents."""
        session.output.transcription = Words(partial(self._screen.piece, who=name), self._screen.complete)
        SessionWatch(session, self._happened if is_ear else self._member_happened, self._failures)

    async def with_cast(self, say: Callable[[str], Awaitable[None]], quiet: Callable[[], Awaitable[None]]) -> None:
        """Chat with several agents until the caller or their ear ends it."""

        async def ask(line: str) -> None:
            self._screen.you(line)
            await say(line)
            await quiet()

        self.started = True
        self._screen.note(f"{QUIT} or Ctrl-D ends the chat")
        await self._unless_over(quiet())
        await self._chat(ask)

    async def _chat(self, ask: Callable[[str], Awaitable[None]]) -> None:
        while not self._over.is_set():
            line = await self._unless_over(self._lines.read())
            if line is None or line.strip() == QUIT:
                self._over.set()
            elif line.strip():
                await self._unless_over(ask(line.strip()))

    def hang_up(self) -> None:
        """End the chat now."""
        self._over.set()

    async def _ask(self, session: AgentSession[Any], line: str) -> None:
        self._screen.you(line)
        self._told_now = False
        try:
            await session.run(user_input=line)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # whatever a language model raises: the next line may fare better
            self.unanswered += 1
            if not self._told_now:
                self._screen.happened(Failed(f"no answer: {describe_error(error)}", 0.0))

    async def _unless_over(self, work: Any) -> Any:
        task, over = asyncio.ensure_future(work), asyncio.create_task(self._over.wait())
        await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if task.done() and not self._over.is_set():
            return task.result()
        task.cancel()
        _cancel_tools()
        return None

    def _happened(self, happening: Happening) -> None:
        if self._over.is_set():
            return
        self._told_now = self._told_now or isinstance(happening, Failed)
        if isinstance(happening, Ended):
            self._end(happening)
        else:
            self._screen.happened(happening)

    def _member_happened(self, happening: Happening) -> None:
        if not isinstance(happening, Ended):  # the others go on
            self._happened(happening)

    def _end(self, ended: Ended) -> None:
        self.problem = ended.error and f"the session ended: {ended.error}"
        if not ended.error:
            self._screen.note("the agent has ended the call")
        self._over.set()


def _cancel_tools() -> None:
    # Closing a session waits a minute for a tool that does not return. The names are livekit-agents'.
    for task in asyncio.all_tasks():
        if task.get_name().startswith(TOOL_TASK):
            task.cancel()
