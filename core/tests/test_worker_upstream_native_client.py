"""What livekit's native library tells arrives as before, and its log lines where somebody sees them."""

from __future__ import annotations

import ctypes
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from livekit import rtc
from livekit.rtc import _ffi_client
from livekit.rtc._ffi_client import FfiClient
from livekit.rtc._proto import ffi_pb2
from livekit.rtc._proto.ffi_pb2 import FfiEvent

from openrtc.worker.upstream import native_client

NETWORK, OTHER = "libwebrtc", "tungstenite::protocol"

THREADS = """
import os, pathlib, sys, time
from openrtc.worker.upstream.native_client import change_client
from livekit import rtc
change_client()
before = os.environ.get("TOKIO_WORKER_THREADS")
rtc.AudioSource(24000, 1)
assert os.environ.get("TOKIO_WORKER_THREADS") == before
def workers():
    names = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
    return names.count("tokio-rt-worker")
until = time.monotonic() + 10
while workers() < int(sys.argv[1]) and time.monotonic() < until:
    time.sleep(0.01)  # a thread has its name a moment after it has begun
time.sleep(0.2)
print(workers())
"""


@pytest.fixture(autouse=True)
def _changed() -> Iterator[None]:
    native_client.change_client()
    yield
    native_client.client_as_upstream()


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> list[FfiEvent]:
    """Events that are passed on to livekit's own callback."""
    events: list[FfiEvent] = []

    def take(data: Any, length: int) -> None:
        events.append(FfiEvent.FromString(ctypes.string_at(data, length)))

    monkeypatch.setattr(native_client, "_take_as_upstream", take)
    return events


def tell(event: FfiEvent) -> None:
    """Call the callback as the native library does."""
    text = event.SerializeToString()
    native_client._take((ctypes.c_uint8 * len(text)).from_buffer_copy(text), len(text))


def line(level: int, target: str = OTHER) -> FfiEvent:
    event = FfiEvent()
    event.logs.records.add(level=level, target=target, line=1, message="something happened")
    return event


def test_this_client_is_known() -> None:
    assert native_client.why_client_not_changed() is None


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
    tell(event)
    assert taken == [event]


@pytest.mark.parametrize("level", [ffi_pb2.LOG_ERROR, ffi_pb2.LOG_WARN, ffi_pb2.LOG_INFO])
def test_a_line_that_may_be_shown_is_logged_as_upstream_does(level: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "livekit"):
        tell(line(level))
    assert [record.levelno for record in caplog.records] == [_ffi_client.to_python_level(level)]  # type: ignore[arg-type]
    assert "tungstenite::protocol:1" in caplog.text and "something happened" in caplog.text


@pytest.mark.parametrize("target", [NETWORK, OTHER])
@pytest.mark.parametrize("level", [ffi_pb2.LOG_INFO, ffi_pb2.LOG_DEBUG, ffi_pb2.LOG_TRACE])
def test_a_line_that_nobody_sees_is_dropped_at_once(
    level: int, target: str, upstream: list[FfiEvent], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "livekit"):
        tell(line(level, target))
    assert not upstream


@pytest.mark.parametrize("level", ffi_pb2.LogLevel.values())
def test_the_levels_are_livekits(level: int) -> None:
    assert native_client._LEVELS.get(level) == _ffi_client.to_python_level(level)  # type: ignore[arg-type]


def test_while_debug_lines_are_shown_upstream_decides(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "livekit"):
        for target in (NETWORK, OTHER):
            tell(line(ffi_pb2.LOG_DEBUG, target))
        tell(line(ffi_pb2.LOG_TRACE))
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]
    assert OTHER in caplog.text


def test_lines_that_are_told_together_are_passed_on_together(upstream: list[FfiEvent]) -> None:
    event = line(ffi_pb2.LOG_TRACE)
    event.logs.records.append(line(ffi_pb2.LOG_WARN).logs.records[0])
    tell(event)
    assert upstream == [event]


def test_a_panic_is_upstreams(upstream: list[FfiEvent]) -> None:
    event = FfiEvent()
    event.panic.message = "no way out"
    tell(event)
    assert upstream == [event]


@pytest.mark.parametrize(("wanted", "threads"), [(None, 1), ("3", 3)])
def test_asynchronous_work_has_one_thread_unless_somebody_wants_more(wanted: str | None, threads: int) -> None:
    variables = {name: text for name, text in os.environ.items() if name != native_client.THREADS}
    variables |= {native_client.THREADS: wanted} if wanted else {}
    command = [sys.executable, "-c", THREADS, str(threads)]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, str(threads)), ended.stderr
