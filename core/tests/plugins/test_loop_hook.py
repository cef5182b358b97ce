"""`openrtc_session` is called on the loop, and no implementation of it holds up the calls for long."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from openrtc.model.hookspecs import hookimpl
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import Event, PluginFailed
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.loop_hook import BLOCK_SECONDS, BLOCKS, find_running_hook

SESSION = object()
CALLER: contextvars.ContextVar[str] = contextvars.ContextVar("caller")


def plugin(name: str, function: Any, **options: Any) -> Any:
    module = ModuleType(name)
    function.__name__ = "openrtc_session"
    setattr(module, "openrtc_session", hookimpl(**options)(function))  # noqa: B010 - a module has no such name
    return SimpleNamespace(name=name, target=module, distribution=name)


async def attach(hooks: Hooks, limit: float = 5.0) -> None:
    await hooks.collect_on_loop("openrtc_session", limit=limit, call=None, session=SESSION)


async def test_sync_and_async_ones_get_the_session_on_the_loop_in_the_calls_context() -> None:
    seen: list[tuple[Any, ...]] = []

    def note(what: str, session: object) -> None:
        hook = find_running_hook()
        seen.append((what, session, threading.get_ident(), CALLER.get(), hook and hook.plugin))

    def sync(session: object) -> None:
        note("sync", session)

    async def slow(session: object) -> None:
        await asyncio.sleep(0.01)
        note("async", session)

    def handed(session: object) -> Any:
        return slow(session)

    def wrapper(session: object) -> Any:
        note("before", session)
        results = yield
        note("after", session)
        return results

    CALLER.set("ann")
    made = [plugin("a", sync), plugin("b", slow), plugin("c", handed), plugin("w", wrapper, wrapper=True)]
    await attach(Hooks(made))
    here = threading.get_ident()
    names = [("before", "w"), ("sync", "a"), ("async", "b"), ("async", "c"), ("after", "w")]
    assert seen == [(what, SESSION, here, "ann", name) for what, name in names]
    assert find_running_hook() is None


async def raises() -> None:
    raise LookupError("no such table")


async def exits() -> None:
    await asyncio.sleep(0)
    sys.exit(3)


async def cancels() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (raises, "LookupError: no such table"),
        (exits, "HookExit: raised SystemExit(3)"),
        (cancels, "CancelledError:"),
    ],
)
async def test_what_one_raises_is_a_line_and_an_event_and_the_next_is_called(
    what: Any, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[int] = []

    def after() -> None:
        called.append(1)

    events, told = EventStream(), list[Event]()
    events.subscribe(told.append)
    await attach(Hooks([plugin("bad", what), plugin("good", after)], events))
    assert called == [1]
    assert f"bad: openrtc_session failed: {line}" in caplog.text
    assert [event.error for event in told if isinstance(event, PluginFailed)] == [line]


async def test_one_that_swallows_its_cancellation_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    freed = asyncio.Event()
    ended: list[int] = []

    async def stubborn() -> None:
        while not freed.is_set():
            try:
                await freed.wait()
            except asyncio.CancelledError:
                ended.append(0)
        ended.append(1)

    await attach(Hooks([plugin("bad", stubborn)]), limit=0.05)
    assert "bad: openrtc_session failed: TimeoutError: no answer within 0.05 s" in caplog.text
    await asyncio.sleep(0)
    freed.set()
    await asyncio.sleep(0.01)
    assert ended == [0, 1]


async def test_a_call_that_is_cancelled_takes_its_hook_along() -> None:
    ended = asyncio.Event()

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    attaching = asyncio.create_task(attach(Hooks([plugin("bad", waits)])))
    await asyncio.sleep(0.01)
    attaching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attaching
    await asyncio.wait_for(ended.wait(), 5.0)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_one_that_blocks_the_loop_is_left_out_after_the_second_time(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []

    def block() -> None:
        called.append("bad")
        time.sleep(BLOCK_SECONDS)

    async def block_later() -> None:
        await asyncio.sleep(0)
        block()

    def good() -> None:
        called.append("good")

    hooks = Hooks([plugin("bad", block if kind == "sync" else block_later), plugin("good", good)])
    with caplog.at_level(logging.ERROR):
        for _ in range(BLOCKS + 1):
            await attach(hooks)
    assert called == ["bad", "good"] * BLOCKS + ["good"]
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("bad: openrtc_session has blocked the loop of all calls for 0.5 s")
    assert second.endswith("; it is left out from now on") and not first.endswith("now on")
