"""`CallEnding`: ends a call politely: what is being said is broken off for a sentence, then everybody hangs up.

So ends a call at a limit of its agent, and one that a plugin ends by `Call.end`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from livekit.agents import AgentSession, JobContext

from openrtc.dispatch.connection import LiveKitConnection, open_api
from openrtc.errors import one_line, summarize_error
from openrtc.model.call_limits import CallLimits
from openrtc.runtime.live_call import LiveCall
from openrtc.session.call_limits import LimitClock
from openrtc.session.goodbye import say_goodbye
from openrtc.session.hang_up import close_promptly, find_hang_up
from openrtc.session.participant import is_agent_of
from openrtc.session.room_deletion import delete_abandoned_room
from openrtc.settings.config import WorkerSettings

logger = logging.getLogger("openrtc.worker")

GOODBYE_SECONDS = 7.0
"""How long the sentence may take, from the limit: a voice that does not come must not hold up the end."""

CODE_SECONDS = 2.0
"""How long after it what the agent's code still does may go on; then it is cancelled."""

DELETE_SECONDS = 10.0
"""How long it may take until the room is deleted: a server that does not answer must not hold up the end of the job."""

_endings: weakref.WeakValueDictionary[str, CallEnding] = weakref.WeakValueDictionary()
"""By the job's id; the job's context holds them."""


class CallEnding:
    """Ends one call politely, once.

    Args:
        context: LiveKit's context of the job.
        live: The call.
        worker: Where the LiveKit server is.
        goodbye: The sentence, where whoever ends the call gives none.
        limits: The limits of its agents.

    The attribute ``clock`` counts its time.
    """

    def __init__(
        self,
        context: JobContext,
        live: LiveCall,
        worker: WorkerSettings,
        goodbye: str,
        limits: Iterable[CallLimits] = (),
    ) -> None:
        self._context = context
        self._live = live
        self._worker = worker
        self._goodbye = goodbye
        self._sessions: list[AgentSession[Any]] = []
        self._say: Callable[[str], Awaitable[None]] = self._say_in_sessions
        self._end: Callable[[str], None] = context.shutdown
        self._loop = asyncio.get_running_loop()
        self._of_call = contextvars.copy_context()
        self._holding: asyncio.Task[Any] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._broken_off = self._over = False
        self.clock = LimitClock(context, live, limits, self.end)

    def note_session(self, session: AgentSession[Any]) -> None:
        """Let a session of the call be listened to, and say the sentence.

        Args:
            session: The session, before it starts.
        """
        self.clock.hear(session)
        self._sessions.append(session)
        session.on("close", lambda _: self._forget(session))

    def _forget(self, session: AgentSession[Any]) -> None:
        self._sessions = [one for one in self._sessions if one is not session]

    def leave_to(self, say: Callable[[str], Awaitable[None]], end: Callable[[str], None], goodbye: str) -> None:
        """Let somebody else carry it out.

        Args:
            say: Says a sentence in place of everything else, and returns when it is said.
            end: Ends the call, given why.
            goodbye: Its usual sentence; empty for the one that is known already.
        """
        self._say, self._end, self._goodbye = say, end, goodbye or self._goodbye

    def end(self, reason: str, goodbye: str | None = None) -> None:
        """Begin to end the call; may be called in any thread, and again.

        Args:
            reason: Why, as the log and the event ``call_ended`` say it.
            goodbye: The sentence; None for the one of the agent or the settings, empty for none.
        """
        reason = one_line(reason, 200) or "it was ended"
        self._loop.call_soon_threadsafe(self._begin, reason, goodbye, context=self._of_call.copy())

    @contextlib.contextmanager
    def break_off(self) -> Iterator[None]:
        """Let the body, which holds the call, be cancelled when the call is ended: as if it had returned."""
        self._holding = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if not self._broken_off or self._holding is None:
                raise
            self._broken_off = False
            self._holding.uncancel()
        finally:
            self._holding = None

    async def aclose(self) -> None:
        """End nothing any more; where the call was ended so, its room is deleted, so that a telephone hangs up."""
        self._over = True
        if self._ending is not None and not self._context.is_fake_job():
            await self._hang_up()

    def _begin(self, reason: str, goodbye: str | None) -> None:
        if self._ending is None and not self._over:
            words = self._goodbye if goodbye is None else goodbye
            self._ending = asyncio.create_task(self._run(reason, words), name="end-politely")

    async def _run(self, reason: str, words: str) -> None:
        logger.warning("agent %r: %s; this call is ended", self._live.agent, reason, extra=self._live.fields)
        hang_up = find_hang_up(self._context)
        try:
            if words and (hang_up is None or hang_up.has_people):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await self._say(words)
        except Exception as error:  # whatever a session or a model raises, the call ends
            logger.debug("agent %r: no goodbye: %s", self._live.agent, summarize_error(error), exc_info=error)
        for session in self._sessions:
            close_promptly(session)
        if hang_up is not None:
            hang_up.cut(CODE_SECONDS)
        self._end(reason)
        self._loop.call_later(CODE_SECONDS, self._break_off)

    async def _say_in_sessions(self, words: str) -> None:
        await asyncio.gather(*(say_goodbye(session, words) for session in self._sessions), return_exceptions=True)

    def _break_off(self) -> None:
        if self._holding is not None:
            self._broken_off = True
            self._holding.cancel()

    async def _hang_up(self) -> None:
        job = self._context.job
        connection = LiveKitConnection.of(self._worker)
        try:
            async with asyncio.timeout(DELETE_SECONDS), open_api(connection) as server:
                await delete_abandoned_room(server, job.room.name, lambda identity: is_agent_of(identity, job))
        except Exception as error:  # whatever it is: mostly a room that is gone
            reason = one_line(summarize_error(error))
            logger.info("room %r: it cannot be deleted: %s", job.room.name, reason, extra=self._live.fields)


def watch_ending(
    context: JobContext, live: LiveCall, worker: WorkerSettings, goodbye: str, limits: Iterable[CallLimits]
) -> CallEnding:
    """Return what ends a call politely; the arguments are those of `CallEnding`."""
    ending = _endings[context.job.id] = CallEnding(context, live, worker, goodbye, limits)
    context.add_shutdown_callback(ending.aclose)
    return ending


def find_ending(job_id: str) -> CallEnding | None:
    """Return what ends the call of a job politely; None where there is no such call any more."""
    return _endings.get(job_id)


def end_call(job_id: str, reason: str, goodbye: str | None) -> None:
    """Begin to end a call politely, if it is still there; may be called in any thread.

    Args:
        job_id: The job's id.
        reason: Why.
        goodbye: The sentence; None for the usual one.
    """
    if ending := find_ending(job_id):
        ending.end(reason, goodbye)
