"""`Registrations`: a worker's registrations with the LiveKit server, one for each agent name, which count as one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar

from livekit.agents import AgentServer

from openrtc.worker.upstream.jobs import gave_up, is_connecting

_TOLD_ONCE = ("starting worker", "plugin registered", "preloading plugins", "HTTP server listening")
_told_already: ContextVar[bool] = ContextVar("openrtc_told_already", default=False)
"""Whether the first registration of this worker has told how it starts."""


def _is_news(record: logging.LogRecord) -> bool:
    return not (_told_already.get() and record.getMessage().startswith(_TOLD_ONCE))


class Registrations:
    """The registrations of one worker; the first one has what all share.

    Args:
        servers: An `AgentServer` for each agent name; the empty name stands for automatic dispatch.
        told: Called with the agent name and the worker's id, whenever the LiveKit server has registered one.
    """

    def __init__(self, servers: Mapping[str, AgentServer], told: Callable[[str, str], None]) -> None:
        self._servers = dict(servers)
        self._told = told
        self._ids: dict[str, str] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ending = False
        self._when_complete: list[Callable[[], None]] = []
        upstream = logging.getLogger("livekit.agents")
        if _is_news not in upstream.filters:
            upstream.addFilter(_is_news)
        for name, server in self._servers.items():
            server.on("worker_registered", lambda worker_id, _, name=name: self._registered(name, worker_id))

    @property
    def names(self) -> tuple[str, ...]:
        """The agent names."""
        return tuple(self._servers)

    @property
    def first(self) -> AgentServer:
        """The first one."""
        return next(iter(self._servers.values()))

    @property
    def complete(self) -> bool:
        """Whether the LiveKit server has registered all of them at least once."""
        return len(self._ids) == len(self._servers)

    @property
    def connecting(self) -> bool:
        """Whether the connection of any to the LiveKit server is being made, at first or again."""
        return any(is_connecting(server) for server in self._servers.values())

    @property
    def draining(self) -> bool:
        """Whether they take no more jobs."""
        return any(server.draining for server in self._servers.values())

    @property
    def gave_up(self) -> bool:
        """Whether any has tried often enough to reach the LiveKit server."""
        return any(gave_up(server) for server in self._servers.values())

    def when_complete(self, tell: Callable[[], None]) -> None:
        """Let ``tell`` be called whenever one has been registered and so all are."""
        self._when_complete.append(tell)

    async def run(self) -> None:
        """Run all of them until they are closed, or one fails.

        Raises:
            Exception: What ended one of them.
        """
        started = await self._first_has_started()
        for name in self.names[1:]:
            if started and not self._ending:
                self._start(name)
        done, _ = await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

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
        await asyncio.sleep(0)
        running = [self._servers[name] for name in self._running]
        await asyncio.gather(*(server.aclose() for server in running if server is not self.first))
        await self.first.aclose()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _first_has_started(self) -> bool:
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
        _told_already.set(server is not self.first)
        await server.run()

    def _registered(self, name: str, worker_id: str) -> None:
        self._ids[name] = worker_id
        self._told(name, worker_id)
        if self.complete:
            for tell in self._when_complete:
                tell()
