"""Events and log lines of livekit's native library arrive as before, from threads that keep their state."""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._ffi_client import FfiClient, FfiQueue
from livekit.rtc._proto import ffi_pb2
from livekit.rtc._proto.ffi_pb2 import FfiEvent

from openrtc.speedups import native
from openrtc.upstream.digest import find_changes

FRAMES = 20

NETWORK, OTHER = "libwebrtc", "tungstenite::protocol"

THREADS = """
import asyncio, os, pathlib, sys, time
from openrtc.speedups.native import install
from openrtc.worker.process_exit import exit_process
from livekit import rtc
install()
before = os.environ.get("TOKIO_WORKER_THREADS")
rtc.AudioSource(24000, 1, loop=asyncio.new_event_loop())
assert os.environ.get("TOKIO_WORKER_THREADS") == before
def workers():
    names = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
    return names.count("tokio-rt-worker")
until = time.monotonic() + 10
while workers() < int(sys.argv[1]) and time.monotonic() < until:
    time.sleep(0.01)  # a thread has its name a moment after it has begun
time.sleep(0.2)
print(workers())
exit_process(0)  # as `openrtc` ends: a native thread that calls into a Python that is torn down aborts the process
"""


@pytest.fixture(autouse=True)
def _changed() -> Iterator[None]:
    native.install()
    yield
    native.uninstall()


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> list[FfiEvent]:
    """Events that are passed on to livekit's own callback."""
    events: list[FfiEvent] = []

    def take(data: Any, length: int) -> None:
        events.append(FfiEvent.FromString(ctypes.string_at(data, length)))

    monkeypatch.setattr(native, "_upstream_callback", take)
    return events


def send(event: FfiEvent) -> None:
    """Call the callback as the native library does."""
    text = event.SerializeToString()
    native._take_event((ctypes.c_uint8 * len(text)).from_buffer_copy(text), len(text))


def line(level: int, target: str = OTHER) -> FfiEvent:
    event = FfiEvent()
    event.logs.records.add(level=level, target=target, line=1, message="something happened")
    return event


def test_this_client_is_known() -> None:
    assert find_changes("native") == {}


async def test_answers_arrive() -> None:
    source = rtc.AudioSource(24000, 1)
    for _ in range(5):
        await source.capture_frame(rtc.AudioFrame.create(24000, 1, 240))
    await source.aclose()


def test_an_event_reaches_whoever_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[FfiEvent] = []
    monkeypatch.setattr(FfiClient.instance, "_queue", SimpleNamespace(put=taken.append))
    event = FfiEvent()
    event.publish_data.async_id = 7
    send(event)
    assert taken == [event]


@pytest.mark.parametrize("level", [ffi_pb2.LOG_ERROR, ffi_pb2.LOG_WARN, ffi_pb2.LOG_INFO])
def test_a_line_that_may_be_shown_is_logged_as_upstream_does(level: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "livekit"):
        send(line(level))
    assert [record.levelno for record in caplog.records] == [_ffi_client.to_python_level(level)]  # type: ignore[arg-type]
    assert "tungstenite::protocol:1" in caplog.text and "something happened" in caplog.text


@pytest.mark.parametrize("target", [NETWORK, OTHER])
@pytest.mark.parametrize("level", [ffi_pb2.LOG_INFO, ffi_pb2.LOG_DEBUG, ffi_pb2.LOG_TRACE])
def test_a_line_that_nobody_sees_is_dropped_at_once(
    level: int, target: str, upstream: list[FfiEvent], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "livekit"):
        send(line(level, target))
    assert not upstream


@pytest.mark.parametrize("level", ffi_pb2.LogLevel.values())
def test_the_levels_are_livekits(level: int) -> None:
    assert native._LEVELS.get(level) == _ffi_client.to_python_level(level)  # type: ignore[arg-type]


def test_while_debug_lines_are_shown_upstream_decides(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "livekit"):
        for target in (NETWORK, OTHER):
            send(line(ffi_pb2.LOG_DEBUG, target))
        send(line(ffi_pb2.LOG_TRACE))
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]
    assert OTHER in caplog.text


def test_lines_that_are_told_together_are_passed_on_together(upstream: list[FfiEvent]) -> None:
    event = line(ffi_pb2.LOG_TRACE)
    event.logs.records.append(line(ffi_pb2.LOG_WARN).logs.records[0])
    send(event)
    assert upstream == [event]


def test_a_panic_is_upstreams(upstream: list[FfiEvent]) -> None:
    event = FfiEvent()
    event.panic.message = "no way out"
    send(event)
    assert upstream == [event]


@pytest.mark.process
@pytest.mark.parametrize(("wanted", "threads"), [(None, 1), ("3", 3)])
def test_asynchronous_work_has_one_thread_unless_somebody_wants_more(wanted: str | None, threads: int) -> None:
    variables = {name: text for name, text in os.environ.items() if name != native.THREADS_VARIABLE}
    variables |= {native.THREADS_VARIABLE: wanted} if wanted else {}
    command = [sys.executable, "-c", THREADS, str(threads)]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, str(threads)), ended.stderr


class NotingQueue(FfiQueue[FfiEvent]):
    """Notes the number of the thread state in which each event arrives."""

    def __init__(self, before: FfiQueue[FfiEvent], *, keep: bool) -> None:
        super().__init__()
        self._subscribers = before._subscribers
        self._keep = keep
        self.states: list[tuple[int, int]] = []

    def put(self, item: FfiEvent) -> None:
        if self._keep:
            native.keep_thread_state()
        self.states.append((threading.get_native_id(), state_number()))
        super().put(item)


def state_number() -> int:
    """Return the number of this thread's state, which is never given twice."""
    ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_void_p
    ctypes.pythonapi.PyThreadState_GetID.argtypes = [ctypes.c_void_p]
    ctypes.pythonapi.PyThreadState_GetID.restype = ctypes.c_uint64
    return int(ctypes.pythonapi.PyThreadState_GetID(ctypes.pythonapi.PyThreadState_Get()))


async def states_of_events(monkeypatch: pytest.MonkeyPatch, *, keep: bool) -> list[tuple[int, int]]:
    native.uninstall()  # its callback would keep them all
    client = FfiClient.instance
    noting = NotingQueue(client._queue, keep=keep)
    monkeypatch.setattr(client, "_queue", noting)
    source = rtc.AudioSource(24000, 1)
    for _ in range(FRAMES):
        await source.capture_frame(rtc.AudioFrame.create(24000, 1, 240))
    await source.aclose()
    return noting.states


async def test_a_native_thread_keeps_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    states = await states_of_events(monkeypatch, keep=True)
    assert len(states) >= FRAMES
    assert len(set(states)) == len({thread for thread, _ in states})


async def test_without_it_each_event_has_a_state_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {state for _, state in await states_of_events(monkeypatch, keep=True)}
    states = [state for _, state in await states_of_events(monkeypatch, keep=False) if state not in known]
    assert len(states) == len(set(states))


def test_a_thread_of_python_is_left_alone_and_leaves_nothing_behind() -> None:
    native.uninstall()  # its callback keeps those of the library, which may still have something to say
    before = native._kept

    def run() -> None:
        native.keep_thread_state()
        native.keep_thread_state()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert native._kept == before + 3
    assert not {thread.ident for thread in threads} & set(sys._current_frames())


def test_no_more_than_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_kept", native.MAX_THREADS)
    thread = threading.Thread(target=native.keep_thread_state)
    thread.start()
    thread.join()
    assert native._kept == native.MAX_THREADS
