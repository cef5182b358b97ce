"""Keeps ``sys.exit`` in one call from ending the process that all calls share.

asyncio lets `SystemExit` and `KeyboardInterrupt` of any task end the loop, even of one whose result is gathered; uvloop
does as well. Here a task turns them into `AgentExit`, an ordinary error of that task; what a plain callback raises is
logged, and the loop goes on. It goes on as well when somebody stops it, and who cancels all tasks in a call cancels
those of the call.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections.abc import Callable, Coroutine, Generator, Iterator
from time import perf_counter_ns
from types import FrameType, TracebackType
from typing import Any, TypeVar

from livekit.agents import JobContext, get_job_context
from livekit.agents.llm import ToolError

from openrtc.errors import OpenRTCError, summarize_error
from openrtc.runtime.live_call import CpuMeter, current_meter
from openrtc.session.failure import LoopBroken, find_failing_line, find_own_frame, mark_reported
from openrtc.session.loop_threads import give_threads
from openrtc.threads import ThreadOwner, current_threads

logger = logging.getLogger("openrtc.worker")

T = TypeVar("T")

MOST_OF_NOBODY = 64
"""Threads for blocking code of which nobody knows whose it is, such as in callbacks from threads of libraries: many,
since all calls share them."""

TASKS_END_SECONDS = 3.0
"""How long tasks that are left when the worker ends may take to end, too."""

ENDS_WORKER = (SystemExit, KeyboardInterrupt, LoopBroken)
"""What must not leave an agent's code: it ends the loop, or as no `Exception` it ends tasks of livekit's."""


_list_all_tasks = asyncio.all_tasks


def _list_own_tasks(loop: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
    # In a process of its own, a call sees no others': it may cancel what it finds.
    tasks, job = _list_all_tasks(loop), get_job_context(required=False)
    return tasks if job is None else {task for task in tasks if find_job(task) is job}


class AgentExit(RuntimeError):
    """Code of an agent called ``sys.exit``, raised ``KeyboardInterrupt``, or was broken off."""


def contain_exits(loop: asyncio.AbstractEventLoop) -> None:
    """Let every task of ``loop`` from now on turn `SystemExit` into `AgentExit`; lost errors are logged in one line.

    May be called again: each call does, since livekit-agents gives a job's thread or process a loop of its own.
    """
    if loop.get_task_factory() is not _create_task:
        loop.set_task_factory(_create_task)
        loop.set_exception_handler(_log_lost_error)


def contain_tool_exits(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does what a tool's ``function`` does, but turns `SystemExit` into an error of the tool.

    An `OpenRTCError` becomes a `ToolError`, which the language model reads: that a member of a cast does not answer,
    for example.
    """

    async def contained(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result
        except ENDS_WORKER as error:
            contained_exit = AgentExit(f"{error!r} was raised in a tool")
            if isinstance(error, LoopBroken):
                mark_reported(contained_exit)  # as the error is that it stands for
            raise contained_exit from error
        except OpenRTCError as error:
            raise ToolError(str(error)) from error

    return contained


def run_contained(main: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Run ``main`` like `asyncio.run`, in a loop that ``sys.exit`` in a task or callback does not end.

    What ``main`` does has threads of its own for blocking code: no other code can leave it without one.

    Args:
        main: What to run.
        loop: A new loop, by default asyncio's own; it is closed at the end.
    """
    loop = loop or asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    contain_exits(loop)
    give_threads(loop, ThreadOwner("nobody", MOST_OF_NOBODY))
    asyncio.all_tasks = _list_own_tasks
    try:
        context = contextvars.copy_context()
        context.run(current_threads.set, ThreadOwner("worker"))
        task = loop.create_task(main, context=context)
        while True:
            try:
                return loop.run_until_complete(task)
            except ENDS_WORKER as error:
                if task.done():
                    raise  # of `main` itself: there is nothing to go on with
                logger.error("a callback raised %r at %s; the worker goes on", error, find_failing_line(error))
            except RuntimeError:
                if task.done():
                    raise
                logger.error("somebody's code stopped the loop of all calls; the worker goes on")
    finally:
        asyncio.all_tasks = _list_all_tasks
        _close_loop(loop)


def _close_loop(loop: asyncio.AbstractEventLoop) -> None:
    # What asyncio.run() does at its end, but for what would be waited for without an end: a thread of the default
    # executor that hangs, and a task that goes on when it is cancelled.
    try:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            ended = asyncio.gather(*pending, return_exceptions=True)
            loop.run_until_complete(asyncio.wait([ended], timeout=TASKS_END_SECONDS))
        for task in (task for task in pending if not task.done()):
            logger.error("the worker ends without a task that goes on though it was cancelled: %s", _find_place(task))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _find_place(task: asyncio.Task[Any]) -> str:
    """Return where a task waits: its innermost line of an agent, else of anybody."""
    found = find_own_frame([(frame, frame.f_lineno) for frame in list_frames(task)])
    if found is None:
        return repr(task)
    frame, line = found
    return f"{frame.f_code.co_name}() at {frame.f_code.co_filename}:{line}"


def _log_lost_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error: BaseException | None = context.get("exception")
    if error is None:
        loop.default_exception_handler(context)
        return
    if isinstance(error, AgentExit | LoopBroken | asyncio.CancelledError):
        return  # logged where it was raised; no error
    fields = build_log_fields(find_job(context.get("task") or context.get("future")))
    text = "an error that nobody handled: %s at %s; the worker goes on"
    logger.error(text, summarize_error(error), find_failing_line(error), extra=fields)
    logger.debug("%s", context.get("message"), exc_info=error)


def find_job(task: object) -> JobContext | None:
    """Return the job that a task of a contained loop belongs to, if any."""
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    return coroutine.job if isinstance(coroutine, _Contained) else None


def find_coroutine(task: asyncio.Task[Any]) -> Any:
    """Return the coroutine that a task runs, without the wrapping of a contained loop."""
    coroutine = task.get_coro()
    return coroutine.inner if isinstance(coroutine, _Contained) else coroutine


def list_frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    """Return the frames of a task that is suspended, the outermost first."""
    coroutine: Any = find_coroutine(task)
    while coroutine is not None:
        if frame := getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None):
            yield frame
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def build_log_fields(job: JobContext | None) -> dict[str, Any]:
    """Return the log fields of a call; none outside of calls."""
    return {} if job is None else {"job_id": job.job.id} | job.log_context_fields


def _create_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    # Generators (old-style coroutines) are left alone: asyncio distinguishes them by their type.
    if isinstance(coro, Coroutine):
        meter = current_meter.get()
        coro = _Contained(coro) if meter is None else _Metered(coro, meter)
    return asyncio.Task(coro, loop=loop, **options)


class _Contained(Coroutine[Any, Any, Any]):
    """Passes everything on to a coroutine, but lets nothing out of it that ends more than its task: `ENDS_WORKER`.

    A wrapping ``async def`` would leave the inner coroutine unawaited when the task is cancelled before its first step,
    with a warning each time.
    """

    __slots__ = ("__weakref__", "_inner", "job")

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner
        self.job = get_job_context(required=False)

    @property
    def inner(self) -> Coroutine[Any, Any, Any]:
        """What is wrapped."""
        return self._inner

    def send(self, value: Any) -> Any:
        try:
            return self._inner.send(value)
        except ENDS_WORKER as error:
            raise self._contain(error) from error

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> Any:
        # The form with three arguments is deprecated, and asyncio passes an instance. This is where CancelledError
        # comes in, on which an agent may call sys.exit(), too.
        try:
            return self._inner.throw(typ) if val is None and tb is None else self._inner.throw(typ, val, tb)
        except ENDS_WORKER as error:
            raise self._contain(error) from error

    def _contain(self, error: BaseException) -> AgentExit:
        contained = AgentExit(f"{error!r} was raised in a task")
        if isinstance(error, LoopBroken):
            mark_reported(contained)  # as the error is that it stands for
            return contained
        # Logged now: asyncio reports a task's error only when the task is collected, which may be never.
        text = "a task raised %r at %s; that task is ended, the worker goes on"
        logger.error(text, error, find_failing_line(error), extra=build_log_fields(self.job))
        return contained

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        # cr_frame, cr_code and the like, for whoever prints a task's stack.
        return getattr(self._inner, name)


class _Metered(_Contained):
    """Also counts the time of each step, but for the rare ones that begin with an error."""

    __slots__ = ("_meter",)

    def __init__(self, inner: Coroutine[Any, Any, Any], meter: CpuMeter) -> None:
        super().__init__(inner)
        self._meter = meter

    def send(self, value: Any) -> Any:
        began = perf_counter_ns()
        try:
            return self._inner.send(value)
        except ENDS_WORKER as error:
            raise self._contain(error) from error
        finally:
            self._meter.nanoseconds += perf_counter_ns() - began
