"""Threads that Python has not started keep their thread state, and those that it has started are left alone."""

from __future__ import annotations

import ctypes
import sys
import threading

import pytest
from livekit import rtc
from livekit.rtc._ffi_client import FfiClient, FfiQueue
from livekit.rtc._proto.ffi_pb2 import FfiEvent

from openrtc.worker.speed import native_threads
from openrtc.worker.speed.native_threads import keep_thread_state

FRAMES = 20


class _Noting(FfiQueue[FfiEvent]):
    """Notes the number of the thread state in which each event arrives."""

    def __init__(self, before: FfiQueue[FfiEvent], *, keep: bool) -> None:
        super().__init__()
        self._subscribers = before._subscribers
        self._keep = keep
        self.states: list[tuple[int, int]] = []

    def put(self, item: FfiEvent) -> None:
        if self._keep:
            keep_thread_state()
        self.states.append((threading.get_native_id(), _state()))
        super().put(item)


def _state() -> int:
    """Return the number of this thread's state, which is never given twice."""
    ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_void_p
    ctypes.pythonapi.PyThreadState_GetID.argtypes = [ctypes.c_void_p]
    ctypes.pythonapi.PyThreadState_GetID.restype = ctypes.c_uint64
    return int(ctypes.pythonapi.PyThreadState_GetID(ctypes.pythonapi.PyThreadState_Get()))


async def _states(monkeypatch: pytest.MonkeyPatch, *, keep: bool) -> list[tuple[int, int]]:
    client = FfiClient.instance
    noting = _Noting(client._queue, keep=keep)
    monkeypatch.setattr(client, "_queue", noting)
    source = rtc.AudioSource(24000, 1)
    for _ in range(FRAMES):
        await source.capture_frame(rtc.AudioFrame.create(24000, 1, 240))
    await source.aclose()
    return noting.states


async def test_a_native_thread_keeps_its_state(monkeypatch: pytest.MonkeyPatch) -> None:
    states = await _states(monkeypatch, keep=True)
    assert len(states) >= FRAMES
    assert len(set(states)) == len({thread for thread, _ in states})


async def test_without_it_each_event_has_a_state_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {state for _, state in await _states(monkeypatch, keep=True)}
    states = [state for _, state in await _states(monkeypatch, keep=False) if state not in known]
    assert len(states) == len(set(states))


def test_a_thread_of_python_is_left_alone_and_leaves_nothing_behind() -> None:
    before = native_threads._kept

    def run() -> None:
        keep_thread_state()
        keep_thread_state()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert native_threads._kept == before + 3
    assert not {thread.ident for thread in threads} & set(sys._current_frames())


def test_no_more_than_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_threads, "_kept", native_threads.MOST_THREADS)
    thread = threading.Thread(target=keep_thread_state)
    thread.start()
    thread.join()
    assert native_threads._kept == native_threads.MOST_THREADS
