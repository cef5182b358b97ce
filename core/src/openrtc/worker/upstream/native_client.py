"""Every private name of livekit's client of its native library that OpenRTC uses, and nothing else.

The native library tells and answers everything through one Python function, from threads of its own. Two thirds of what
it tells are its log lines, one by one and down to the network's keep-alives, which Python's loggers drop after they
were taken apart. Here they are dropped before that; the native threads keep their thread states; and there is one of
them for the library's asynchronous work, since they would only wait for each other to call into Python.
"""

from __future__ import annotations

import ctypes
import logging
import os
from typing import Any

from livekit.rtc import _ffi_client
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto.ffi_pb2 import LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN, FfiEvent
from livekit.rtc.log import logger
from livekit.rtc.version import __version__

from openrtc.worker.speed.digest import Definition, changed
from openrtc.worker.speed.native_threads import keep_thread_state

THREADS = "TOKIO_WORKER_THREADS"
"""Environment variable with the number of threads for asynchronous work: https://docs.rs/tokio/latest/tokio/runtime."""

_KNOWN = {
    "ffi_event_callback": (Definition(_ffi_client, "ffi_event_callback"), ("7d939d096b93671f",)),
    "to_python_level": (_ffi_client.to_python_level, ("ab714f44f9a2feb8",)),
    "FfiClient.__init__": (FfiClient.__init__, ("07c05875af41b928", "0b72f8c90821da38")),  # livekit 1.1.17, 1.1.21
}

_LEVELS: dict[int, int] = {
    LOG_ERROR: logging.ERROR,
    LOG_WARN: logging.WARNING,
    LOG_INFO: logging.INFO,
    LOG_DEBUG: logging.DEBUG,
}
"""Of the native library's levels, those that livekit logs, and as what."""

_take_as_upstream = _ffi_client.ffi_event_callback
_start_as_upstream = FfiClient.__init__


def why_client_not_changed() -> str | None:
    """Return None when livekit's client is the one that `change_client` changes, else what differs."""
    return ", ".join(changed(_KNOWN)) or None


def change_client() -> None:
    """From now on, take what the native library tells more cheaply; one that runs already keeps its threads."""
    FfiClient.__init__ = _start_with_one_thread  # type: ignore[assignment, method-assign]
    _use(_take)


def client_as_upstream() -> None:
    """Undo `change_client`, except for the thread."""
    FfiClient.__init__ = _start_as_upstream  # type: ignore[method-assign]
    _use(_take_as_upstream)


def _use(callback: Any) -> None:
    _ffi_client.ffi_event_callback = callback
    if (client := FfiClient._instance) is not None and client._pid == os.getpid():
        client._ffi_lib.livekit_ffi_initialize(callback, True, b"python", __version__.encode())


def _start_with_one_thread(client: FfiClient) -> None:
    if THREADS in os.environ:
        _start_as_upstream(client)
        return
    # Not for longer: other libraries and subprocesses read it, too.
    os.environ[THREADS] = "1"
    try:
        _start_as_upstream(client)
    finally:
        del os.environ[THREADS]


@_ffi_client.ffi_cb_fnc  # type: ignore[untyped-decorator]
def _take(data: Any, length: int) -> None:
    keep_thread_state()
    event = FfiEvent.FromString(ctypes.string_at(data, length))
    kind = event.WhichOneof("message")
    if kind == "logs":
        if any(_is_logged(record.level) for record in event.logs.records):
            _take_as_upstream(data, length)
    elif kind == "panic":
        _take_as_upstream(data, length)
    else:
        FfiClient.instance.queue.put(event)


def _is_logged(level: int) -> bool:
    return level in _LEVELS and logger.isEnabledFor(_LEVELS[level])
