"""`Registrations`: a worker's registrations with the LiveKit server, one for each agent name, which count as one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from livekit.agents import AgentServer

from openrtc.errors import summarize_error
from openrtc.upstream.jobs import has_given_up, is_connecting, send_status

logger = logging.getLogger("openrtc.worker")

_STARTUP_LINES = ("starting worker", "plugin registered", "preloading plugins", "HTTP server listening")
"""What each `AgentServer` logs when it starts: with a hundred agent names, a hundred times the same."""
_startup_is_logged: ContextVar[bool] = ContextVar("openrtc_startup_is_logged", default=False)
"""Whether the first registration of this worker has logged these lines; the tasks of the others inherit it."""
_REFUSALS = (401, 403)
"""HTTP status by which the LiveKit server says that it does not know the key, or that the secret is another."""
_on_refusal: ContextVar[Callable[[], bool] | None] = ContextVar("openrtc_on_refusal", default=None)
"""Called where the LiveKit server refuses the key of this task's registration; says whether that is final."""


class Registrations:
    """The registrations of one worker; the first one has what all share.

    Args:
        servers: An `AgentServer` for each agent name; the empty name stands for automatic dispatch.
        on_registered: Called with the agent name and the worker's id, whenever the LiveKit server has registered one.
    """

    def __init__(self, servers: Mapping[str, AgentServer], on_registered: Callable[[str, str], None]) -> None:
        self._servers = dict(servers)
        self._on_registered = on_registered
        self._ids: dict[str, str] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ending = False
        self._late: set[str] = set()
        self._refused = asyncio.Event()
        self._on_complete: list[Callable[[], object]] = []
        logging.getLogger("livekit.agents").addFilter(_is_news)  # logging adds the same one once
        logging.getLogger("livekit.agents").addFilter(_is_no_refusal)
        for name, server in self._servers.items():
            self._follow(name, server)

    @property
    def names(self) -> tuple[str, ...]:
        """The agent names."""
        return tuple(self._servers)

    @property
    def servers(self) -> Mapping[str, AgentServer]:
        """An `AgentServer` for each agent name."""
        return self._servers

    @property
    def first(self) -> AgentServer:
        """The first one."""
        return next(iter(self._servers.values()))

    @property
    def complete(self) -> bool:
        """Whether the LiveKit server has registered all of them at least once."""
        return all(name in self._ids or name in self._late for name in self._servers)

    @property
    def connecting(self) -> bool:
        """Whether the connection of any to the LiveKit server is being made, at first or again."""
        known = (server for name, server in self._servers.items() if name in self._ids or name not in self._late)
        return any(is_connecting(server) for server in known)

    @property
    def connected(self) -> bool:
        """Whether any has a connection to the LiveKit server."""
        return not all(is_connecting(server) for server in self._servers.values())

    @property
    def draining(self) -> bool:
        """Whether they take no more jobs."""
        return any(server.draining for server in self._servers.values())

    @property
    def gave_up(self) -> bool:
        """Whether any has tried often enough to reach the LiveKit server."""
        return any(has_given_up(server) for server in self._servers.values())

    @property
    def refused(self) -> bool:
        """Whether the LiveKit server does not know the key, or not with this secret, and has registered none."""
        return self._refused.is_set()

    def on_complete(self, call: Callable[[], object]) -> None:
        """Let ``call`` be called whenever one has been registered and so all are."""
        self._on_complete.append(call)

    async def run(self) -> None:
        """Run all of them until they are closed, one fails, or the LiveKit server refuses the key at the start.

        Raises:
            Exception: What ended one of them.
        """
        # The first one makes the pool and the health server that the others use.
        started = await self._run_first()
        for name in self.names[1:]:
            if started and not self._ending:
                self._start(name)
        refused = asyncio.create_task(self._refused.wait(), name="registration refused")
        try:
            waiting: set[asyncio.Task[Any]] = set(self._running.values())
            while waiting and not refused.done():
                done, _ = await asyncio.wait({*waiting, refused}, return_when=asyncio.FIRST_COMPLETED)
                for task in done & waiting:
                    task.result()
                waiting -= done
        finally:
            refused.cancel()

    def add(self, name: str, server: AgentServer) -> None:
        """Register under a further name, for agents that have come to a worker that runs.

        The others go on, whatever becomes of it.

        Args:
            name: The agent name.
            server: Its `AgentServer`.
        """
        if self._ending or name in self._servers:
            return
        self._servers[name] = server
        self._late.add(name)
        self._follow(name, server)
        self._start(name).add_done_callback(lambda task: self._note_ended(name, task))

    def _note_ended(self, name: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) and not self._ending:
            logger.error("this worker is not registered as %r any more: %s", name, summarize_error(error))
            for known in (self._servers, self._running, self._ids):
                known.pop(name, None)

    def _follow(self, name: str, server: AgentServer) -> None:
        server.on("worker_registered", lambda worker_id, _: self._note_registered(name, worker_id))

    async def send_status(self) -> None:
        """Tell the LiveKit server now how full the worker is."""
        for name in list(self._ids):
            await send_status(self._servers[name])

    async def drain(self) -> None:
        """Take no more jobs and wait for those that run.

        Raises:
            TimeoutError: The drain timeout is over.
        """
        self._ending = True
        await asyncio.sleep(0)  # a server that has just been started must have its pool
        await asyncio.gather(*(self._servers[name].drain() for name in self._running))

    async def aclose(self) -> None:
        """Close all, the first one with the jobs last: the others may be about to start one."""
        self._ending = True
        await asyncio.sleep(0)  # as in `drain`
        running = [self._servers[name] for name in self._running]
        await asyncio.gather(*(server.aclose() for server in running if server is not self.first))
        await self.first.aclose()
        # Whoever ran them has their errors; here only their end counts.
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _run_first(self) -> bool:
        """Start the first one; whether it got so far that the others can start."""
        started = asyncio.Event()
        self.first.once("worker_started", started.set)
        running = self._start(self.names[0])
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return started.is_set()

    def _start(self, name: str) -> asyncio.Task[None]:
        running = self._run_one(self._servers[name])
        self._running[name] = asyncio.create_task(running, name=f"registration {name}".strip())
        return self._running[name]

    async def _run_one(self, server: AgentServer) -> None:
        _startup_is_logged.set(server is not self.first)
        _on_refusal.set(self._note_refused)
        await server.run()

    def _note_refused(self) -> bool:
        """Note that the LiveKit server has refused the key; whether that is final, since it has registered none."""
        if self._ids:  # it was right before: livekit-agents goes on trying
            return False
        self._refused.set()
        return True

    def _note_registered(self, name: str, worker_id: str) -> None:
        self._ids[name] = worker_id
        self._on_registered(name, worker_id)
        if self.complete:
            for call in self._on_complete:
                call()


def _is_no_refusal(record: logging.LogRecord) -> bool:
    """Whether a line of livekit-agents tells of something else than of a key that is wrong from the start."""
    if getattr(getattr(record, "error", None), "status", None) not in _REFUSALS:
        return True
    note = _on_refusal.get()
    return note is None or not note()


def _is_news(record: logging.LogRecord) -> bool:
    return not (_startup_is_logged.get() and record.getMessage().startswith(_STARTUP_LINES))
