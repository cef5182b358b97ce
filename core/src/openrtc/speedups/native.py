"""Speedup `native`: what livekit's native library says is taken more cheaply.

The native library reports and answers everything through one Python function, from threads of its own, 80 times a
second and call. Three things are made cheaper; with the first two, eight calls cost 1.17 of their callers' CPU time
instead of 1.28, and the third took another 0.04 (docs/performance.md):

- Two thirds of what it says are its log lines, one by one and down to the network's keep-alives, which Python's
  loggers drop after they were taken apart. Here they are dropped before that.
- For each event Python makes and deletes a thread state, with a page of memory mapped and unmapped. Here the native
  threads keep theirs.
- The library's asynchronous work has a thread for each core, and these would only wait for each other to call into
  Python. Here it has one.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
from typing import Any

from livekit.rtc import _ffi_client
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN, FfiEvent
from livekit.rtc.log import logger  # livekit's: whose level decides what somebody sees
from livekit.rtc.version import __version__

MAX_THREADS = 256
"""So many threads keep their state: one that ends leaves it behind, 16 KB. Those of the native library live as long as
the process, so that only a program with ever new native threads comes here."""

THREADS_VARIABLE = "TOKIO_WORKER_THREADS"
"""Environment variable with the number of threads for asynchronous work: https://docs.rs/tokio/latest/tokio/runtime."""

_LEVELS: dict[int, int] = {
    LOG_ERROR: logging.ERROR,
    LOG_WARN: logging.WARNING,
    LOG_INFO: logging.INFO,
    LOG_DEBUG: logging.DEBUG,
}
"""Of the native library's levels, those that livekit logs, and as what."""

_upstream_callback = _ffi_client.ffi_event_callback
_upstream_init = FfiClient.__init__

_local = threading.local()  # belongs to the thread state, and is empty in a new one
_kept = 0
"""How many thread states are kept. Two threads at once may count as one: it is a bound, not a sum."""


def install() -> None:
    """From now on, take what the native library says more cheaply; one that runs already keeps its threads."""
    FfiClient.__init__ = _init_with_one_thread  # type: ignore[assignment, method-assign]  # the patch
    _set_callback(_take_event)


def uninstall() -> None:
    """Undo `install`, except for the thread."""
    FfiClient.__init__ = _upstream_init  # type: ignore[method-assign]  # the patch undone
    _set_callback(_upstream_callback)


def _set_callback(callback: Any) -> None:
    _ffi_client.ffi_event_callback = callback
    client = FfiClient._instance
    # One that runs already has been given the other function; one of a parent process is not ours to touch.
    if client is not None and client._pid == os.getpid():
        client._ffi_lib.livekit_ffi_initialize(callback, True, b"python", __version__.encode())


def _init_with_one_thread(client: FfiClient) -> None:
    if THREADS_VARIABLE in os.environ:  # the operator's word counts
        _upstream_init(client)
        return
    # Not for longer: other libraries and subprocesses read it, too.
    os.environ[THREADS_VARIABLE] = "1"
    try:
        _upstream_init(client)
    finally:
        del os.environ[THREADS_VARIABLE]


@_ffi_client.ffi_cb_fnc  # type: ignore[untyped-decorator]  # of ctypes
def _take_event(data: Any, length: int) -> None:
    keep_thread_state()
    event = FfiEvent.FromString(ctypes.string_at(data, length))
    kind = event.WhichOneof("message")
    if kind == "logs":
        if any(_is_logged(record.level) for record in event.logs.records):
            _upstream_callback(data, length)
    elif kind == "panic":  # livekit ends the process with it; see `openrtc.upstream.jobs.intercept_native_panics`
        _upstream_callback(data, length)
    else:
        FfiClient.instance.queue.put(event)


def keep_thread_state() -> None:
    """Keep the calling thread's state for as long as the process lives.

    It counts one call into Python that never returns, so that the end of the real one is not the last. A thread that
    Python has started is not changed by that.
    """
    global _kept
    if hasattr(_local, "kept") or _kept >= MAX_THREADS:
        return
    _local.kept = True
    _kept += 1
    ctypes.pythonapi.PyGILState_Ensure()


def _is_logged(level: int) -> bool:
    return level in _LEVELS and logger.isEnabledFor(_LEVELS[level])
