"""Voice activity detection that takes every sound for speech: tests speak in tones."""

from __future__ import annotations

import numpy as np
from livekit import rtc
from livekit.agents import vad

from e2e.energy import LOUD

QUIET_SECONDS = 0.4


class LoudVAD(vad.VAD):
    """Takes what is loud for speech."""

    def __init__(self) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=0.05))

    def stream(self) -> vad.VADStream:
        """Return a stream."""
        return _LoudStream(self)


class _LoudStream(vad.VADStream):
    async def _main_task(self) -> None:
        spoken = quiet = 0.0
        async for frame in self._input_ch:
            if not isinstance(frame, rtc.AudioFrame):
                continue
            sound = np.frombuffer(frame.data, np.int16).astype(np.float64)
            if np.sqrt(np.mean(sound**2)) >= LOUD:
                spoken, quiet = spoken + frame.duration, 0.0
                if spoken == frame.duration:
                    self._tell(vad.VADEventType.START_OF_SPEECH, spoken, quiet, frame)
            elif spoken:
                quiet += frame.duration
            if spoken:
                self._tell(vad.VADEventType.INFERENCE_DONE, spoken, quiet, frame)
            if quiet >= QUIET_SECONDS:
                self._tell(vad.VADEventType.END_OF_SPEECH, spoken, quiet, frame)
                spoken = quiet = 0.0

    def _tell(self, kind: vad.VADEventType, spoken: float, quiet: float, frame: rtc.AudioFrame) -> None:
        event = vad.VADEvent(
            type=kind,
            samples_index=0,
            timestamp=0.0,
            speech_duration=spoken,
            silence_duration=quiet,
            frames=[frame],
            probability=1.0 if quiet == 0 else 0.0,
            speaking=kind is not vad.VADEventType.END_OF_SPEECH,
            raw_accumulated_silence=quiet,
            raw_accumulated_speech=spoken,
        )
        self._event_ch.send_nowait(event)
