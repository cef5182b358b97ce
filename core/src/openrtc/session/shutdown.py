"""Lets every shutdown callback of a job run to its end, whatever the others do."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable
from typing import Any

from livekit.agents import JobContext

from openrtc.errors import summarize_error
from openrtc.runtime.live_call import LiveCall
from openrtc.session.failure import LoopBroken, find_failing_line
from openrtc.session.hang_up import find_hang_up

logger = logging.getLogger("openrtc.worker")

_NAMES = ("__module__", "__name__", "__qualname__")
"""What livekit-agents' spans tell of a callback."""


def guard_shutdown_callbacks(context: JobContext, live: LiveCall) -> None:
    """From now on, log in one line that a shutdown callback of a job has failed, and let the others go on.

    livekit-agents waits for all of them at once, and for none any more when one has failed: what the others save is
    cut some seconds later.

    Args:
        context: LiveKit's context of the job.
        live: The call.
    """
    add = context.add_shutdown_callback

    def add_guarded(callback: Callable[..., Any]) -> None:
        takes_reason = _takes_argument(callback)

        @functools.wraps(callback, assigned=_NAMES, updated=())
        async def guarded(reason: str) -> None:
            try:
                result = callback(reason) if takes_reason else callback()
                if inspect.isawaitable(result):
                    await _wait(callback, result, context, live)
            except BaseException as error:  # sys.exit() as well, and a CancelledError of something that it waited for
                if _is_cancelled():
                    raise
                if not isinstance(error, LoopBroken):  # which is reported already
                    _report(callback, error, live)

        add(guarded)

    context.add_shutdown_callback = add_guarded  # type: ignore[method-assign]  # on this one job's


async def _wait(callback: Callable[..., Any], result: Any, context: JobContext, live: LiveCall) -> None:
    hang_up = find_hang_up(context)
    if hang_up is None or not str(getattr(callback, "__module__", "")).startswith("livekit.agents."):
        await result
        return
    # livekit-agents closes the session once more, and would wait for whatever holds it up.
    hang_up.stop_waiting()
    hang_up.begin_to_close()
    await hang_up.wait_for_close(asyncio.ensure_future(result), live)


def _takes_argument(callback: Callable[..., Any]) -> bool:
    """Whether a callback takes the reason of the shutdown, by livekit-agents' rule."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(one.kind in positional for one in inspect.signature(callback).parameters.values())


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _report(callback: Callable[..., Any], error: BaseException, live: LiveCall) -> None:
    # No event: by now the call has ended for whoever counts calls.
    place = find_failing_line(error)
    name = getattr(callback, "__qualname__", repr(callback))
    text = "agent %r: the shutdown callback %s failed: %s at %s; the others run"
    logger.error(text, live.agent, name, summarize_error(error), place, extra=live.fields)
    logger.debug("agent %r: a shutdown callback failed", live.agent, exc_info=error)
