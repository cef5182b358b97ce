"""Each shutdown callback of a job runs to its end, whatever the others do."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from livekit.agents import JobContext

from openrtc.session import shutdown
from openrtc.session.shutdown import guard_shutdown_callbacks


class Context:
    """What a job's context has for its shutdown; the rest is livekit-agents' own code."""

    def __init__(self) -> None:
        self._shutdown_callbacks: list[Callable[[str], Any]] = []
        guard_shutdown_callbacks(self, SimpleNamespace(agent="support", fields={}))  # type: ignore[arg-type]

    def add_shutdown_callback(self, callback: Any) -> None:
        JobContext.add_shutdown_callback(self, callback)  # type: ignore[arg-type]

    async def shut_down(self) -> None:
        await asyncio.gather(*(callback("the reason") for callback in self._shutdown_callbacks))


def fail() -> None:
    raise ValueError("no ledger")


async def wait_for_a_cancelled_task() -> None:
    task = asyncio.create_task(asyncio.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await task


async def exit_worker(reason: str) -> None:
    sys.exit(3)


@pytest.mark.parametrize(
    ("callback", "said"),
    [
        (fail, "ValueError: no ledger"),
        (wait_for_a_cancelled_task, "CancelledError"),
        (exit_worker, "SystemExit: 3"),
    ],
)
async def test_one_that_fails_is_one_line_and_the_others_run(
    callback: Any, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    context, done = Context(), list[str]()

    class Saver:
        async def save(self, reason: str) -> None:
            await asyncio.sleep(0.02)
            done.append(reason)

    async def slow() -> None:
        await asyncio.sleep(0.02)
        done.append("saved")

    for one in (callback, Saver().save, slow):
        context.add_shutdown_callback(one)
    await context.shut_down()
    assert sorted(done) == ["saved", "the reason"]
    (line,) = (record.getMessage() for record in caplog.records if record.levelno == logging.ERROR)
    assert line.startswith(f"agent 'support': the shutdown callback {callback.__name__} failed: {said}")
    assert line.endswith("; the others run")


async def test_one_that_is_cancelled_itself_ends() -> None:
    context = Context()

    async def hang() -> None:
        await asyncio.sleep(9)

    context.add_shutdown_callback(hang)
    running = asyncio.create_task(context.shut_down())
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_callback_keeps_its_name_for_spans() -> None:
    context = Context()
    context.add_shutdown_callback(exit_worker)
    assert context._shutdown_callbacks[0].__qualname__ == "exit_worker"
    assert context._shutdown_callbacks[0].__module__ == __name__


async def test_only_a_session_that_closes_once_more_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    limited: list[str] = []

    async def wait_for_close(closing: asyncio.Task[None], live: Any) -> None:
        limited.append("session")
        await closing

    nothing = {"begin_to_close": lambda: None, "stop_waiting": lambda: None}
    watch = SimpleNamespace(**nothing, wait_for_close=wait_for_close)
    monkeypatch.setattr(shutdown, "find_hang_up", lambda context: watch)
    context = Context()

    async def close() -> None:
        """Close the session."""

    async def save() -> None:
        """Save something."""

    close.__module__ = "livekit.agents.voice.agent_session"
    for one in (close, save):
        context.add_shutdown_callback(one)
    await context.shut_down()
    assert limited == ["session"]
