"""Calls a hook on the loop of the calls, since it gets what only the loop's thread may use: a LiveKit session.

Everything else that plugins do runs beside the loop, or takes turns on it as it likes. Here each step is timed: an
implementation that blocks the loop of all calls again and again is left out.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import ContextVar
from functools import partial
from typing import Any

from openrtc.plugins.implementation import Implementation, contain_exit

BLOCK_SECONDS = 0.5
"""A step that takes longer has blocked the loop: from then on the watchdog reports it as an error."""

BLOCKS = 2
"""After so many an implementation is left out."""

_running: ContextVar[Implementation | None] = ContextVar("openrtc_loop_hook", default=None)


def find_running_hook() -> Implementation | None:
    """Return the implementation whose code runs now on the loop, if any; may be asked in a signal handler."""
    return _running.get()


async def call_on_loop(
    implementation: Implementation, arguments: dict[str, Any], limit: float, note_block: Callable[[float], None]
) -> Any:
    """Call an implementation on the running loop, and return what it returns.

    Args:
        implementation: Sync or async.
        arguments: Those that it takes.
        limit: Seconds after which an async one is cancelled, and not waited for whatever it does then.
        note_block: Called with the seconds of each step that has blocked the loop.

    Raises:
        TimeoutError: It has not come to an end in time.
        BaseException: Whatever it raises; an async one nothing that would end the loop, such as `SystemExit`.
    """
    value = take_step(implementation, note_block, lambda: implementation.function(**arguments))
    if not inspect.isawaitable(value):
        return value
    running = asyncio.create_task(_contain(implementation, value, note_block), name=f"hook-{implementation.hook}")
    running.add_done_callback(_take_notice)
    try:
        done, _ = await asyncio.wait({running}, timeout=limit)
    finally:
        running.cancel()  # what has ended does not mind; what goes on all the same ends with the call at the latest
    if not done:
        raise TimeoutError(f"no answer within {limit:g} s")
    return running.result()


async def _contain(implementation: Implementation, value: Awaitable[Any], note_block: Callable[[float], None]) -> Any:
    coroutine = value if inspect.iscoroutine(value) else _await(value)
    try:
        return await _run_in_steps(coroutine, partial(take_step, implementation, note_block))
    except (Exception, asyncio.CancelledError):  # as a task may end
        raise
    except BaseException as error:  # what may end a loop must not leave a task
        raise contain_exit(error) from error


async def _await(value: Awaitable[Any]) -> Any:
    return await value


@types.coroutine
def _run_in_steps(
    coroutine: Coroutine[Any, Any, Any], take_step: Callable[[Callable[[], Any]], Any]
) -> Generator[Any, Any, Any]:
    go_on: Callable[[Any], Any] = coroutine.send
    given: Any = None
    while True:
        try:
            waits_for = take_step(partial(go_on, given))
        except StopIteration as end:
            return end.value
        try:
            go_on, given = coroutine.send, (yield waits_for)
        except BaseException as error:  # its cancellation, or what it waits for has raised: both are its own
            go_on, given = coroutine.throw, error


def take_step(implementation: Implementation, note_block: Callable[[float], None], step: Callable[[], Any]) -> Any:
    """Return what a step of an implementation's code returns; the watchdog can name it meanwhile.

    Args:
        implementation: Whose code it is.
        note_block: Called with its seconds where it has blocked the loop.
        step: The step.
    """
    token = _running.set(implementation)
    began = time.monotonic()
    try:
        return step()
    finally:
        _running.reset(token)
        if (seconds := time.monotonic() - began) >= BLOCK_SECONDS:
            note_block(seconds)


def _take_notice(task: asyncio.Task[Any]) -> None:
    # Nobody waits any more for one that ends after its time.
    if not task.cancelled():
        task.exception()
