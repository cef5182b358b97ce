"""livekit-agents' job lifecycle, pool and server, as OpenRTC uses them.

`AgentServer.run` builds, starts and uses its process pool within one function, so there is no place for another pool
but the assignment to ``self._proc_pool``: a data descriptor on a subclass swaps it for one server without touching the
others. What a job then runs is in `openrtc.upstream.lifecycle`.

Nothing here fails in a call because livekit-agents has changed: whoever uses it asks `describe_changes` at the start
for the part that it needs (``jobs``, ``health``, ``panics``, ``status``, ``tools``). Other rooms also import
`JobExecutor`, `JobStatus`, `ProcPool` and `RunningJobInfo` from here.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any

from livekit.agents import AgentServer, JobContext, JobExecutorType, get_job_context
from livekit.agents.ipc.job_executor import JobExecutor as JobExecutor
from livekit.agents.ipc.job_executor import JobStatus as JobStatus
from livekit.agents.ipc.proc_pool import ProcPool as ProcPool
from livekit.agents.job import RunningJobInfo as RunningJobInfo
from livekit.agents.llm import FunctionTool, RawFunctionTool

from openrtc.upstream.digest import find_changes
from openrtc.upstream.health import RoutedAgentServer

_POOL_ATTRIBUTES = {
    "initialize_process_fnc": "_initialize_process_fnc",
    "job_entrypoint_fnc": "_job_entrypoint_fnc",
    "session_end_fnc": "_session_end_fnc",
    "simulation_end_fnc": "_simulation_end_fnc",
    "initialize_timeout": "_initialize_timeout",
    "close_timeout": "_close_timeout",
    "session_end_timeout": "_session_end_timeout",
    "inference_executor": "_inf_executor",
    "mp_ctx": "_mp_ctx",
    "memory_warn_mb": "_memory_warn_mb",
    "memory_limit_mb": "_memory_limit_mb",
    "http_proxy": "_http_proxy",
    "loop": "_loop",
}
"""Where livekit-agents' pool keeps each argument of its constructor."""


class PooledAgentServer(RoutedAgentServer):
    """An `AgentServer` whose process pool is replaced by what ``make_pool`` returns.

    Args:
        make_pool: Takes the server and livekit-agents' own pool, returns the pool to use.
        **options: Arguments of `RoutedAgentServer`.
    """

    def __init__(self, make_pool: Callable[[PooledAgentServer, Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self._openrtc_make_pool = make_pool

    @property
    def _proc_pool(self) -> Any:
        return self._openrtc_pool

    @_proc_pool.setter
    def _proc_pool(self, pool: Any) -> None:
        self._openrtc_pool = self._openrtc_make_pool(self, pool)

    @property
    def pool(self) -> Any:
        """The pool in use; there is none before `run`."""
        return self._proc_pool

    @property
    def entrypoint(self) -> Callable[[JobContext], Awaitable[None]]:
        """The registered entrypoint."""
        assert self._entrypoint_fnc is not None
        return self._entrypoint_fnc

    @property
    def session_end_seconds(self) -> float:
        """How long the end of a session may take."""
        return self._session_end_timeout


def build_preload_option(module: str) -> dict[str, Any]:
    """Return the option of `AgentServer` that imports a module before any job process is made; none in 1.8.0.

    There a job process imports it when it needs it.
    """
    known = "preload_modules" in inspect.signature(AgentServer.__init__).parameters
    return {"preload_modules": [module]} if known else {}


def is_connecting(server: AgentServer) -> bool:
    """Whether the connection to the LiveKit server is being made, at first or again; False where that is not known."""
    return find_changes("health") == {} and server._connecting


def has_given_up(server: AgentServer) -> bool:
    """Whether a server has tried `max_retry` times to reach the LiveKit server; False where that is not known."""
    return find_changes("health") == {} and server._connection_failed


async def send_status(server: AgentServer) -> None:
    """Tell the LiveKit server now how full a server is; livekit-agents does so every 2.5 s.

    With another livekit-agents, and while the connection is being made, nothing is done.

    Args:
        server: One that runs.
    """
    if find_changes("status") == {} and not server.draining:  # one that drains has said that it is full
        await server._refresh_worker_load()
        await server._update_worker_status()


def intercept_native_panics(report: Callable[[str], None]) -> None:
    """Let livekit report a panic of its native library, instead of sending this process SIGTERM.

    A worker would take that for an operator's SIGTERM: it would drain for an hour with a library that is dead, and no
    supervisor would replace it.

    Args:
        report: Called with the panic's message, in one of the library's threads.
    """
    from livekit.rtc import _ffi_client  # not at the top: where it is gone, nobody calls this

    # livekit's callback looks up both names in its module at each panic: so this holds for a library that runs already,
    # and with the speedup `native`, which passes panics on to that callback.
    os_without_kill = ModuleType("os")
    vars(os_without_kill).update(vars(os), kill=lambda pid, number: None)
    module: Any = _ffi_client
    module.print = lambda *words, **_: report(" ".join(str(word).strip() for word in words[1:]))
    module.os = os_without_kill


def build_pool_like(pool: ProcPool, kind: str, idle: int) -> ProcPool:
    """Return a pool like livekit-agents' own ``pool``, not started, for another kind of jobs.

    Args:
        pool: The pool that livekit-agents made for its server.
        kind: ``thread`` or ``process``.
        idle: How many threads or processes wait for a job.
    """
    same = {argument: getattr(pool, attribute) for argument, attribute in _POOL_ATTRIBUTES.items()}
    return ProcPool(job_executor_type=JobExecutorType[kind.upper()], num_idle_processes=idle, **same)


def guard_tools(guard: Callable[[Callable[[], Any]], Any]) -> None:
    """From now on, let ``guard`` call each function tool that is called in a job of this process.

    Whoever's tool it is and whenever it came: that of an agent after a hand-off, of a toolset, of the session. With
    another livekit-agents, nothing is done.

    Args:
        guard: Takes what calls the tool's function, and returns what livekit-agents awaits.
    """
    if "__call__" in vars(FunctionTool) or find_changes("tools"):
        return  # the base of both has it, until it is guarded
    for kind in (FunctionTool, RawFunctionTool):
        kind.__call__ = _guard_call(kind.__call__, guard)  # type: ignore[method-assign]  # the patch


def _guard_call(call: Callable[..., Any], guard: Callable[[Callable[[], Any]], Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        called = functools.partial(call, *args, **kwargs)
        return called() if get_job_context(required=False) is None else guard(called)

    return guarded


async def launch_unassigned_job(server: AgentServer, info: RunningJobInfo) -> None:
    """Run a job that no LiveKit server assigned."""
    await server._proc_pool.launch_job(info)


def get_server_url(context: JobContext) -> str:
    """Return the address of the LiveKit server that a job's room is on."""
    return context._info.url
