"""livekit-agents' side of the program ``lk``: how it runs the server of a file, the dev channel, the console's wire.

``lk agent start|dev|console FILE`` starts ``python -m livekit.agents`` in the file's project. That imports the file and
hands its `AgentServer` to `_run_worker` or `_run_tcp_console`. ``lk`` itself listens on a port of loopback: in ``dev``
for who carries calls over a reload (`WatchClient`), in ``console`` for the one session that it talks to.

Whoever uses this asks `describe_changes` for ``lk`` first.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from livekit.agents import AgentServer
from livekit.agents.cli import AgentsConsole, cli
from livekit.agents.cli.proto import CliArgs
from livekit.agents.cli.tcp_console import TcpAudioInput, TcpAudioOutput
from livekit.agents.cli.watcher import WatchClient
from livekit.agents.job import RunningJobInfo
from livekit.agents.voice.remote_session import TcpSessionTransport


def run_instead(
    server: AgentServer, run_worker: Callable[[CliArgs], None], run_console: Callable[[str, bool], None]
) -> None:
    """Let the command line of livekit-agents run one server by other functions; all others it runs itself.

    Args:
        server: The server.
        run_worker: Takes the parsed options.
        run_console: Takes the address of ``lk`` and whether to record.
    """
    own, of_worker, of_console = server, cli._run_worker, cli._run_tcp_console

    def choose_worker(server: AgentServer, args: CliArgs) -> None:
        if server is own:
            run_worker(args)
        else:
            of_worker(server=server, args=args)

    def choose_console(*, server: AgentServer, connect_addr: str, record: bool = False) -> None:
        if server is own:
            run_console(connect_addr, record)
        else:
            of_console(server=server, connect_addr=connect_addr, record=record)

    cli._run_worker, cli._run_tcp_console = choose_worker, choose_console


class _Reloaded:
    """What `WatchClient` uses of a server, for all registrations of a worker.

    Args:
        servers: The servers by their agent names, the first one first.
    """

    def __init__(self, servers: Mapping[str, AgentServer]) -> None:
        self._servers = servers
        self._first = next(iter(servers.values()))
        self._agent_name, self._ws_url = self._first._agent_name, self._first._ws_url

    @property
    def active_jobs(self) -> list[RunningJobInfo]:
        return [job for server in self._servers.values() for job in server.active_jobs]

    async def _reload_jobs(self, jobs: Sequence[RunningJobInfo]) -> None:
        for one in jobs:
            await self._servers.get(one.job.agent_name, self._first)._reload_jobs([one])


@contextlib.asynccontextmanager
async def open_reload_channel(servers: Mapping[str, AgentServer], address: tuple[str, int]) -> AsyncIterator[None]:
    """Tell ``lk`` who is here, take over the calls that it has kept, and hand over one's own when it asks.

    Args:
        servers: The servers of a worker by their agent names; they are registered.
        address: Host and port where ``lk`` listens.
    """
    reloaded: Any = _Reloaded(servers)
    client = WatchClient(reloaded, "{}:{}".format(*address), asyncio.get_running_loop())
    client.start()
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # livekit-agents has logged why there was no connection
            await client.aclose()


@contextlib.asynccontextmanager
async def open_tcp_console(
    address: tuple[str, int], *, record: bool, on_end: Callable[[], None]
) -> AsyncIterator[None]:
    """Let the first session of this process that starts talk to ``lk``, in sound or text.

    Args:
        address: Host and port where ``lk`` listens.
        record: Whether livekit-agents records the session below the working directory.
        on_end: Called when ``lk`` has closed the connection.
    """
    connection, console, heard = _Connection(address, on_end), AgentsConsole.get_instance(), TcpAudioInput()
    console.enabled, console.record = True, record
    console._tcp_transport, console._tcp_audio_input = connection, heard
    console._tcp_audio_output = TcpAudioOutput(connection)
    try:
        yield
    finally:
        heard.close()
        await connection.close()


class _Connection(TcpSessionTransport):
    """A session's connection to ``lk`` that tells its end.

    Args:
        address: Host and port where ``lk`` listens.
        on_end: Called when it has ended.
    """

    def __init__(self, address: tuple[str, int], on_end: Callable[[], None]) -> None:
        super().__init__(*address)
        self._openrtc_on_end = on_end

    async def __anext__(self) -> Any:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            self._openrtc_on_end()
            raise
