"""Ends what an agent's code still does when everybody has left its call, or when the call is over.

livekit-agents waits for ``on_enter``, ``on_exit`` and tools before it closes a session, however long they take. In a
process of its own that is nobody else's matter; here it keeps a slot, and a silent agent in the room.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from livekit import rtc
from livekit.agents import AgentSession, JobContext, get_job_context

from openrtc.runtime.live_call import LiveCall
from openrtc.session.participant import is_person

logger = logging.getLogger("openrtc.worker")

GRACE_SECONDS = 10.0
"""How long ``on_enter`` or ``on_exit`` may go on when nobody but agents is in the room, and nobody is waited for: time
to save something."""

LATE_SECONDS = 3.0
"""How long a session may take to close when no tool runs any more: it waits 2 s for what its caller said last."""

LEAST_CLOSE_SECONDS = 1.0
"""How long a session may take to close at least, however late that begins."""

NESTED_SECONDS = 2.0
"""How long after what runs in an `AgentTask` what awaits that task is ended: cancelled at once, livekit-agents would
neither end the task nor go back to the agent before it."""

PATIENCE_SECONDS = 58.0
"""How long livekit-agents is let wait for a session: after 60 s it logs an error, also where a tool may take longer."""

_watches: weakref.WeakKeyDictionary[JobContext, HangUp] = weakref.WeakKeyDictionary()


class CallIsOver(RuntimeError):
    """Everybody has left, and the agent's code did not end by itself."""


class CallWasEnded(CallIsOver):
    """The call was ended meanwhile: nothing has failed."""


def watch_hang_up(context: JobContext, tool_seconds: float) -> None:
    """Notice when everybody leaves the room of a job; a job without a room has nobody who could leave.

    Args:
        context: LiveKit's context of the job.
        tool_seconds: How long a tool may go on then.
    """
    if not context.is_fake_job():
        _watches[context] = HangUp(context.room, tool_seconds)


def find_hang_up(context: JobContext | None) -> HangUp | None:
    """Return the watch over the room of a job, if there is one."""
    return None if context is None else _watches.get(context)


class HangUp:
    """Knows when the last person has left a room, or the agent itself.

    Args:
        room: The room.
        tool_seconds: How long a tool may go on then.
    """

    def __init__(self, room: rtc.Room, tool_seconds: float) -> None:
        self.tool_seconds = tool_seconds
        self.wait_seconds = 0.0
        """How long the call waits for its caller to come back: what waits for words of a caller may wait as long."""
        self.seen_people = False
        """Whether a person has come or left since the job began to watch."""
        self._room = room
        self._left_at: float | None = None
        self._waited_until: float | None = None
        self._close_by = 0.0
        self._cut_seconds: float | None = None
        self._given_up = False
        self._agents = 0
        self._limits: set[_Limit] = set()
        room.on("participant_connected", self._on_arrival)
        room.on("participant_disconnected", self._on_departure)
        room.on("disconnected", self._on_disconnected)

    def cut(self, seconds: float) -> None:
        """Let what the agent's code still does go on for some seconds, whoever is there: the call is ended.

        Args:
            seconds: How many; what begins later has as many.
        """
        self.tool_seconds = self._cut_seconds = seconds
        for limit in self._limits:
            limit.cut(seconds)

    def note_agent(self) -> None:
        """Note that a session changes to another agent: what runs from now on may run within what runs already."""
        self._agents += 1

    def begin_to_close(self) -> None:
        """Give a session as much time to close as its tools have, and a little more."""
        now = asyncio.get_running_loop().time()
        began = now if self._left_at is None else self._left_at
        least = now if self._given_up else now + LEAST_CLOSE_SECONDS
        self._close_by = max(self._close_by, began + self.tool_seconds + LATE_SECONDS, least)

    async def wait_for_close(self, closing: asyncio.Task[None], live: LiveCall) -> None:
        """Wait for what closes a session, and cancel it when its time is over.

        Args:
            closing: What closes it.
            live: The call.
        """
        loop = asyncio.get_running_loop()
        patience = loop.time() + PATIENCE_SECONDS
        try:
            while not closing.done() and (now := loop.time()) < patience:
                if self.has_work():  # such as an ``on_exit`` that has begun late
                    self._close_by = max(self._close_by, now + LATE_SECONDS)
                seconds = self._close_by - now
                if seconds <= 0:
                    closing.cancel()
                    self._report_given_up(live)
                    return
                await asyncio.wait({closing}, timeout=min(seconds, patience - now))
        except asyncio.CancelledError:
            closing.cancel()
            raise
        if closing.done():
            closing.result()
        # Else it goes on, and is waited for once more at the end of the job.

    def has_work(self, since: int = 0) -> bool:
        """Whether something of the agents' code runs that may still go on.

        Args:
            since: The number of agents that the call had had before it began, at the least.
        """
        return any(limit.agents >= since and not limit.over for limit in self._limits)

    @property
    def runs_tool(self) -> bool:
        """Whether a tool runs that may still go on."""
        return any(limit.is_tool and not limit.over for limit in self._limits)

    def stop_waiting(self) -> None:
        """Wait for nobody to come back: the call is ended."""
        if self._waited_until is None:
            self._waited_until = asyncio.get_running_loop().time()
            if self._left_at is not None:
                self._arm(self._left_at)

    def _report_given_up(self, live: LiveCall) -> None:
        if not self._given_up:
            self._given_up = True
            after = "everybody had left" if self._cut_seconds is None else "its call was ended"
            text = "agent %r: its session was not closed in time after %s: the call ends without that"
            logger.warning(text, live.agent, after, extra=live.fields)

    def call_when_overdue(self, callback: Callable[[], None]) -> None:
        """Call something when everybody has left so long ago that the call should have ended."""
        self._add(_Limit(self, self.tool_seconds + LATE_SECONDS, callback, agents=-1))

    @contextlib.contextmanager
    def limit(self, what: str, seconds: float, *, since: float = 0.0, is_tool: bool = False) -> Iterator[None]:
        """Cancel the body some seconds after everybody has left.

        Args:
            what: What the body does, such as ``on_enter``.
            seconds: How many.
            since: When they begin at the earliest, by the loop's clock.
            is_tool: Whether it is a tool, whose time begins when everybody leaves; that of others begins when nobody
                is waited for any more.

        Raises:
            CallIsOver: The body was cancelled for that.
        """
        task = asyncio.current_task()
        assert task is not None, "an agent's code runs in tasks"
        limit = _Limit(self, seconds, task.cancel, since=since, is_tool=is_tool, agents=self._agents)
        self._add(limit)
        try:
            yield
        except asyncio.CancelledError as cancelled:
            if not limit.over:
                raise
            # This cancellation ends here: while it counts, asyncio.timeout() around the body takes its own timeout for
            # a cancellation by somebody else, and raises no TimeoutError.
            task.uncancel()
            if self._cut_seconds is not None:
                raise CallWasEnded(f"{what} still waited when its call was ended") from cancelled
            raise CallIsOver(f"{what} still waited {seconds:g} s after everybody had left") from cancelled
        finally:
            self._limits.discard(limit)
            limit.disarm()

    def close(self) -> None:
        """Limit nothing any more: a timer would keep the call in memory for as long as a tool might have taken."""
        for limit in self._limits:
            limit.disarm()
        self._limits.clear()

    @property
    def has_people(self) -> bool:
        """Whether somebody is there to talk to, as far as the agent can see."""
        return self._room.isconnected() and any(map(is_person, self._room.remote_participants.values()))

    def _add(self, limit: _Limit) -> None:
        self._limits.add(limit)
        if self._cut_seconds is not None:
            limit.cut(self._cut_seconds)
        elif self._left_at is not None:
            limit.arm(self._left_at, self._wait_end)

    def _on_arrival(self, participant: rtc.RemoteParticipant) -> None:
        if is_person(participant):
            self.seen_people = True
            self._left_at = None
            if self._cut_seconds is None:
                for limit in self._limits:
                    limit.disarm()

    def _on_departure(self, participant: rtc.RemoteParticipant) -> None:
        if is_person(participant):
            self.seen_people = True
            if not self.has_people:
                self._begin()

    def _on_disconnected(self, _: object) -> None:
        # Once disconnected, the agent sees nobody leave any more, nor come back.
        self._begin()
        self.stop_waiting()

    def _begin(self) -> None:
        if self._left_at is None:
            self._left_at = asyncio.get_running_loop().time()
            self._arm(self._left_at)

    @property
    def _wait_end(self) -> float:
        wait_end = (self._left_at or 0.0) + self.wait_seconds
        return wait_end if self._waited_until is None else min(wait_end, self._waited_until)

    def _arm(self, left_at: float) -> None:
        if self._cut_seconds is not None:
            return
        for limit in self._limits:
            limit.arm(left_at, self._wait_end)


class _Limit:
    """Calls something some seconds after everybody has left, unless somebody comes back before."""

    def __init__(
        self,
        hang_up: HangUp,
        seconds: float,
        on_over: Callable[[], object],
        *,
        agents: int,
        since: float = 0.0,
        is_tool: bool = False,
    ) -> None:
        self.agents = agents
        self.is_tool = is_tool
        self._hang_up = hang_up
        self._seconds = seconds
        self._since = since
        self._on_over = on_over
        self._timer: asyncio.TimerHandle | None = None
        self._is_cut = False
        self.over = False

    def arm(self, left_at: float, wait_end: float) -> None:
        """Let the time run.

        Args:
            left_at: When everybody has left.
            wait_end: When nobody is waited for any more.
        """
        self.disarm()
        begins = left_at if self.is_tool else max(left_at, wait_end)
        at = max(begins, self._since) + self._seconds
        self._timer = asyncio.get_running_loop().call_at(at, self._give_up)

    def cut(self, seconds: float) -> None:
        """Let the time be over soon, whoever is there; that of the call itself is somebody else's matter."""
        if self.agents >= 0:
            self.disarm()
            self._is_cut = True
            self._timer = asyncio.get_running_loop().call_later(seconds, self._give_up)

    def disarm(self) -> None:
        """Stop the time."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._hang_up.has_people and not self._is_cut:
            return
        if self._hang_up.has_work(self.agents + 1):
            self._timer = asyncio.get_running_loop().call_later(NESTED_SECONDS, self._give_up)
        else:
            self.over = True
            self._on_over()


@contextlib.contextmanager
def limit_tool() -> Iterator[None]:
    """Cancel the body, a tool in a task of a call, when everybody has left and the time of tools is over.

    Raises:
        CallIsOver: The body was cancelled for that.
    """
    hang_up = find_hang_up(get_job_context(required=False))
    with contextlib.nullcontext() if hang_up is None else hang_up.limit("a tool", hang_up.tool_seconds, is_tool=True):
        yield


@contextlib.contextmanager
def limit_method(name: str) -> Iterator[None]:
    """Cancel the body, an agent's ``on_enter`` or ``on_exit``, `GRACE_SECONDS` after everybody has left.

    Raises:
        CallIsOver: The body was cancelled for that.
    """
    hang_up, now = find_hang_up(get_job_context(required=False)), asyncio.get_running_loop().time()
    with contextlib.nullcontext() if hang_up is None else hang_up.limit(name, GRACE_SECONDS, since=now):
        yield


def limit_close(session: AgentSession[Any], context: JobContext, live: LiveCall) -> None:
    """Let ``session.aclose()`` end in time, whatever it waits for: a node, a plugin, a tool that ignores its end.

    What it waited for is cancelled with what else the call has left behind.

    Args:
        session: A session of the call, before it starts.
        context: LiveKit's context of the job.
        live: The call.
    """
    hang_up = find_hang_up(context)
    if hang_up is None:
        return
    close = session.aclose

    async def aclose() -> None:
        hang_up.begin_to_close()
        await hang_up.wait_for_close(asyncio.ensure_future(close()), live)

    session.aclose = aclose  # type: ignore[method-assign]  # on this one: livekit-agents calls what it finds on it


def close_promptly(session: AgentSession[Any]) -> None:
    """Let a session, when it closes, not wait for the transcript of what its caller said last: nobody will answer."""
    session.options.session_close_transcript_timeout = 0.0
