"""Observers are called on the loop, whatever one of them does, and processes get those that can be pickled."""

from __future__ import annotations

import asyncio
import logging
import pickle
import threading
import time
from typing import Any

import pytest

from openrtc.model.observer import SessionInfo, SessionObserver, SessionStatus
from openrtc.observability import SessionInfo as InfoOfOtherImport
from openrtc.observability.base_observer import SessionObserver as ObserverOfOtherImport
from openrtc.observe.event_stream import EventStream
from openrtc.observe.events import Event, PluginFailed
from openrtc.plugins.hooks import Hooks
from openrtc.plugins.loop_hook import BLOCK_SECONDS
from openrtc.plugins.observers import END, START, Observers

INFO = SessionInfo("support", "lobby", "AJ_1", {"tenant": "default"}, 1.0)


class Good:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    async def on_session_start(self, a: Any, b: Any, more: int = 1) -> None:
        await asyncio.sleep(0)
        self.seen.append((a, b, threading.get_ident()))

    def on_session_end(self, info: Any, outcome: Any) -> None:
        self.seen.append((info, outcome))


class Raises(Good):
    def on_session_start(self, *_: Any) -> Any:
        raise LookupError("no ledger")


class Exits(Good):
    async def on_session_start(self, *_: Any) -> None:
        raise SystemExit


class Hangs:
    async def on_session_start(self, *_: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.5)  # all the same


class Blocks:
    async def on_session_start(self, *_: Any) -> None:
        time.sleep(BLOCK_SECONDS)  # noqa: ASYNC251 - the fault


async def tell(observers: Observers, hooks: Hooks, method: str = START, limit: float = 0.2) -> None:
    await hooks.call_observers(observers.implementations[method], limit=limit, first=INFO, second="it")


async def test_the_others_are_told_whatever_one_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    good, failed = Good(), list[Event]()
    events = EventStream()
    events.subscribe(failed.append)
    observers, hooks = Observers((Raises(), Exits(), Hangs(), good)), Hooks(events=events)
    began = time.monotonic()
    await tell(observers, hooks)
    assert time.monotonic() - began < 1.0
    assert good.seen == [(INFO, "it", threading.get_ident())]
    await tell(observers, hooks, END)
    assert good.seen[1:] == [(INFO, "it")]
    assert caplog.messages == [
        "observer Raises: on_session_start failed: LookupError: no ledger",
        "observer Exits: on_session_start failed: HookExit: raised SystemExit()",
        "observer Hangs: on_session_start failed: TimeoutError: no answer within 0.2 s",
    ]
    plugins = [event.plugin for event in failed if isinstance(event, PluginFailed)]
    assert plugins == ["observer Raises", "observer Exits", "observer Hangs"]


async def test_one_that_blocks_the_loop_twice_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    observers, hooks = Observers((Blocks(),)), Hooks()
    for _ in range(2):
        await tell(observers, hooks, limit=5.0)
    assert "observer Blocks: on_session_start has blocked the loop of all calls for 0.5 s" in caplog.messages[0]
    assert "left out from now on" in caplog.messages[1]
    began = time.monotonic()
    await tell(observers, hooks)
    assert time.monotonic() - began < BLOCK_SECONDS


def test_processes_get_those_that_can_be_pickled(caplog: pytest.LogCaptureFixture) -> None:
    locked = Good()
    locked.seen.append(threading.Lock())
    observers = pickle.loads(pickle.dumps(Observers((locked, Raises()), "v1")))
    assert [type(one) for one in observers.given] == [Raises]
    assert observers.deployment_version == "v1"
    assert "observer Good cannot be pickled, and does not see the calls that have a process" in caplog.messages[0]


def test_the_names_are_those_of_the_other_project() -> None:
    assert isinstance(Good(), SessionObserver)
    assert ObserverOfOtherImport is SessionObserver and InfoOfOtherImport is SessionInfo
    status = SessionStatus("failed")
    assert (status, status.value, status.name) == ("failed", "failed", "FAILED")
    assert [one.value for one in SessionStatus] == ["success", "failed", "cancelled"]
