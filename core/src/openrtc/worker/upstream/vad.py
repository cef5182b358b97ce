"""Every private name of livekit-agents' voice activity detection that OpenRTC uses, and nothing else.

livekit-agents runs the model, which takes 20 µs, in a thread of its own for each call, joins and copies the audio
around it frame by frame, and sends each event through a tee and a task for its metrics. `InLoopStream` gives the same
events and the same metrics from the loop itself.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from livekit import rtc
from livekit.agents import inference, utils, vad
from livekit.agents.inference import vad as inference_vad
from livekit.agents.log import logger
from livekit.agents.metrics import VADMetrics
from livekit.agents.metrics.base import Metadata

from openrtc.worker.speed.digest import changed
from openrtc.worker.speed.speech_detector import SpeechDetector

WINDOWS_AT_ONCE = 32
"""So many windows, about a millisecond's work, are looked at before others have their turn."""

_KNOWN = {
    "vad.VADStream": (vad.VADStream, ("b52220504bba7d57",)),
    "inference.VAD": (inference.VAD, ("a79e452c3dd0a464",)),
    "inference.vad._VADStream": (inference_vad._VADStream, ("cfda4a79cf186a07", "f7a39a175098cb59")),  # 1.8.0, 1.8.9
}

_make_upstream_stream = inference.VAD.stream


def why_not_in_loop() -> str | None:
    """Return None when livekit-agents' voice activity detection is one that `InLoopStream` equals, else what is not."""
    return ", ".join(changed(_KNOWN)) or None


def detect_in_loop() -> None:
    """From now on, let every ``inference.VAD`` that brings no executor of its own detect in the loop."""
    inference.VAD.stream = _make_stream  # type: ignore[assignment, method-assign]


def detect_as_upstream() -> None:
    """Undo `detect_in_loop`."""
    inference.VAD.stream = _make_upstream_stream  # type: ignore[method-assign]


def _make_stream(detection: inference.VAD) -> vad.VADStream:
    if detection._executor is not None:
        return _make_upstream_stream(detection)
    in_loop = InLoopStream(detection)
    detection._streams.add(in_loop)  # type: ignore[arg-type]
    return in_loop


class InLoopStream(vad.VADStream):
    """What ``inference.VAD.stream`` returns, without a thread.

    Args:
        detection: The VAD that the stream belongs to.
    """

    def __init__(self, detection: inference.VAD) -> None:
        # Not the one of the base class, which starts a tee and a task for the metrics.
        self._vad = detection
        self._options = replace(detection._opts)
        self._metrics = _Metrics(self)
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
            self._detector.options_changed(grown=self._options.max_buffered_speech > before)

    async def aclose(self) -> None:
        """Close the stream at once; events that nobody has taken are dropped."""
        self._input_ch.close()
        await utils.aio.cancel_and_wait(self._task)
        self._event_ch.close()
        while not self._event_ch.empty():
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
        looked_at = 0
        async for item in self._input_ch:
            if isinstance(item, self._FlushSentinel):
                self._flush()
            elif isinstance(item, rtc.AudioFrame):
                for _ in self._hear(item):
                    looked_at += 1
                    if looked_at % WINDOWS_AT_ONCE == 0:
                        await asyncio.sleep(0)

    def _flush(self) -> None:
        if self._detector is not None:
            self._detector.flush()

    def _hear(self, frame: rtc.AudioFrame) -> Any:
        if self._detector is None:
            self._rate = frame.sample_rate
            self._detector = SpeechDetector(self._rate, self._options, self._tell)
        elif frame.sample_rate != self._rate:
            logger.error("a frame with another sample rate was already pushed")
            return ()
        return self._detector.push(frame)

    def _tell(self, event: vad.VADEvent) -> None:
        self._event_ch.send_nowait(event)
        self._metrics.count(event)


class _Metrics:
    """Tells a VAD's listeners about once a second how long its model takes."""

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
