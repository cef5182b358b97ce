"""Keeps ``sys.exit`` in one call from ending the process that all calls share.

asyncio lets `SystemExit` and `KeyboardInterrupt` of any task end the loop. Here a task turns them into `AgentExit`, an
ordinary error of that task; what a plain callback raises is logged, and the loop goes on.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Generator
from time import perf_counter_ns
from types import TracebackType
from typing import Any, TypeVar

from livekit.agents import JobContext, get_job_context
from livekit.agents.llm import ToolError

from openrtc.errors import OpenRTCError, one_line
from openrtc.worker.cpu_meter import CpuMeter, current_meter
from openrtc.worker.failure import place_of

logger = logging.getLogger("openrtc.worker")

T = TypeVar("T")


class AgentExit(RuntimeError):
    """Code of an agent called ``sys.exit`` or raised ``KeyboardInterrupt``."""


def contain_exits(loop: asyncio.AbstractEventLoop) -> None:
    """Let every task of ``loop`` from now on turn `SystemExit` into `AgentExit`; lost errors are told in one line."""
    if loop.get_task_factory() is not _contained_task:
        loop.set_task_factory(_contained_task)
        loop.set_exception_handler(_tell)


def contained_tool(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does what a tool's ``function`` does, but turns `SystemExit` into an error of the tool.

    The language model is told an `OpenRTCError`: that a member of a cast does not answer, for example.
    """

    async def contained(*args: Any, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result
        except (SystemExit, KeyboardInterrupt) as error:
            raise AgentExit(f"{error!r} was raised in a tool") from error
        except OpenRTCError as error:
            raise ToolError(str(error)) from error

    return contained


def run_contained(main: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop | None = None) -> T:
    """Run ``main`` like `asyncio.run`, in a loop that ``sys.exit`` in a task or callback does not end.

    Args:
        main: What to run.
        loop: A new loop, by default asyncio's own; it is closed at the end.
    """
    loop = loop or asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    contain_exits(loop)
    try:
        task = loop.create_task(main)
        while True:
            try:
                return loop.run_until_complete(task)
            except (SystemExit, KeyboardInterrupt) as error:
                if task.done():
                    raise
                logger.error("a callback raised %r at %s; the worker goes on", error, place_of(error))
    finally:
        _finish(loop)


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    try:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _tell(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error: BaseException | None = context.get("exception")
    if error is None:
        loop.default_exception_handler(context)
        return
    if isinstance(error, AgentExit | asyncio.CancelledError):
        return
    job = job_of(context.get("task") or context.get("future"))
    said = one_line(f"{type(error).__name__}: {error}")
    line = f"an error that nobody handled: {said} at {place_of(error)}; the worker goes on"
    logger.error("%s", line, extra=fields_of(job))
    logger.debug("%s", context.get("message"), exc_info=error)


def job_of(task: object) -> JobContext | None:
    """Return the job that a task of a contained loop belongs to, if any."""
    coroutine = task.get_coro() if isinstance(task, asyncio.Task) else None
    return coroutine.job if isinstance(coroutine, _Contained) else None


def fields_of(job: JobContext | None) -> dict[str, Any]:
    """Return the log fields of a call; none outside of calls."""
    return {} if job is None else {"job_id": job.job.id} | job.log_context_fields


def _contained_task(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    # Generators (old-style coroutines) are left alone: asyncio itself tells them apart by their type.
    if isinstance(coro, Coroutine):
        meter = current_meter.get()
        coro = _Contained(coro) if meter is None else _Metered(coro, meter)
    return asyncio.Task(coro, loop=loop, **options)


class _Contained(Coroutine[Any, Any, Any]):
    """Passes everything on to a coroutine, but lets neither `SystemExit` nor `KeyboardInterrupt` out of it.

    A wrapping ``async def`` would leave the inner coroutine unawaited when the task is cancelled before its first step.
    """

    __slots__ = ("__weakref__", "_inner", "job")

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner
        self.job = get_job_context(required=False)

    def send(self, value: Any) -> Any:
        try:
            return self._inner.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise self._contain(error) from error

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> Any:
        # The form with three arguments is deprecated, and asyncio passes an instance.
        try:
            return self._inner.throw(typ) if val is None and tb is None else self._inner.throw(typ, val, tb)
        except (SystemExit, KeyboardInterrupt) as error:
            raise self._contain(error) from error

    def _contain(self, error: BaseException) -> AgentExit:
        # Told now: asyncio tells of a task's error only when the task is collected, which may be never.
        said = f"a task raised {error!r} at {place_of(error)}; that task is ended, the worker goes on"
        logger.error("%s", said, extra=fields_of(self.job))
        return AgentExit(f"{error!r} was raised in a task")

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        # cr_frame, cr_code and the like, for whoever prints a task's stack.
        return getattr(self._inner, name)


class _Metered(_Contained):
    """Also counts the time of each step."""

    __slots__ = ("_meter",)

    def __init__(self, inner: Coroutine[Any, Any, Any], meter: CpuMeter) -> None:
        super().__init__(inner)
        self._meter = meter

    def send(self, value: Any) -> Any:
        began = perf_counter_ns()
        try:
            return self._inner.send(value)
        except (SystemExit, KeyboardInterrupt) as error:
            raise self._contain(error) from error
        finally:
            self._meter.nanoseconds += perf_counter_ns() - began
