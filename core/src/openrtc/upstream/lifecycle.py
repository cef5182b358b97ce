"""What a job runs that shares the worker's loop: livekit-agents' own lifecycle of a job.

It (`_JobProc`: spans, session report, order of shutdown, HTTP session of the job) is fed through a channel in memory
instead of a socket: written anew, it would miss what livekit-agents adds to it. Import this only where all that the
part ``jobs`` needs is known: the import fails where `_JobProc` is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from livekit.agents import AgentServer, JobContext, JobExecutorType, JobProcess, utils
from livekit.agents.ipc import proto
from livekit.agents.ipc.job_proc_lazy_main import _JobProc
from livekit.agents.job import RunningJobInfo


class JobLifecycle(_JobProc):
    """livekit-agents' lifecycle of one job, run as a coroutine.

    Args:
        server: Whose job it is, and whose callbacks for the end of a session and of a simulation it uses, and inference
            executor.
        entrypoint: Runs the job.
        userdata: Initial contents of ``JobProcess.userdata``.

    ``shutting_down`` is set when the job has begun to end.
    """

    def __init__(
        self, server: AgentServer, entrypoint: Callable[[JobContext], Awaitable[None]], userdata: Mapping[str, Any]
    ) -> None:
        super().__init__(
            lambda process: None,
            entrypoint,
            server._session_end_fnc,
            session_end_timeout=server._session_end_timeout,
            executor_type=JobExecutorType.THREAD,
            simulation_end_fnc=server._simulation_end_fnc,
        )
        # What `initialize` would set, with the parent process on the other side. As a thread's job: the log fields of a
        # process's job go onto every line of the process.
        self._client: Any = _NullClient()
        self._inf_client: Any = _SharedInference(server._inference_executor)
        self._job_proc = JobProcess(executor_type=JobExecutorType.THREAD, user_arguments=None, http_proxy=None)
        self._job_proc.userdata.update(userdata)
        self._messages: utils.aio.Chan[Any] = utils.aio.Chan()
        self.shutting_down = asyncio.Event()

    @property
    def _shutdown_fut(self) -> Any:
        return self._openrtc_shutdown

    @_shutdown_fut.setter
    def _shutdown_fut(self, future: asyncio.Future[Any]) -> None:
        # livekit-agents makes it when the job starts; it is done when the job is to end, for whatever reason. There is
        # no callback for that, and a shutdown that hangs must be noticed from its beginning.
        self._openrtc_shutdown = future
        future.add_done_callback(lambda _: self.shutting_down.set())

    async def run(self, info: RunningJobInfo) -> None:
        """Run the job from its start to the end of its shutdown."""
        request = proto.StartJobRequest()
        request.running_job = info
        self._messages.send_nowait(request)
        await self.entrypoint(self._messages)

    @property
    def in_room(self) -> bool:
        """Whether the job is in its room; a simulated one never is."""
        context: JobContext | None = getattr(self, "_job_ctx", None)  # there is none before the job has started
        return context is not None and not context.is_fake_job() and context.room.isconnected()

    async def leave_room(self) -> None:
        """Leave the room."""
        await self._room.disconnect()

    def request_shutdown(self, reason: str) -> None:
        """Ask the job to shut down, as the worker asks a job process."""
        if not self._messages.closed:
            self._messages.send_nowait(proto.ShutdownRequest(reason=reason))


class _NullClient:
    """Stands where a job process reports to its parent."""

    async def send(self, message: Any) -> None:
        """Drop a message: there is no other process."""


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
