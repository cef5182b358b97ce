"""Speedup `vad`: the default voice activity detection runs in the loop.

livekit-agents runs the model in a thread of its own for each call, joins and copies the audio around it frame by frame,
and sends each event through a tee and a task for its metrics: 14 % of the loop's time, and its events another 8 %. The
model itself takes 20 µs for 32 ms of audio, less than the hop to the thread with 33 µs. `InLoopStream` gives the same
events and the same metrics from the loop itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from livekit import rtc
from livekit.agents import inference, utils, vad
from livekit.agents.log import logger
from livekit.agents.metrics import VADMetrics
from livekit.agents.metrics.base import Metadata

from openrtc.speedups.vad_detector import SpeechDetector

WINDOWS_AT_ONCE = 32
"""So many windows, about a millisecond's work, are looked at before others have their turn: a backlog of seconds, after
a blocked loop, would block it again."""

_make_upstream_stream = inference.VAD.stream


def install() -> None:
    """From now on, let every ``inference.VAD`` that brings no executor of its own detect in the loop."""
    inference.VAD.stream = _make_stream  # type: ignore[assignment, method-assign]  # the patch


def uninstall() -> None:
    """Undo `install`."""
    inference.VAD.stream = _make_upstream_stream  # type: ignore[method-assign]  # the patch undone


def _make_stream(detection: inference.VAD) -> vad.VADStream:
    if detection._executor is not None:  # somebody has chosen where the model runs
        return _make_upstream_stream(detection)
    stream = InLoopStream(detection)
    # A weak set, by which a VAD passes changed options on.
    detection._streams.add(stream)  # type: ignore[arg-type]  # another subclass of VADStream
    return stream


class InLoopStream(vad.VADStream):
    """What ``inference.VAD.stream`` returns, without a thread.

    Args:
        detection: The VAD that the stream belongs to.
    """

    def __init__(self, detection: inference.VAD) -> None:
        # The base class's is not called: it starts the tee and the task for the metrics that are left out here.
        self._vad = detection
        self._options = replace(detection._opts)
        self._metrics = _MetricsReporter(self)
        self._last_activity_time = time.perf_counter()
        self._input_ch = utils.aio.Chan[Any]()
        self._event_ch = utils.aio.Chan[vad.VADEvent]()
        self._rate = 0
        self._detector: SpeechDetector | None = None
        self._task = asyncio.create_task(self._main_task())
        self._task.add_done_callback(lambda _: self._event_ch.close())

    def update_options(self, **options: Any) -> None:
        """Change options of ``inference.VAD`` by their names, from the next window on."""
        before = self._options.max_buffered_speech
        for name, value in options.items():
            if utils.is_given(value):
                setattr(self._options, name, value)
        if self._detector is not None:
            self._detector.apply_options(grown=self._options.max_buffered_speech > before)

    async def aclose(self) -> None:
        """Close the stream at once; events that nobody has taken are dropped."""
        self._input_ch.close()
        await utils.aio.cancel_and_wait(self._task)
        self._event_ch.close()
        while not self._event_ch.empty():  # as the tee does in livekit-agents
            self._event_ch.recv_nowait()

    async def __anext__(self) -> vad.VADEvent:
        try:
            return await self._event_ch.__anext__()
        except StopAsyncIteration:
            if not self._task.cancelled() and (error := self._task.exception()):
                raise error from None
            raise

    @utils.log_exceptions(logger=logger)
    async def _main_task(self) -> None:
        windows = 0
        async for item in self._input_ch:
            if isinstance(item, self._FlushSentinel):
                if self._detector is not None:
                    self._detector.flush()
            elif isinstance(item, rtc.AudioFrame):
                for _ in self._push(item):
                    windows += 1
                    if windows % WINDOWS_AT_ONCE == 0:
                        await asyncio.sleep(0)

    def _push(self, frame: rtc.AudioFrame) -> Iterable[None]:
        if self._detector is None:
            self._rate = frame.sample_rate
            self._detector = SpeechDetector(self._rate, self._options, self._emit)
        elif frame.sample_rate != self._rate:
            logger.error("a frame with another sample rate was already pushed")
            return ()
        return self._detector.push(frame)

    def _emit(self, event: vad.VADEvent) -> None:
        self._event_ch.send_nowait(event)
        self._metrics.count(event)


class _MetricsReporter:
    """Emits to a VAD's listeners about once a second how long its model takes."""

    def __init__(self, stream: InLoopStream) -> None:
        self._stream = stream
        self._seconds = 0.0
        self._windows = 0

    def count(self, event: vad.VADEvent) -> None:
        """Take an event of the stream."""
        if event.type is not vad.VADEventType.INFERENCE_DONE:
            self._stream._last_activity_time = time.perf_counter()
            return
        self._seconds += event.inference_duration
        self._windows += 1
        if self._windows >= 1 / self._stream._vad.capabilities.update_interval:
            self._emit()
            self._seconds, self._windows = 0.0, 0

    def _emit(self) -> None:
        detection = self._stream._vad
        detection.emit(
            "metrics_collected",
            VADMetrics(
                timestamp=time.time(),
                idle_time=time.perf_counter() - self._stream._last_activity_time,
                inference_duration_total=self._seconds,
                inference_count=self._windows,
                label=detection._label,
                metadata=Metadata(model_name=detection.model, model_provider=detection.provider),
            ),
        )
