"""livekit-agents' job lifecycle, pool and server, as OpenRTC uses them.

`AgentServer.run` assigns its process pool to ``self._proc_pool``; a data descriptor on a subclass swaps it for one
server without touching the others. A job then runs livekit-agents' own lifecycle (`_JobProc`: spans, session report,
order of shutdown, HTTP session of the job) in the worker's loop, fed through a channel in memory instead of a socket.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from aiohttp import web
from livekit.agents import Agent, AgentServer, JobContext, JobExecutorType, JobProcess, utils
from livekit.agents.ipc import proto
from livekit.agents.ipc.job_executor import JobExecutor, JobStatus
from livekit.agents.ipc.job_proc_lazy_main import _JobProc
from livekit.agents.ipc.proc_pool import ProcPool
from livekit.agents.job import RunningJobInfo
from livekit.rtc import _ffi_client

__all__ = [
    "JobExecutor",
    "JobLifecycle",
    "JobStatus",
    "PooledAgentServer",
    "ProcPool",
    "RoutedAgentServer",
    "RunningJobInfo",
    "another_pool",
    "cancel_and_wait",
    "is_connecting",
    "launch",
    "on_native_panic",
    "preloading",
    "replace_tool_functions",
    "url_of",
    "why_no_routes",
    "why_unsupported",
]

_LIFECYCLE_PARAMETERS = (
    "self",
    "initialize_process_fnc",
    "job_entrypoint_fnc",
    "session_end_fnc",
    "session_end_timeout",
    "executor_type",
    "user_arguments",
    "simulation_end_fnc",
)

_POOL_OWN = ("job_executor_type", "num_idle_processes")
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

_PANIC_PRINTED = 'print("FFI Panic: ", event.panic.message, file=sys.stderr, flush=True)'
_PANIC_SIGNAL = "os.kill(os.getpid(), signal.SIGTERM)"


@functools.cache
def why_unsupported() -> str | None:
    """Return None when this livekit-agents has what coroutine mode needs, else what is different."""
    found = tuple(inspect.signature(_JobProc.__init__).parameters)
    if found != _LIFECYCLE_PARAMETERS:
        return f"the job lifecycle takes {', '.join(found[1:])}"
    if missing := inspect.signature(ProcPool.__init__).parameters.keys() - {"self", *_POOL_ATTRIBUTES, *_POOL_OWN}:
        return f"the process pool also takes {', '.join(sorted(missing))}"
    if not callable(getattr(_JobProc, "entrypoint", None)):
        return "the job lifecycle has no entrypoint"
    if "self._proc_pool = " not in _source_of(AgentServer.run):
        return "AgentServer.run does not set _proc_pool"
    return None


@functools.cache
def _source_of(function: Any) -> str:
    return inspect.getsource(function)


@functools.cache
def why_no_routes() -> str | None:
    """Return None when this livekit-agents has a health server that takes further routes, else what is different."""
    run = _source_of(AgentServer.run)
    if "self._http_server = http_server.HttpServer(" not in run or not hasattr(utils.http_server.HttpServer, "app"):
        return "AgentServer.run makes its health server in another way"
    taken = [path for path in ("/ready", "/agents", "/metrics") if f'"{path}"' in run]
    return f"AgentServer.run has its own {', '.join(taken)}" if taken else None


def is_connecting(server: AgentServer) -> bool:
    """Whether the connection to the LiveKit server is being made, at first or again."""
    return bool(getattr(server, "_connecting", False))


class RoutedAgentServer(AgentServer):
    """An `AgentServer` whose health server has further routes.

    Args:
        routes: They are added as soon as `run` has made the health server, before it starts.
        **options: Arguments of `AgentServer`.
    """

    def __init__(self, *, routes: Sequence[web.RouteDef] = (), **options: Any) -> None:
        self.__dict__["_routes"] = routes
        super().__init__(**options)

    @property
    def _http_server(self) -> Any:
        return self.__dict__.get("_health")

    @_http_server.setter
    def _http_server(self, health: Any) -> None:
        self.__dict__["_health"] = health
        if health is not None and self.__dict__["_routes"]:
            health.app.add_routes(self.__dict__["_routes"])


class PooledAgentServer(RoutedAgentServer):
    """An `AgentServer` whose process pool is replaced by what ``make_pool`` returns.

    Args:
        make_pool: Takes the server and livekit-agents' own pool, returns the pool to use.
        **options: Arguments of `RoutedAgentServer`.
    """

    def __init__(self, make_pool: Callable[[PooledAgentServer, Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self.__dict__["_make_pool"] = make_pool

    @property
    def _proc_pool(self) -> Any:
        return self.__dict__["_pool"]

    @_proc_pool.setter
    def _proc_pool(self, pool: Any) -> None:
        self.__dict__["_pool"] = self.__dict__["_make_pool"](self, pool)

    @property
    def pool(self) -> Any:
        """The pool in use; there is none before `run`."""
        return self._proc_pool

    @property
    def session_end(self) -> Callable[[JobContext], Awaitable[None]] | None:
        """The callback for the end of a session, if one was registered."""
        return self._session_end_fnc

    @property
    def entrypoint(self) -> Callable[[JobContext], Awaitable[None]]:
        """The registered entrypoint."""
        assert self._entrypoint_fnc is not None
        return self._entrypoint_fnc

    @property
    def inference_executor(self) -> Any:
        """The process that runs registered inference runners, None where there are none."""
        return self._inference_executor

    @property
    def session_end_seconds(self) -> float:
        """How long the end of a session may take."""
        return self._session_end_timeout


def preloading(module: str) -> dict[str, Any]:
    """Return the option of `AgentServer` that imports ``module`` before any job process is made.

    livekit-agents 1.8.0 has no such option: there a job process imports it when it needs it.
    """
    known = "preload_modules" in inspect.signature(AgentServer.__init__).parameters
    return {"preload_modules": [module]} if known else {}


def gave_up(server: AgentServer) -> bool:
    """Whether a server has tried often enough to reach the LiveKit server."""
    return server._connection_failed


@functools.cache
def why_panics_are_signals() -> str | None:
    """Return None when this livekit tells a panic of its native library as OpenRTC knows it, else what is different."""
    source = inspect.getsource(_ffi_client)
    for line in (_PANIC_PRINTED, _PANIC_SIGNAL):
        if line not in source:
            return f"livekit.rtc has no line {line!r}"
    return None


def on_native_panic(tell: Callable[[str], None]) -> None:
    """Let livekit tell a panic of its native library, instead of sending this process SIGTERM as an operator would.

    Args:
        tell: Called with the panic's message, in one of the library's threads. When livekit has changed, never.
    """
    if why_panics_are_signals() is not None:
        return
    module: Any = _ffi_client
    module.print = lambda *words, **_: tell(" ".join(str(word).strip() for word in words[1:]))
    module.os = _os_without_kill()


def _os_without_kill() -> ModuleType:
    """Return the module ``os`` as livekit's callback sees it: without the signal, since the panic has been told."""
    module = ModuleType("os")
    vars(module).update(vars(os), kill=lambda pid, number: None)
    return module


def another_pool(pool: ProcPool, kind: str, idle: int) -> ProcPool:
    """Return a pool like livekit-agents' own ``pool``, not started, for another kind of jobs.

    Args:
        pool: The pool that livekit-agents made for its server.
        kind: ``thread`` or ``process``.
        idle: How many threads or processes wait for a job.
    """
    same = {argument: getattr(pool, attribute) for argument, attribute in _POOL_ATTRIBUTES.items()}
    return ProcPool(job_executor_type=JobExecutorType[kind.upper()], num_idle_processes=idle, **same)


def replace_tool_functions(agent: Agent, replacement: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put ``replacement(function)`` in the place of the function behind each function tool of an agent.

    A tool that several agents share is replaced once.
    """
    for tool in agent.tools:
        function = getattr(tool, "_func", None)
        if function is not None and not hasattr(function, "_openrtc_replaced"):
            replaced = functools.wraps(function)(replacement(function))
            replaced._openrtc_replaced = True  # type: ignore[attr-defined]
            tool._func = replaced  # type: ignore[union-attr]


async def launch(server: AgentServer, info: RunningJobInfo) -> None:
    """Run a job that no LiveKit server assigned."""
    await server._proc_pool.launch_job(info)


class JobLifecycle(_JobProc):
    """livekit-agents' lifecycle of one job, run as a coroutine.

    Args:
        entrypoint: Runs the job.
        session_end: Called when the session has ended, if given.
        session_end_seconds: How long that may take.
        inference: The server's inference executor, if any.
        userdata: Initial contents of ``JobProcess.userdata``.

    ``shutting_down`` is set when the job has begun to end.
    """

    def __init__(
        self,
        entrypoint: Callable[[JobContext], Awaitable[None]],
        *,
        session_end: Callable[[JobContext], Awaitable[None]] | None,
        session_end_seconds: float,
        inference: Any,
        userdata: Mapping[str, Any],
    ) -> None:
        super().__init__(
            lambda process: None,
            entrypoint,
            session_end,
            session_end_timeout=session_end_seconds,
            executor_type=JobExecutorType.THREAD,
        )
        # What upstream's initialize() would set, with a process of its own on the other side.
        self._client: Any = _NobodyListening()
        self._inf_client: Any = _SharedInference(inference)
        self._job_proc = JobProcess(executor_type=JobExecutorType.THREAD, user_arguments=None, http_proxy=None)
        self._job_proc.userdata.update(userdata)
        self._messages: utils.aio.Chan[Any] = utils.aio.Chan()
        self.shutting_down = asyncio.Event()

    @property
    def _shutdown_fut(self) -> Any:
        return self.__dict__["_shutdown"]

    @_shutdown_fut.setter
    def _shutdown_fut(self, future: asyncio.Future[Any]) -> None:
        # livekit-agents makes it when the job starts; it is done when the job is to end, for whatever reason.
        self.__dict__["_shutdown"] = future
        future.add_done_callback(lambda _: self.shutting_down.set())

    async def run(self, info: RunningJobInfo) -> None:
        """Run the job from its start to the end of its shutdown."""
        request = proto.StartJobRequest()
        request.running_job = info
        self._messages.send_nowait(request)
        await self.entrypoint(self._messages)

    def request_shutdown(self, reason: str) -> None:
        """Ask the job to shut down, as the worker asks a job process."""
        if not self._messages.closed:
            self._messages.send_nowait(proto.ShutdownRequest(reason=reason))


class _NobodyListening:
    """Stands where a job process tells its parent what it does."""

    async def send(self, message: Any) -> None:
        """Take a message that no other process needs."""


class _SharedInference:
    """Hands a job's inference to the server's executor."""

    def __init__(self, executor: Any) -> None:
        self._executor = executor

    async def do_inference(self, method: str, data: bytes) -> bytes | None:
        """Run one inference."""
        if self._executor is None:
            raise RuntimeError(f"no inference runner is registered for {method!r}")
        result: bytes | None = await self._executor.do_inference(method, data)
        return result

    def close(self) -> None:
        """The executor belongs to the server and outlives the job."""


def url_of(context: JobContext) -> str:
    """Return the address of the LiveKit server that a job's room is on."""
    return context._info.url


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended."""
    await utils.aio.cancel_and_wait(task)
